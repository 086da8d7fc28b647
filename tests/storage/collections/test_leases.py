"""Leases: one holder at a time, a larger fence for each."""

from __future__ import annotations

import asyncio

import pytest

from lading.storage.collections.leases import Lease, Leases
from lading.storage.database import Database, connect
from tests.support.steps import stepped

NOW = 1_790_000_000.0


async def take(leases: Leases, holder: str, now: float = NOW, seconds: float = 30) -> Lease | None:
    return await leases.acquire("work", holder, now=now, until=now + seconds)


async def test_one_holds_it_until_it_ends(each_database: Database) -> None:
    leases = Leases(each_database)
    assert await take(leases, "a") == Lease("work", "a", 1)
    assert await take(leases, "b", NOW + 29.9) is None
    assert await take(leases, "a") is None, "not even its holder takes it twice"
    assert await take(leases, "b", NOW + 30) == Lease("work", "b", 2)


async def test_leases_of_other_names_are_free(each_database: Database) -> None:
    leases = Leases(each_database)
    await take(leases, "a")
    other = await leases.acquire("other", "b", now=NOW, until=NOW + 1)
    assert other == Lease("other", "b", 1)


async def test_a_renewed_lease_goes_on(each_database: Database) -> None:
    leases = Leases(each_database)
    lease = await take(leases, "a")
    assert lease is not None
    assert await leases.renew(lease, until=NOW + 60)
    assert await take(leases, "b", NOW + 59) is None
    assert await take(leases, "b", NOW + 60) is not None


async def test_who_lost_it_disturbs_nobody(each_database: Database) -> None:
    leases = Leases(each_database)
    old = await take(leases, "a")
    assert old is not None
    new = await take(leases, "b", NOW + 30)
    assert new is not None
    assert not await leases.renew(old, until=NOW + 1000)
    await leases.release(old)
    assert await take(leases, "c", NOW + 59) is None
    assert await leases.renew(new, until=NOW + 90)


async def test_the_same_holder_anew_is_another(each_database: Database) -> None:
    leases = Leases(each_database)
    old = await take(leases, "a")
    assert old is not None
    assert await take(leases, "a", NOW + 30) == Lease("work", "a", 2)
    assert not await leases.renew(old, until=NOW + 1000), "the pause counts, not the name"


async def test_a_released_lease_is_free_at_once(each_database: Database) -> None:
    leases = Leases(each_database)
    lease = await take(leases, "a")
    assert lease is not None
    await leases.release(lease)
    assert await take(leases, "b") == Lease("work", "b", 2)
    await leases.release(lease)
    assert await take(leases, "c") is None


# -- races and broken connections: on the real thing only


@pytest.mark.parametrize("held_before", [False, True])
async def test_of_many_at_once_one_gets_it(
    database: Database, database_url: str, held_before: bool
) -> None:
    other = Database(connect(database_url))
    both = [Leases(database), Leases(other)]
    for round_number in range(10):
        now = NOW + 100 * round_number
        if held_before or round_number == 0:
            await take(both[0], "before", now - 50, 10)
        else:
            await database.leases.delete_many({})
        got = await asyncio.gather(*(take(both[n % 2], f"holder{n}", now) for n in range(10)))
        assert len([lease for lease in got if lease is not None]) == 1
    await other.close()


async def test_a_lost_answer_gives_it_to_nobody_else(database: Database, database_url: str) -> None:
    steps = stepped(database_url)
    steps.lose_every_write()
    leases = Leases(steps)
    # It was taken, and the one who took it was not told: it passes when it ends.
    assert await take(leases, "a") is None
    assert await take(Leases(database), "b") is None
    lease = await take(Leases(database), "b", NOW + 30)
    assert lease is not None
    assert await leases.renew(lease, until=NOW + 60)
    await Leases(database).release(lease)
    assert await take(Leases(database), "c") is not None
    await steps.close()
