"""From stored pieces to a stream of bytes, with as much fetched ahead as the reader is fast.

It owns the order of pieces and what is in memory: for one reader the piece that is being sent, and
the cells ahead; and how many bytes all readers together have ahead. It refuses to know who may read
what, and where pieces are kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from functools import partial

from lading.protocol.errors import Internal
from lading.protocol.manifest import Manifest, Piece, cell_start
from lading.storage.contents import Contents

MOST_AHEAD = 4 * 2**20
"""The most bytes that are fetched before they are asked for; one cell where cells are larger."""

ALL_AHEAD = 64 * 2**20
"""The same for all readers of a process together: more readers than that go without."""

Fetched = tuple[Piece, bytes]
Fetch = Callable[[int], Awaitable[Fetched]]
"""Gives the piece that begins at an offset, with its bytes."""


class Ahead:
    """The bytes that all readers together may still fetch before they are asked for."""

    def __init__(self, size: int = ALL_AHEAD) -> None:
        self.free = size

    def take(self, size: int) -> bool:
        """Take so many, unless there are not so many."""
        if size > self.free:
            return False
        self.free -= size
        return True


async def stream(
    fetch: Fetch, chunk_size: int, position: int, start: int, end: int, *, room: Ahead
) -> AsyncGenerator[bytes, None]:
    """The bytes `[start, end)` of a file; `position` is where the piece with the first begins.

    A cell's first piece begins with the cell, so cells ahead can be fetched side by side before it
    is known where the pieces between end. It begins with one, and one more whenever the reader had
    to wait: who is slow costs two pieces of memory, however long, and where there is no room one.
    """
    under_way: dict[int, asyncio.Task[Fetched]] = {}
    ahead, most = 1, max(1, MOST_AHEAD // chunk_size)

    def go_ahead(position: int) -> None:
        cell = cell_start(position, chunk_size)
        for place in (position, *range(cell + chunk_size, end, chunk_size)[: ahead - 1]):
            if place not in under_way and place < end and room.take(chunk_size):
                under_way[place] = task = asyncio.ensure_future(fetch(place))
                task.add_done_callback(_note)

    try:
        while position < end:
            task = under_way.pop(position, None)
            if task is None:
                piece, data = await fetch(position)
            else:
                room.free += chunk_size
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
        room.free += chunk_size * len(under_way)


def _note(task: asyncio.Task[Fetched]) -> None:
    """What went wrong ahead is told of when the reader comes there, or never if it does not."""
    if not task.cancelled():
        task.exception()


class Reader:
    """Reads the bytes of uploads and files.

    `gone` is asked where a piece is not there any more: it raises what the reason is, if it knows.
    """

    def __init__(self, contents: Contents, gone: Callable[[Manifest], Awaitable[None]]) -> None:
        self._contents = contents
        self._gone = gone
        self._room = Ahead()

    async def read(self, manifest: Manifest, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """The bytes `[start, end)`, verified piece by piece, what comes next fetched meanwhile.

        All of them must be stored. Raises Internal when stored bytes are damaged or gone.
        """
        if start >= end:
            return
        first = await self._contents.before(manifest, start + 1)
        position = start if first is None else first.slice_start
        fetch = partial(self._fetch, manifest)
        blocks = stream(fetch, manifest.chunk_size, position, start, end, room=self._room)
        async with aclosing(blocks):
            async for data in blocks:
                yield data

    async def _fetch(self, manifest: Manifest, slice_start: int) -> Fetched:
        found = await self._contents.read(manifest, slice_start)
        if found is None:
            await self._gone(manifest)
            raise Internal(f"The bytes of {manifest.id} at {slice_start} are gone.")
        return found
