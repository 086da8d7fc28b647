"""The documents of sessions: rotated by one call of many, ended one by one or all together."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from lading.storage.collections import sessions as module
from lading.storage.collections.manifests import new_id
from lading.storage.collections.sessions import Sessions
from lading.storage.database import Database
from tests.support.accounts import NOW, session


async def test_a_session_is_found_until_it_is_over(each_database: Database) -> None:
    sessions, mine = Sessions(each_database), session()
    await sessions.insert(mine)
    await sessions.insert(mine)
    assert await sessions.get(mine.id, NOW) == mine
    assert await sessions.living({mine.id, new_id()}, NOW) == {mine.id}
    assert await sessions.of_user("ann", NOW) == [mine]
    assert await sessions.get(mine.id, NOW + 60) is None
    assert await sessions.living({mine.id}, NOW + 60) == set()
    assert await sessions.of_user("ann", NOW + 60) == []


async def test_the_next_token_is_good_after_one_of_many_calls(database: Database) -> None:
    sessions, mine = Sessions(database), session()
    await sessions.insert(mine)
    done = await asyncio.gather(
        *(
            sessions.rotate(mine, now=NOW + 1, expires_at=NOW + 99, address="::1", agent="b")
            for _ in range(8)
        )
    )
    (renewed,) = [each for each in done if each is not None]
    assert renewed == replace(
        mine,
        generation=2,
        used_at=NOW + 1,
        rotated_at=NOW + 1,
        expires_at=NOW + 99,
        address="::1",
        agent="b",
    )
    assert await sessions.get(mine.id, NOW) == renewed


async def test_a_session_ends_for_its_user_only(each_database: Database) -> None:
    sessions, mine = Sessions(each_database), session()
    await sessions.insert(mine)
    assert not await sessions.end(mine.id, "bob")
    assert await sessions.end(mine.id, "ann")
    assert not await sessions.end(mine.id, "ann")
    assert await sessions.rotate(mine, now=NOW, expires_at=NOW, address="", agent="") is None


async def test_all_of_a_user_end_or_all_but_one(each_database: Database) -> None:
    sessions = Sessions(each_database)
    mine = [session() for _ in range(3)]
    for each in (*mine, session(user_id="bob")):
        await sessions.insert(each)
    assert await sessions.end_user("ann", but=mine[1].id) == 2
    assert await sessions.of_user("ann", NOW) == [mine[1]]
    assert await sessions.end_user("ann") == 1
    assert len(await sessions.of_user("bob", NOW)) == 1


async def test_beyond_the_most_the_one_that_was_used_the_longest_ago_ends(
    each_database: Database,
) -> None:
    sessions = Sessions(each_database)
    made = [session(used_at=NOW + number) for number in range(module.MOST + 2)]
    for each in reversed(made):
        await sessions.insert(each)
    left = await sessions.of_user("ann", NOW)
    assert left == list(reversed(made))[: module.MOST]
