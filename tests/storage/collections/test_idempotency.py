"""Idempotency keys: one call holds a key, and what it answered is found."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from lading.storage.collections.idempotency import KEPT_SECONDS, IdempotencyKeys, Kept
from lading.storage.database import Database

KEY, OTHER = b"k" * 32, b"o" * 32
REQUEST, ANOTHER = b"r" * 32, b"a" * 32
NOW = 1_800_000_000.0
LEASE = 30.0


async def begin(
    keys: IdempotencyKeys, holder: str, *, now: float = NOW, request: bytes = REQUEST
) -> Kept:
    return await keys.begin(KEY, request, "ann", holder, now=now, until=now + LEASE)


async def test_the_first_call_holds_the_key_and_the_next_finds_it(each_database: Database) -> None:
    keys = IdempotencyKeys(each_database)
    first = await begin(keys, "one")
    assert first == Kept(KEY, REQUEST, "one")
    assert await begin(keys, "two") == first
    assert await begin(keys, "one") == first  # a repetition after a lost answer
    assert await begin(keys, "two", request=ANOTHER) == first
    other = await keys.begin(OTHER, REQUEST, "ann", "two", now=NOW, until=NOW + LEASE)
    assert other.holder == "two"


async def test_an_answer_is_stored_once_and_found(each_database: Database) -> None:
    keys = IdempotencyKeys(each_database)
    mine = await begin(keys, "one")
    await keys.answered(mine, b"body", "sealed")
    await keys.answered(mine, b"other", "late")
    await keys.free(mine)
    found = await begin(keys, "two", now=NOW + 10 * LEASE)
    assert found == replace(mine, body=b"body", answer="sealed")


async def test_a_key_that_is_freed_is_taken_again(each_database: Database) -> None:
    keys = IdempotencyKeys(each_database)
    await keys.free(await begin(keys, "one"))
    assert (await begin(keys, "two", request=ANOTHER)).holder == "two"


async def test_after_a_crash_the_same_request_is_tried_again_and_no_other(
    each_database: Database,
) -> None:
    keys = IdempotencyKeys(each_database)
    dead = await begin(keys, "one")
    await keys.renew(dead, NOW + 2 * LEASE)
    assert (await begin(keys, "two", now=NOW + 2 * LEASE - 1)).holder == "one"
    assert (await begin(keys, "two", now=NOW + 2 * LEASE, request=ANOTHER)).holder == "one"
    assert (await begin(keys, "two", now=NOW + 2 * LEASE)).holder == "two"
    # The first was not dead, but late: it disturbs nothing any more.
    await keys.answered(dead, b"body", "late")
    await keys.free(dead)
    await keys.renew(dead, NOW + 10**6)
    found = await begin(keys, "three", now=NOW + 2 * LEASE + 1)
    assert (found.holder, found.answer) == ("two", None)


async def test_after_a_day_a_key_is_forgotten(each_database: Database) -> None:
    keys = IdempotencyKeys(each_database)
    await keys.answered(await begin(keys, "one"), b"body", "sealed")
    assert (await begin(keys, "two", now=NOW + KEPT_SECONDS - 1)).answer == "sealed"
    taken = await begin(keys, "two", now=NOW + KEPT_SECONDS, request=ANOTHER)
    assert (taken.holder, taken.answer) == ("two", None)


async def test_a_users_keys_go_with_the_user(each_database: Database) -> None:
    keys = IdempotencyKeys(each_database)
    await keys.answered(await begin(keys, "one"), b"body", "sealed")
    await keys.remove_user("bob")
    assert (await begin(keys, "two")).answer == "sealed"
    await keys.remove_user("ann")
    assert (await begin(keys, "two")).holder == "two"


async def test_of_many_calls_at_once_one_holds_the_key(database: Database) -> None:
    keys = IdempotencyKeys(database)
    for now in (NOW, NOW + LEASE):  # also where a dead call is followed
        found = await asyncio.gather(
            *(begin(keys, f"{now} {number}", now=now) for number in range(16))
        )
        assert len({each.holder for each in found}) == 1
        assert found[0].holder.startswith(str(now))


async def test_the_database_deletes_old_keys(database: Database) -> None:
    found = await database.idempotency.index_information()
    assert found["kept_until"]["expireAfterSeconds"] == 0
