"""From stored pieces to a stream of bytes; the faster a reader is, the more is fetched ahead.

In memory are, for each reader, the bytes that are being sent and those ahead. All readers together
have a limit for what they fetch ahead; beyond it each has one piece. Pieces that follow each other
are fetched as one block: a home may be far away, and pieces may be small.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from functools import partial

from lading.protocol.errors import Internal
from lading.protocol.manifest import Manifest, Piece
from lading.server.limits import UploadLimits
from lading.storage.blobs.base import Moved
from lading.storage.blocks import Block, Blocks
from lading.storage.contents import Contents

Fetch = Callable[[Block], Awaitable[bytes]]
"""Returns the bytes of a block."""


class Ahead:
    """The bytes that all readers together may still fetch before they are needed.

    They are given back when they were sent.
    """

    def __init__(self, size: int) -> None:
        self.free = size

    def take(self, size: int) -> bool:
        """Take so many bytes; False if there are fewer."""
        if size > self.free:
            return False
        self.free -= size
        return True


class Stream:
    """Blocks under way for one reader.

    It starts with one cell ahead, and has twice as much whenever the reader had to wait. So a slow
    reader costs two pieces of memory, however long it takes, and one where the `budget` of all
    readers is used up. Half of what is ahead may be one block of up to `largest` bytes.
    """

    def __init__(
        self,
        pieces: AsyncGenerator[Piece, None],
        fetch: Fetch,
        chunk_size: int,
        *,
        most_ahead: int,
        largest: int,
        budget: Ahead,
    ) -> None:
        self._blocks = Blocks(pieces)
        self._fetch = fetch
        self._wanted = chunk_size
        self._most = max(most_ahead, chunk_size)
        self._largest = largest
        self._budget = budget
        self._ahead: deque[tuple[int, Block, asyncio.Task[bytes]]] = deque()
        self._singly: deque[Piece] = deque()
        self._size = self._sending = 0

    async def next(self) -> tuple[Block, bytes]:
        """The next block and its bytes; an empty one at the end. Raises what `fetch` raises.

        The bytes of the block before were sent.
        """
        self._budget.free += self._sending
        self._sending = 0
        if self._singly:
            piece = [self._singly.popleft()]
            return piece, await self._fetch(piece)
        if self._ahead:
            self._sending, block, task = self._ahead.popleft()
            self._size -= self._sending
            if not task.done():
                self._wanted = min(2 * self._wanted, self._most)
        else:
            block = await self._blocks.next(1)
            if not block:
                return block, b""
            task = self._start(block)
        try:
            if not self._sending:  # nothing is ahead: what follows is only listed meanwhile
                await self._blocks.look(1)
            data = await task
            await self._go_ahead()
            return block, data
        except Internal:
            if len(block) == 1:
                raise
        finally:
            task.cancel()
        self._singly.extend(block)  # what comes before the damaged piece is sent
        return await self.next()

    def close(self) -> None:
        """Give up what is under way."""
        for _, _, task in self._ahead:
            task.cancel()
        self._ahead.clear()
        self._budget.free += self._size + self._sending
        self._size = self._sending = 0

    async def _go_ahead(self) -> None:
        while block := await self._blocks.look(self._next_size()):
            size = sum(piece.size for piece in block)
            if (self._ahead and self._size + size > self._wanted) or not self._budget.take(size):
                return
            self._blocks.skip(block)
            self._size += size
            self._ahead.append((size, block, self._start(block)))

    def _next_size(self) -> int:
        """How large the next block may be, for it shall leave room for another one."""
        return max(1, min(self._largest, self._wanted // 2, self._budget.free))

    def _start(self, block: Block) -> asyncio.Task[bytes]:
        task = asyncio.ensure_future(self._fetch(block))
        task.add_done_callback(_note)
        return task


def _note(task: asyncio.Task[bytes]) -> None:
    """A failure ahead is reported when the reader reaches it; if it never does, nobody hears."""
    if not task.cancelled():
        task.exception()


async def stream(blocks: Stream, start: int, end: int) -> AsyncGenerator[bytes, None]:
    """The bytes `[start, end)` of a file.

    A block may begin before the end of the one before it: pieces that are joined while they are
    being listed are listed again, as one.
    """
    position = start
    try:
        while True:
            block, data = await blocks.next()
            if not block:
                return
            first = block[0].slice_start
            begin, stop = max(position - first, 0), min(end - first, len(data))
            position = max(position, first + stop)
            if begin < stop:
                yield data if stop - begin == len(data) else data[begin:stop]
    finally:
        blocks.close()


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
        latest = [manifest]
        async with aclosing(self._pieces(latest, start, end)) as pieces:
            blocks = Stream(
                pieces,
                partial(self._fetch, latest),
                manifest.chunk_size,
                most_ahead=self._most_ahead,
                largest=self._contents.largest_block(manifest),
                budget=self._budget,
            )
            async with aclosing(stream(blocks, start, end)) as found:
                async for data in found:
                    yield data

    async def _pieces(
        self, latest: list[Manifest], position: int, end: int
    ) -> AsyncGenerator[Piece, None]:
        """The pieces that hold the bytes; `latest` holds the manifest, and is kept up to date."""
        gap = -1
        while position < end:
            async with aclosing(self._contents.holding(latest[0], position, end)) as pieces:
                async for piece in pieces:
                    yield piece
                    position = piece.end
            if position < end:
                if position == gap:
                    raise Internal(f"The bytes of {latest[0].id} at {position} are gone.")
                gap, latest[0] = position, await self._look_again(latest[0])

    async def _fetch(self, latest: list[Manifest], block: Block) -> bytes:
        """The bytes of a block, at the home where it is now."""
        tried: list[Manifest] = []
        while True:
            manifest = latest[0]
            try:
                return await self._contents.read(manifest, block)
            except Moved as error:
                failure = error
            tried.append(manifest)
            latest[0] = await self._look_again(manifest)
            # Once more in any case: it may have moved away and come back.
            if len(tried) > 1 and latest[0].blobs == tried[-1].blobs:
                raise failure
