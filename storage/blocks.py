"""Blocks: pieces of a file that are read by one request, since they follow each other."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Sequence

from lading.protocol.manifest import Piece

Block = Sequence[Piece]
"""Pieces that follow each other."""

MOST_PIECES = 256
"""The most pieces of a block: each is named in the query that reads it, and small ones are many."""


class Blocks:
    """Cuts a file into blocks, each as long as is asked for, with at least one piece.

    What fails while the pieces are listed is raised when the blocks before that are all taken.
    """

    def __init__(self, pieces: AsyncGenerator[Piece, None]) -> None:
        self._pieces = pieces
        self._listed: deque[Piece] = deque()
        self._failure: Exception | None = None

    async def look(self, most: int) -> Block:
        """The block that is next, of `most` bytes; empty at the end, and where listing failed."""
        block: list[Piece] = []
        size = 0
        while size < most and len(block) < MOST_PIECES and (piece := await self._at(len(block))):
            if block and (size + piece.size > most or piece.slice_start != block[-1].end):
                break
            block.append(piece)
            size += piece.size
        return block

    async def _at(self, index: int) -> Piece | None:
        if index == len(self._listed) and self._failure is None:
            try:
                piece = await anext(self._pieces, None)
            except Exception as error:
                self._failure = error
            else:
                self._listed.extend([] if piece is None else [piece])
        return self._listed[index] if index < len(self._listed) else None

    async def next(self, most: int) -> Block:
        """The next block; empty at the end. Raises what listing raised."""
        block = await self.look(most)
        if not block and self._failure is not None:
            raise self._failure
        self.skip(block)
        return block

    def skip(self, block: Block) -> None:
        """Go on after the block that was looked at."""
        for _ in block:
            self._listed.popleft()
