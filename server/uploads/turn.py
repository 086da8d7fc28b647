"""The turn of one request to append to an upload, which a newer request ends.

Source: docs/decisions/0051.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from lading.protocol.errors import RequestTimeout

T = TypeVar("T")

NEWER = "A newer request continues this upload; ask for its offset before you go on."


@dataclass(slots=True, eq=False)
class Turn:
    """One request's turn to append. `ended` asks it to store what it has; `lost` forbids it.

    A larger `arrival` is that of a newer request: see `server/net/record.py`.
    """

    arrival: int = 0
    ended: bool = False
    lost: bool = False
    number: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)
    _waits: asyncio.Task[object] | None = None

    def end(self, *, lost: bool = False) -> None:
        """A newer request is there."""
        self.lost = self.lost or lost
        if not self.ended and self._waits is not None:
            self._waits.cancel()
        self.ended = True

    async def wait_for(self, what: Callable[[], Awaitable[T]]) -> T:
        """Wait for what a client or a neighbour does; raises RequestTimeout when the turn ends."""
        task = asyncio.current_task()
        assert task is not None
        self.check()
        self._waits = task
        try:
            return await what()
        except asyncio.CancelledError:
            if self.ended and not task.uncancel():
                raise RequestTimeout(NEWER) from None
            raise
        finally:
            self._waits = None

    def check(self) -> None:
        """Raise RequestTimeout when a newer request is there."""
        if self.ended:
            raise RequestTimeout(NEWER)

    async def guard(self, body: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """The body, until it or the turn ends."""
        try:
            while True:
                try:
                    part = await self.wait_for(lambda: anext(body))
                except StopAsyncIteration:
                    return
                yield part
        finally:
            if isinstance(body, AsyncGenerator):
                await body.aclose()
