"""Waiting for bytes that have not arrived: who is woken when, and what a wait costs."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from lading.server.limits import UploadLimits
from lading.server.uploads.arrivals import Arrivals
from tests.support.servers import until

LIMITS = UploadLimits(arrival_poll_seconds=0.01, watermark_seconds=0.02)


class Database:
    """Manifests of another process, and how often somebody asked."""

    def __init__(self) -> None:
        self.shown: dict[str, Any] = {}
        self.asked = 0

    def reached(self, target: int) -> bool:
        return self.asked >= target

    async def activity(self, upload_ids: list[str]) -> dict[str, Any]:
        self.asked += 1
        return {each: self.shown[each] for each in upload_ids if each in self.shown}


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def arrivals(database: Any) -> Arrivals:
    return Arrivals(database, LIMITS)


async def test_those_are_woken_whose_byte_arrived(arrivals: Arrivals) -> None:
    with (
        arrivals.waiting("a", 5) as first,
        arrivals.waiting("a", 10) as second,
        arrivals.waiting("b", 5) as other,
    ):
        arrivals.note("a", 5, 10)
        assert [each.woken.is_set() for each in (first, second, other)] == [True, False, False]
        arrivals.note("a")
        assert second.woken.is_set()
    arrivals.note("a")  # nobody waits


async def test_a_wait_is_bounded(arrivals: Arrivals) -> None:
    with arrivals.waiting("a", 0) as waiter:
        await waiter.wait(0.01)
        arrivals.note("a")
        await waiter.wait(1000)
        assert not waiter.woken.is_set()


async def test_one_question_for_all_who_wait(arrivals: Arrivals, database: Database) -> None:
    watching = asyncio.create_task(arrivals.watch())
    await asyncio.sleep(0.05)
    assert database.asked == 0, "nobody waits"
    database.shown = {"a": 1, "b": 1}

    async def wait(upload_id: str) -> None:
        with arrivals.waiting(upload_id, 0) as waiter:
            for _ in range(20):  # the first rounds tell what there is
                await waiter.wait(1000)
            await asyncio.sleep(0)

    everyone = [asyncio.create_task(wait("ab"[number % 2])) for number in range(1000)]
    while not all(each.done() for each in everyone):
        target = database.asked + 1
        database.shown = {key: value + 1 for key, value in database.shown.items()}
        await until(partial(database.reached, target))
    assert database.asked < 60
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_quiet_uploads_wake_nobody(arrivals: Arrivals, database: Database) -> None:
    watching = asyncio.create_task(arrivals.watch())
    database.shown = {"a": 1}
    with arrivals.waiting("a", 0) as waiter:
        await until(lambda: database.asked >= 8)
        waiter.woken.clear()
        await until(lambda: database.asked >= 12)
        assert not waiter.woken.is_set()
        database.shown = {"a": 2}
        await waiter.wait(1000)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_the_end_of_the_server_wakes_all(arrivals: Arrivals) -> None:
    with arrivals.waiting("a", 0) as waiter:
        arrivals.stop()
        await waiter.wait(1000)
    assert arrivals.stopped
