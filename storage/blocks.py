"""Blocks: pieces of a file that are read by one request, since they follow each other."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from lading.protocol.manifest import Piece

Block = Sequence[Piece]
"""Pieces that follow each other."""


class Blocks:
    """Cuts a file into blocks. `most` is what each may have, in bytes; it has at least one piece.

    What fails while the pieces are listed is raised when the blocks before that are all taken.
    """

    def __init__(self, pieces: AsyncGenerator[Piece, None]) -> None:
        self._pieces = pieces
        self._piece: Piece | None = None
        self._block: list[Piece] = []
        self._failure: Exception | None = None

    async def look(self, most: int) -> Block:
        """The block that is next; empty at the end, and where listing failed."""
        size = sum(piece.size for piece in self._block)
        while size < most and (piece := await self._look()):
            if self._block and size + piece.size > most:
                break
            self._block.append(piece)
            size += piece.size
            self._piece = None
        return self._block

    async def _look(self) -> Piece | None:
        if self._piece is None and self._failure is None:
            try:
                self._piece = await anext(self._pieces, None)
            except Exception as error:
                self._failure = error
        return self._piece

    async def next(self, most: int) -> Block:
        """The next block; empty at the end. Raises what listing raised."""
        await self.look(most)
        return self.take()

    def take(self) -> Block:
        """The block that was looked at; raises the failure where there is none because of it."""
        if not self._block and self._failure is not None:
            raise self._failure
        block, self._block = self._block, []
        return block
