"""From stored pieces to a stream of bytes; the faster a reader is, the more is fetched ahead.

In memory are, for each reader, the piece that is being sent and the cells ahead. All readers
together have a limit for what they fetch ahead.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from functools import partial

from lading.protocol.errors import Internal, LadingError
from lading.protocol.manifest import Manifest, Piece, cell_start
from lading.server.limits import UploadLimits
from lading.storage.blobs.base import Moved
from lading.storage.contents import Contents

Fetched = tuple[Piece, bytes]
Fetch = Callable[[int], Awaitable[Fetched]]
"""Returns the piece that begins at an offset, with its bytes."""


class Ahead:
    """The bytes that all readers together may still fetch before they are needed."""

    def __init__(self, size: int) -> None:
        self.free = size

    def take(self, size: int) -> bool:
        """Take so many bytes; False if there are fewer."""
        if size > self.free:
            return False
        self.free -= size
        return True


async def stream(
    fetch: Fetch,
    chunk_size: int,
    position: int,
    start: int,
    end: int,
    *,
    most_ahead: int,
    budget: Ahead,
) -> AsyncGenerator[bytes, None]:
    """The bytes `[start, end)` of a file; `position` is where the piece with the first begins.

    A cell's first piece begins with the cell, so cells ahead can be fetched side by side before it
    is known where the pieces between end. It starts with one cell ahead, and adds one whenever the
    reader had to wait. So a slow reader costs two pieces of memory, however long it takes, and one
    where the budget of all readers is used up.
    """
    under_way: dict[int, asyncio.Task[Fetched]] = {}
    ahead, most = 1, max(1, most_ahead // chunk_size)

    def go_ahead(position: int) -> None:
        cell = cell_start(position, chunk_size)
        for place in (position, *range(cell + chunk_size, end, chunk_size)[: ahead - 1]):
            if place not in under_way and place < end and budget.take(chunk_size):
                under_way[place] = task = asyncio.ensure_future(fetch(place))
                task.add_done_callback(_note)

    try:
        while position < end:
            task = under_way.pop(position, None)
            if task is None:
                piece, data = await fetch(position)
            else:
                budget.free += chunk_size
                if not task.done():
                    ahead = min(ahead + 1, most)
                piece, data = await task
            go_ahead(piece.end)
            begin, stop = max(start - position, 0), min(end, piece.end) - position
            yield data if stop - begin == piece.size else data[begin:stop]
            position = piece.end
    finally:
        for task in under_way.values():
            task.cancel()
        budget.free += chunk_size * len(under_way)


def _note(task: asyncio.Task[Fetched]) -> None:
    """A failure ahead is reported when the reader reaches it; if it never does, nobody hears."""
    if not task.cancelled():
        task.exception()


class Reader:
    """Reads the bytes of uploads and files, also of one that moves to another home meanwhile.

    `look_again` is called where a piece is not there any more: it returns the manifest as it is
    now, or raises the reason, if there is one.
    """

    def __init__(
        self,
        contents: Contents,
        look_again: Callable[[Manifest], Awaitable[Manifest]],
        limits: UploadLimits,
    ) -> None:
        self._contents = contents
        self._look_again = look_again
        self._most_ahead = limits.reader_ahead
        self._budget = Ahead(limits.all_readers_ahead)

    async def read(self, manifest: Manifest, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """The bytes `[start, end)`, verified piece by piece, while the next ones are being fetched.

        All of them must be stored. Raises Internal when stored bytes are damaged or gone.
        """
        if start >= end:
            return
        first = await self._contents.before(manifest, start + 1)
        position = start if first is None else first.slice_start
        fetch = partial(self._fetch, [manifest])
        blocks = stream(
            fetch,
            manifest.chunk_size,
            position,
            start,
            end,
            most_ahead=self._most_ahead,
            budget=self._budget,
        )
        async with aclosing(blocks):
            async for data in blocks:
                yield data

    async def _fetch(self, latest: list[Manifest], slice_start: int) -> Fetched:
        """The piece at a place; `latest` holds the manifest, and is kept up to date."""
        tried: list[Manifest] = []
        while True:
            manifest = latest[0]
            failure: LadingError = Internal(
                f"The bytes of {manifest.id} at {slice_start} are gone."
            )
            try:
                found = await self._contents.read(manifest, slice_start)
            except Moved as error:
                found, failure = None, error
            if found is not None:
                return found
            tried.append(manifest)
            latest[0] = await self._look_again(manifest)
            # Once more in any case: it may have moved away and come back.
            if len(tried) > 1 and latest[0].blobs == tried[-1].blobs:
                raise failure
