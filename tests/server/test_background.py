"""Work that goes on though who asked for it is gone."""

from __future__ import annotations

import asyncio

from lading.server.background import Tasks, ignore_result


async def test_it_comes_to_its_end_and_is_waited_for() -> None:
    tasks, opened = Tasks(), asyncio.Event()

    async def work() -> int:
        await opened.wait()
        return 3

    task = tasks.spawn(work())
    await tasks.wait(0.01)
    assert not task.done()
    opened.set()
    await tasks.settle()
    assert await task == 3
    await tasks.wait(10)


async def test_what_it_begins_itself_is_waited_for_as_well() -> None:
    tasks, ended = Tasks(), []

    async def work(more: int) -> None:
        if more:
            tasks.spawn(work(more - 1))
        await asyncio.sleep(0)
        ended.append(more)

    tasks.spawn(work(3))
    await tasks.settle()
    assert sorted(ended) == [0, 1, 2, 3]


async def test_it_can_be_broken_off() -> None:
    tasks = Tasks()
    task = tasks.spawn(asyncio.Event().wait())
    tasks.cancel()
    await tasks.settle()
    assert task.cancelled()


async def test_a_failure_that_is_noted_is_not_complained_of() -> None:
    async def work() -> None:
        raise ValueError

    tasks = Tasks()
    tasks.spawn(work()).add_done_callback(ignore_result)
    await tasks.settle()
