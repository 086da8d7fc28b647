"""The janitor of a process: it recounts now and then, and corrects accounts."""

from __future__ import annotations

import asyncio

import pytest

from lading.janitor.janitor import RECOUNT_SECONDS
from lading.storage.collections.manifests import new_id
from lading.storage.database import Database
from tests.support.parts import Parts


@pytest.fixture
def parts(database: Database) -> Parts:
    return Parts(database)


async def test_wrong_accounts_are_corrected_and_named(parts: Parts) -> None:
    for user_id in ("ann", "bob", "eve"):
        await parts.quotas.reserve(user_id, new_id(parts.clock()), 10)
    wrong = {"$inc": {"charged": 7}}
    await parts.database.quotas.update_many({"_id": {"$in": ["ann", "eve"]}}, wrong)
    first, second = sorted(await parts.janitor.reconcile())
    assert first == "ann: used 7, recounted 0; reserved 10, recounted 10"
    assert second.startswith("eve: ")
    assert await parts.janitor.reconcile() == []
    assert (await parts.quotas.account("ann")).charged == 10


async def test_the_janitor_recounts_at_first_and_then_every_hour(parts: Parts) -> None:
    now = parts.clock()
    loop = parts.janitor.loop(60)
    await parts.quotas.reserve("ann", new_id(now + RECOUNT_SECONDS), 10)
    for hour, is_recounted in ((0.0, True), (0.5, False), (0.99, False), (1.0, True), (1.9, False)):
        parts.clock.now = now + hour * RECOUNT_SECONDS
        await parts.database.quotas.update_one({"_id": "ann"}, {"$set": {"charged": 99}})
        assert await loop.once() is not None
        account = await parts.quotas.account("ann")
        assert account.charged == (10 if is_recounted else 99)


async def test_of_two_processes_janitors_one_works(parts: Parts) -> None:
    janitors = [parts.janitor.loop(60) for _ in range(2)]
    reports = await asyncio.gather(*(each.once() for each in janitors))
    assert reports.count(None) == 1


async def test_while_the_clock_is_not_settled_nothing_is_recounted(parts: Parts) -> None:
    parts.clock.settled = False
    await parts.quotas.reserve("ann", new_id(parts.clock()), 10)
    await parts.database.quotas.update_one({"_id": "ann"}, {"$set": {"charged": 99}})
    assert await parts.janitor.loop(60).once() is not None
    assert (await parts.quotas.account("ann")).charged == 99
