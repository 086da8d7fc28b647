"""The loop: one janitor at work, another when it ends, and none that was paused past its lease."""

from __future__ import annotations

import asyncio

import pytest

from lading.janitor.loop import NAME, JanitorLoop, Sweep
from lading.janitor.sweep import Report
from lading.protocol.errors import Unavailable
from lading.storage.blobs.base import Check
from lading.storage.collections.leases import Lease, Leases
from lading.storage.database import Database
from tests.support.clock import Clock
from tests.support.janitor import CELL, TTL, Scene
from tests.support.servers import until
from tests.support.steps import Steps

SECONDS = 30.0
DONE = Report(emptied=1)


class Janitor:
    """One process: its loop, its clocks, and what its sweeps were told."""

    def __init__(self, leases: Leases, clock: Clock, *, interval: float = 0.001) -> None:
        self.steady = Clock(5000.0)
        self.sweeps = 0
        self.work: Sweep = self.sweep
        self.loop = JanitorLoop(
            leases,
            self._do_work,
            holder=f"janitor-{id(self)}",
            interval=interval,
            lease_seconds=SECONDS,
            clock=clock,
            steady=self.steady,
        )

    async def _do_work(self, check: Check) -> Report:
        return await self.work(check)

    async def sweep(self, check: Check) -> Report:
        await check()
        self.sweeps += 1
        return DONE


def pass_time(seconds: float, clock: Clock, *janitors: Janitor) -> None:
    for each in (clock, *(janitor.steady for janitor in janitors)):
        each.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def leases(database: Database) -> Leases:
    return Leases(database)


async def test_one_sweeps_and_the_others_stand_by(leases: Leases, clock: Clock) -> None:
    one, other = Janitor(leases, clock), Janitor(leases, clock)
    for _ in range(5):
        assert await one.loop.once() == DONE
        assert await other.loop.once() is None
        pass_time(SECONDS - 1, clock, one, other)
    assert (one.sweeps, other.sweeps) == (5, 0)


async def test_of_many_at_once_one_sweeps(leases: Leases, clock: Clock) -> None:
    janitors = [Janitor(leases, clock) for _ in range(10)]
    reports = await asyncio.gather(*(each.loop.once() for each in janitors))
    assert reports.count(DONE) == 1
    assert sum(each.sweeps for each in janitors) == 1


async def test_another_takes_over_when_the_lease_ends(leases: Leases, clock: Clock) -> None:
    one, other = Janitor(leases, clock), Janitor(leases, clock)
    await one.loop.once()
    pass_time(SECONDS, clock, one, other)
    assert await other.loop.once() == DONE
    assert await one.loop.once() is None
    assert (one.sweeps, other.sweeps) == (1, 1)


async def test_a_long_sweep_keeps_the_lease(leases: Leases, clock: Clock) -> None:
    one, other = Janitor(leases, clock), Janitor(leases, clock)

    async def long(check: Check) -> Report:
        for _ in range(10):
            pass_time(SECONDS * 0.6, clock, one, other)
            await check()
            assert await other.loop.once() is None
        return DONE

    one.work = long
    assert await one.loop.once() == DONE


async def test_the_lease_is_not_asked_for_before_each_deed(steps: Steps, clock: Clock) -> None:
    one = Janitor(Leases(steps), clock)

    async def many(check: Check) -> Report:
        before = steps.taken
        for _ in range(100):
            await check()
        assert steps.taken == before
        return DONE

    one.work = many
    assert await one.loop.once() == DONE


async def test_who_was_paused_past_its_lease_does_nothing_when_it_wakes(
    scene: Scene, leases: Leases
) -> None:
    clock = scene.clock
    one, other = Janitor(leases, clock), Janitor(leases, clock)
    first, second = await scene.begin(cells=1), await scene.begin(cells=1)
    clock.now += TTL
    waking = asyncio.Event()
    paused = asyncio.Event()

    async def paused_in_the_middle(check: Check) -> Report:
        async def checked() -> None:
            await check()
            if not paused.is_set():
                paused.set()
                return
            await waking.wait()
            await check()

        return await scene.sweeper().sweep(check=checked)

    one.work = paused_in_the_middle
    sleeper = asyncio.create_task(one.loop.once())
    await paused.wait()
    pass_time(SECONDS, clock, one)

    async def only_look(_check: Check) -> Report:
        return DONE

    other.work = only_look
    assert await other.loop.once() == DONE
    waking.set()
    assert await sleeper is None
    states = await scene.states()
    assert states == {first.id: "expired and emptied", second.id: "uploading"}
    assert await scene.usage() == (0, CELL)


