"""Work on many files, a few at the same time: what commands that go through all files share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def for_each(
    files: AsyncIterator[T], at_once: int, work: Callable[[T], Awaitable[None]]
) -> None:
    """Do `work` on each of the files, on `at_once` at the same time; its first error is raised."""
    under_way: set[asyncio.Future[None]] = set()
    try:
        async for each in files:
            under_way.add(asyncio.ensure_future(work(each)))
            if len(under_way) >= at_once:
                under_way = await _some(under_way)
        while under_way:
            under_way = await _some(under_way)
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


async def _some(tasks: set[asyncio.Future[None]]) -> set[asyncio.Future[None]]:
    """Wait until some are done, whose errors are raised; returns the others."""
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
    return pending
