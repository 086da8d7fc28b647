"""Ranges of one file for a reader that mostly goes from its start to its end, and jumps sometimes.

Stored pieces are read whole, and are verified whole. So what was read for a range and lies behind
it is kept for the next one, and a reader that goes on has the next pieces fetched ahead.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from lading.protocol.manifest import cell_end, cell_start

Read = Callable[[int, int], AsyncGenerator[bytes, None]]
"""The bytes `[start, end)` of the file, as `Reader.read` returns them."""


class Ranges:
    """The bytes of a finished file of `size` bytes. Whoever has read them closes it."""

    def __init__(self, read: Read, size: int, chunk_size: int) -> None:
        self._read = read
        self.size = size
        self._chunk_size = chunk_size
        self._start = 0
        self._kept = b""
        """What was read last, from `_start` on."""
        self._following: AsyncGenerator[bytes, None] | None = None
        """The bytes after that, once a range has gone on there."""

    async def read(self, start: int, end: int) -> bytes:
        """The bytes `[start, end)`, all of them; raises as `Reader.read`."""
        parts = []
        while start < end:
            if not self._start <= start < self._start + len(self._kept):
                await self._go_to(start)
            at = start - self._start
            parts.append(self._kept[at : at + end - start])
            start += len(parts[-1])
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _go_to(self, start: int) -> None:
        """Keep what begins at `start`, or the cell that holds it."""
        goes_on = 0 < start == self._start + len(self._kept)
        if not goes_on:
            await self.close()
        elif self._following is None:
            self._following = self._read(start, self.size)
        if self._following is not None:
            try:
                self._start, self._kept = start, await anext(self._following)
            except BaseException:
                self._following = None  # it has ended
                raise
            return
        first = cell_start(start, self._chunk_size)
        end = cell_end(first, self._chunk_size, self.size)
        async with aclosing(self._read(first, end)) as blocks:
            cell = b"".join([block async for block in blocks])
        self._start, self._kept = first, cell

    async def close(self) -> None:
        """Fetch nothing ahead any more."""
        following, self._following = self._following, None
        if following is not None:
            await following.aclose()
