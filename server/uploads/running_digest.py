"""The SHA-256 of an upload, computed while its pieces are stored.

It counts only if this process itself stored every byte, in order and once; else FINISH reads all
back. Source: docs/decisions/0105-a-sha256-is-computed-while-pieces-arrive.md.
"""

from __future__ import annotations

import asyncio

from lading.protocol.digests import Sha256


class RunningDigest:
    """The digest of one attempt of an upload, from its first byte to as far as nothing is missing.

    A piece that comes out of order, or a second time, ends it for good.
    """

    def __init__(self, attempt: int) -> None:
        self._attempt = attempt
        self._whole = Sha256()
        self._taken = self._stored = 0
        self._given_up = False
        # Threads take their turn in the order in which the pieces came.
        self._turn = asyncio.Lock()

    def take(self, slice_start: int, data: bytes) -> asyncio.Task[None] | None:
        """Add a piece that is about to be stored; None where it does not follow the last one.

        Await the task before the piece is released, and call `stored` once it is durable.
        """
        if self._given_up or slice_start != self._taken:
            self._given_up = True
            return None
        self._taken += len(data)
        return asyncio.create_task(self._add(data))

    async def _add(self, data: bytes) -> None:
        async with self._turn:
            await asyncio.to_thread(self._whole.update, data)

    def stored(self, size: int) -> None:
        """A piece that was taken became durable by this, and was not there before."""
        self._stored += size

    def of(self, attempt: int, size: int) -> str | None:
        """The SHA-256 of all `size` bytes of that attempt; None where it is not known."""
        # Pieces that were taken follow each other, so if as many bytes were stored, it is all.
        whole = self._taken == self._stored == size
        if self._given_up or not whole or attempt != self._attempt:
            return None
        return self._whole.hexdigest()
