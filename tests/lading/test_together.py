"""Work for many callers at once: who waits goes together, and each gets what is its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import pytest

from lading.together import Together


class Work:
    """Doubles numbers, when it is let go. It keeps which came together."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.under_way = self.most = 0
        self.go = asyncio.Event()
        self.failure: Exception | None = None

    async def __call__(self, numbers: list[int]) -> Sequence[int | Exception]:
        self.calls.append(numbers)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await self.go.wait()
        self.under_way -= 1
        if self.failure is not None:
            raise self.failure
        return [ValueError(each) if each < 0 else 2 * each for each in numbers]


Tasks = list[asyncio.Task[int]]


async def ask(together: Together[int, int], numbers: Iterable[int], size: int = 1) -> Tasks:
    """Ask for each; what can begin has begun on return."""
    tasks = [asyncio.create_task(together(number, size)) for number in numbers]
    for _ in range(5):
        await asyncio.sleep(0)
    return tasks


async def test_who_comes_at_one_moment_goes_together_and_who_comes_later_with_the_next() -> None:
    work = Work()
    together = Together(work)
    tasks = await ask(together, range(3)) + await ask(together, range(3, 8))
    assert work.calls == [[0, 1, 2]]
    work.go.set()
    assert await asyncio.gather(*tasks) == [0, 2, 4, 6, 8, 10, 12, 14]
    assert work.calls == [[0, 1, 2], [3, 4, 5, 6, 7]]


async def test_no_more_are_under_way_at_once() -> None:
    work = Work()
    together = Together(work, at_once=2, most=3)
    tasks = await ask(together, [0]) + await ask(together, [1]) + await ask(together, range(2, 9))
    work.go.set()
    await asyncio.gather(*tasks)
    assert work.calls[:2] == [[0], [1]]
    assert sorted(work.calls[2:]) == [[2, 3, 4], [5, 6, 7], [8]]
    assert work.most == 2


async def test_what_is_larger_goes_alone() -> None:
    work = Work()
    together = Together(work, most=10)
    tasks = await ask(together, [0]) + await ask(together, [1, 2], 11)
    tasks += await ask(together, [3, 4], 5) + await ask(together, [5])
    work.go.set()
    await asyncio.gather(*tasks)
    assert work.calls == [[0], [1], [2], [3, 4], [5]]


async def test_it_begins_again_after_a_pause() -> None:
    work = Work()
    work.go.set()
    together = Together(work)
    assert [await together(number) for number in range(3)] == [0, 2, 4]
    assert work.calls == [[0], [1], [2]]


async def test_who_asks_just_when_the_others_end_is_served() -> None:
    work = Work()
    work.go.set()
    together = Together(work, at_once=2, most=3)

    async def one_after_the_other(caller: int) -> None:
        for number in range(50):
            assert await together(100 * caller + number) == 2 * (100 * caller + number)

    async with asyncio.timeout(10):
        await asyncio.gather(*map(one_after_the_other, range(7)))
    assert sum(map(len, work.calls)) == 350


async def test_a_failure_of_one_is_not_that_of_the_others() -> None:
    work = Work()
    work.go.set()
    found = await asyncio.gather(*await ask(Together(work), [1, -1, 2]), return_exceptions=True)
    assert [str(each) for each in found] == ["2", "-1", "4"]


async def test_a_failure_of_the_whole_is_everybodys_who_waited_for_it_and_nobody_elses() -> None:
    work = Work()
    together = Together(work)
    work.failure = OSError("the disk failed")
    tasks = await ask(together, [1, 2])
    work.go.set()
    for task in tasks:
        with pytest.raises(OSError, match="the disk failed"):
            await task
    work.failure = None
    assert await together(3) == 6


async def test_who_goes_away_is_left_out_and_holds_up_nobody() -> None:
    work = Work()
    together = Together(work)
    tasks = await ask(together, [0]) + await ask(together, [1, 2, 3])
    tasks[0].cancel()  # under way
    tasks[2].cancel()  # waits
    await asyncio.sleep(0)
    work.go.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert [task.cancelled() for task in tasks] == [True, False, True, False]
    assert work.calls == [[0], [1, 3]]
