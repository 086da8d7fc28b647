"""Work that is done for many callers at once: one operation for all who wait when it begins.

A caller that comes while nothing is under way waits for nobody; the busier it gets, the more go
together. Source: docs/decisions/0106-what-waits-goes-together.md.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Waiting(NamedTuple, Generic[Item, Result]):
    """An item of a caller, and what the caller waits for."""

    item: Item
    size: int
    done: asyncio.Future[Result]


class Together(Generic[Item, Result]):
    """Collects items while `work` is busy with others, and has them done by one call of it."""

    def __init__(
        self,
        work: Callable[[list[Item]], Awaitable[Sequence[Result | Exception]]],
        *,
        at_once: int = 1,
        most: float = float("inf"),
    ) -> None:
        """`work` gets items in the order in which they came, and returns for each its result, or
        the exception that its caller gets; what it raises is everybody's. At most `at_once` calls
        of it are under way. One gets items of `most` in size together, or a single larger one.
        """
        self._work = work
        self._at_once = at_once
        self._most = most
        self._waiting: deque[_Waiting[Item, Result]] = deque()
        self._under_way = 0
        self._workers: set[asyncio.Task[None]] = set()

    async def __call__(self, item: Item, size: int = 1) -> Result:
        """Have one item done by a call of `work` that begins after this one."""
        done: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(item, size, done))
        if self._under_way < self._at_once:
            self._under_way += 1
            worker = asyncio.create_task(self._run())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)
        return await done

    async def _run(self) -> None:
        try:
            while together := self._next():
                outcomes = await self._outcomes([each.item for each in together])
                for each, outcome in zip(together, outcomes, strict=True):
                    if each.done.done():
                        continue  # its caller went away meanwhile
                    if isinstance(outcome, Exception):
                        each.done.set_exception(outcome)
                    else:
                        each.done.set_result(outcome)
        finally:
            self._under_way -= 1

    def _next(self) -> list[_Waiting[Item, Result]]:
        """Those that go together now, the longest waiting first; none where nobody waits."""
        together: list[_Waiting[Item, Result]] = []
        size = 0
        while self._waiting and (not together or size + self._waiting[0].size <= self._most):
            each = self._waiting.popleft()
            if not each.done.done():
                together.append(each)
                size += each.size
        return together

    async def _outcomes(self, items: list[Item]) -> Sequence[Result | Exception]:
        try:
            return await self._work(items)
        except Exception as error:
            return [error] * len(items)
