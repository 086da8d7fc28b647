"""A limit of concurrency around a driver: only so many large pieces are written at once."""

from __future__ import annotations

import asyncio

from lading.storage.blobs.base import Blobs
from lading.storage.blobs.wrapper import Call, T, Wrapper

WRITES_AT_ONCE = 8
"""The driver of a database copies each piece once more, and more writes at once are no faster:
they are for the same disk. See `docs/decisions/0025`."""

LARGE = 256 * 1024
"""Smaller pieces do not wait: their copies are small, and a database may be far away."""


class Limited(Wrapper):
    """Lets at most `writes_at_once` writes of `large` bytes or more through."""

    def __init__(
        self, inner: Blobs, writes_at_once: int = WRITES_AT_ONCE, large: int = LARGE
    ) -> None:
        super().__init__(inner)
        self._large = large
        self._writing = asyncio.Semaphore(writes_at_once)

    async def _around(self, operation: str, size: int, call: Call[T], /) -> T:
        if operation not in ("write", "join") or size < self._large:
            return await call()
        async with self._writing:
            return await call()
