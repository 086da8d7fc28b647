"""Tasks beside the requests: work that outlives its request, and work that runs all the time.

The event loop holds only weak references to tasks; the classes here keep them alive.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, TypeVar

import structlog

log = structlog.get_logger()

T = TypeVar("T")


class Tasks:
    """Work that runs to its end although the request that began it is gone."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin `work`. It runs to its end unless `cancel` is called here."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def cancel(self) -> None:
        """Cancel all of it."""
        for task in self._tasks:
            task.cancel()

    async def wait(self, seconds: float) -> None:
        """Wait at most `seconds` until the work that is under way now has ended."""
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=seconds)

    async def settle(self) -> None:
        """Wait until no work is left."""
        while self._tasks:
            await asyncio.wait(list(self._tasks))


def ignore_result(task: asyncio.Task[Any]) -> None:
    """A callback for a task whose failure is reported elsewhere, or need not be."""
    if not task.cancelled():
        task.exception()


class Background:
    """`async with`: tasks that run as long as the server; at the end they are cancelled."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` until the end; if it fails, the log says so."""
        task = asyncio.create_task(work)
        task.add_done_callback(_report)
        self._tasks.append(task)

    async def __aenter__(self) -> Background:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("background-task-failed", exc_info=task.exception())
