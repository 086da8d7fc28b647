"""A store that is a dictionary: what an upload's pieces must obey, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field

from lading.protocol.digests import crc32c
from lading.protocol.errors import AlreadyComplete, ChecksumMismatch, ChunkConflict, OutOfBounds
from lading.protocol.manifest import (
    Manifest,
    Piece,
    cell_start,
    check_bounds,
    coverage,
    fills_cell,
    prove,
)
from tests.support.transcripts import manifest

CELL = 8


@dataclass
class Shelf:
    """One stored upload."""

    id: str
    size: int | None
    pieces: dict[int, bytes] = field(default_factory=dict)
    ready: bool = False

    @property
    def index(self) -> list[Piece]:
        return [Piece(at, len(data), crc32c(data)) for at, data in sorted(self.pieces.items())]

    @property
    def content(self) -> bytes:
        return b"".join(data for _, data in sorted(self.pieces.items()))

    @property
    def manifest(self) -> Manifest:
        state = "ready" if self.ready else "uploading"
        return manifest(self.id, self.size, chunk_size=CELL, state=state)

    def write(self, start: int, data: bytes, crc: int, *, whole: bool = True) -> int:
        """Store a piece; gives how much is stored in all."""
        if crc32c(data) != crc:
            raise ChecksumMismatch
        check_bounds(start, len(data), CELL, self.size)
        if whole and not fills_cell(start, len(data), CELL, self.size):
            raise OutOfBounds
        if start in self.pieces:
            if self.pieces[start] != data:
                raise ChunkConflict
        elif self.ready:
            raise AlreadyComplete
        elif start != cell_start(start, CELL) and start not in {p.end for p in self.index}:
            raise OutOfBounds
        else:
            self.pieces[start] = data
        return coverage(self.index, self.size).upload_size

    def finish(self, size: int | None) -> None:
        size = self.size if self.size is not None else size
        assert size is not None
        prove(self.index, size)
        self.size, self.ready = size, True