async def test_who_was_paused_and_still_has_the_lease_goes_on(leases: Leases, clock: Clock) -> None:
    one = Janitor(leases, clock)

    async def paused(check: Check) -> Report:
        pass_time(10 * SECONDS, clock, one)
        await check()
        return DONE

    one.work = paused
    assert await one.loop.once() == DONE, "nobody took it: it is renewed, and worth as much"


# -- running


async def stop(running: asyncio.Task[None]) -> None:
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert running.cancelled()


async def test_it_sweeps_again_and_again_until_it_is_cancelled(
    leases: Leases, clock: Clock
) -> None:
    one = Janitor(leases, clock)
    running = asyncio.create_task(one.loop.run())
    await until(lambda: one.sweeps >= 3)
    await stop(running)


async def test_a_cancelled_one_lets_the_next_begin_at_once(leases: Leases, clock: Clock) -> None:
    one, other = Janitor(leases, clock, interval=3600), Janitor(leases, clock)
    running = asyncio.create_task(one.loop.run())
    await until(lambda: one.sweeps == 1)
    assert await other.loop.once() is None
    await stop(running)
    assert await other.loop.once() == DONE


async def test_one_that_is_cancelled_in_its_sweep_lets_go_too(leases: Leases, clock: Clock) -> None:
    one, other = Janitor(leases, clock), Janitor(leases, clock)
    begun = asyncio.Event()

    async def endless(_check: Check) -> Report:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    one.work = endless
    running = asyncio.create_task(one.loop.run())
    await begun.wait()
    await stop(running)
    assert await other.loop.once() == DONE


async def test_one_that_only_stood_by_lets_go_of_nothing(
    database: Database, leases: Leases, clock: Clock
) -> None:
    one, other = Janitor(leases, clock), Janitor(leases, clock)
    await one.loop.once()
    before = await database.leases.find_one({"_id": NAME})
    await stop_after_a_turn(other)
    assert await database.leases.find_one({"_id": NAME}) == before


async def stop_after_a_turn(janitor: Janitor) -> None:
    turned = asyncio.Event()
    once = janitor.loop.once

    async def watched() -> Report | None:
        report = await once()
        turned.set()
        return report

    janitor.loop.once = watched  # type: ignore[method-assign]
    running = asyncio.create_task(janitor.loop.run())
    await turned.wait()
    await stop(running)


@pytest.mark.parametrize("failure", [Unavailable("down"), ValueError("a fault")])
async def test_a_failed_sweep_is_tried_again(
    leases: Leases, clock: Clock, failure: Exception
) -> None:
    one = Janitor(leases, clock)
    failures = [failure, failure]

    async def failing(check: Check) -> Report:
        if failures:
            raise failures.pop()
        return await one.sweep(check)

    one.work = failing
    running = asyncio.create_task(one.loop.run())
    await until(lambda: one.sweeps)
    await stop(running)


async def test_a_database_that_is_down_does_not_hold_up_the_end(steps: Steps, clock: Clock) -> None:
    one = Janitor(Leases(steps), clock, interval=3600)
    running = asyncio.create_task(one.loop.run())
    await until(lambda: one.sweeps)
    steps.lose(1)
    async with asyncio.timeout(5):
        await stop(running)


async def test_each_sweep_is_reported(leases: Leases, clock: Clock) -> None:
    heard: list[dict[str, int]] = []

    async def sweep(_check: Check) -> Report:
        return DONE

    loop = JanitorLoop(leases, sweep, holder="a", interval=1.0, clock=clock, observe=heard.append)
    await loop.once()
    assert heard == [DONE.as_dict()]


class Slow(Leases):
    """Leases that are released by a database that does not answer."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.begun = asyncio.Event()
        self.over = False

    async def release(self, lease: Lease) -> None:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.over = True


async def test_one_that_is_cancelled_while_it_lets_go_leaves_nothing_behind(
    database: Database, clock: Clock
) -> None:
    """As a second signal does, which then closes the database."""
    leases = Slow(database)
    one = Janitor(leases, clock, interval=3600)
    running = asyncio.create_task(one.loop.run())
    await until(lambda: one.sweeps)
    running.cancel()
    await leases.begun.wait()
    await stop(running)
    assert leases.over
