"""The interface of each driver of bytes, and the check that each read passes through.

A driver makes a piece durable and commits it by its document in `chunks`, in that order. Retries,
a limit of concurrency and measurement are wrappers around this interface (`retry`, `limit`,
`measure`), never part of a driver. `tests/storage/blobs/contract.py` is what every driver must
pass, bare and wrapped. Source: page 9 of the design, "The interface".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from lading.protocol.digests import crc32c
from lading.protocol.errors import Internal
from lading.protocol.manifest import Piece


@dataclass(frozen=True, slots=True)
class Traits:
    """What a driver can do beyond the interface."""

    durable: bool
    """A piece survives a crash of every process as soon as `write` has returned."""

    ranges_while_uploading: bool
    """Pieces can be read before the upload is finished."""

    presigns: bool = False
    """It can make addresses at which clients send and fetch bytes without the server."""

    path: bool = False
    """A finished file is one file of this machine, which another program can send."""


class Blobs(Protocol):
    """Bytes of pieces, durable and verified."""

    @property
    def name(self) -> str:
        """The value of a manifest's `blobs` field for this driver."""
        ...

    @property
    def traits(self) -> Traits:
        """What the driver can do beyond this interface."""
        ...

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
        """Delete up to `most` pieces of an upload, bytes and documents; returns how many.

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
