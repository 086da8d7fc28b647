"""The interface that each driver of bytes implements, and the check that each read goes through.

A driver makes a piece durable and commits it by its document in `chunks`, in that order. It
refuses to know manifests, users and transports. `tests/storage/blobs/contract.py` is what every
driver must pass. Source: page 2 of the design.
"""

from __future__ import annotations

from typing import Protocol

from lading.protocol.digests import crc32c
from lading.protocol.errors import Internal
from lading.protocol.manifest import Piece


class Blobs(Protocol):
    """Bytes of pieces, durable and verified."""

    name: str
    """What a manifest's `blobs` field holds for this driver."""

    async def write(self, upload_id: str, piece: Piece, data: bytes) -> bool:
        """Make the piece durable. False when the very same piece was there before.

        Raises ChunkConflict when other bytes are stored at this place, StorageFull, Unavailable.
        """
        ...

    async def read(self, upload_id: str, slice_start: int) -> tuple[Piece, bytes] | None:
        """The piece that begins at `slice_start` and its bytes, verified; None when none does.

        Raises Internal when the stored bytes are gone or damaged, Unavailable.
        """
        ...

    async def delete(self, upload_id: str, most: int, before: int | None = None) -> int:
        """Delete up to `most` pieces of an upload, bytes and documents; gives how many.

        With `before` only those that begin before that place.
        """
        ...

    async def remove(self, upload_id: str, slice_start: int) -> None:
        """Delete the piece that begins at `slice_start`, if there is one."""
        ...


def verify(upload_id: str, piece: Piece, data: bytes) -> None:
    """Raise Internal unless `data` is what was stored: wrong bytes are never served."""
    if len(data) != piece.size or crc32c(data) != piece.crc32c:
        raise Internal(
            f"The stored bytes of upload {upload_id} at {piece.slice_start} are damaged.",
            upload_id=upload_id,
            slice_start=piece.slice_start,
        )
