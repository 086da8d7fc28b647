"""Work that goes on though who asked for it is gone.

It owns the tasks, which the event loop alone would not keep alive. It refuses to know what they do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Tasks:
    """Tasks that are under way."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin `work`, which comes to its end unless it is cancelled here."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def cancel(self) -> None:
        """Break all of it off."""
        for task in self._tasks:
            task.cancel()

    async def wait(self, seconds: float) -> None:
        """Wait until what is under way now has ended, for so many seconds at most."""
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=seconds)

    async def settle(self) -> None:
        """Wait until nothing is under way any more."""
        while self._tasks:
            await asyncio.wait(list(self._tasks))


def note(task: asyncio.Task[Any]) -> None:
    """A callback for tasks whose failure nobody needs to hear of, or hears of elsewhere."""
    if not task.cancelled():
        task.exception()
