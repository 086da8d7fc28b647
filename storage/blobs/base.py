"""The interface of each driver of bytes, and the check that each read passes through.

Every driver is a home: finished files live there. One that is also an ingest store takes pieces
while they arrive; it makes a piece durable and commits it by its document in `chunks`, in that
order. The documents stay in MongoDB wherever the bytes are, so every read is checked by piece.
A place is `attempt * 2**53 + slice_start`, see `storage/contents.py`.

Retries, a limit of concurrency and measurement are wrappers around this interface (`retry`,
`limit`, `measure`), never part of a driver. `tests/storage/blobs/contract.py` is what every driver
must pass, bare and wrapped. Source: page 9 of the design, "The interface".
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from lading.protocol.digests import crc32c
from lading.protocol.errors import Internal, Unavailable
from lading.protocol.manifest import Manifest, Piece, StoredPicture

ORIGINAL = "0"
"""The name of a file's own bytes, beside which its pictures have names such as `3`."""

LARGEST_PICTURE = 15 * 2**20
"""A picture is one document of at most 16 MiB where MongoDB keeps it. No larger one is made."""

Pieces = AsyncIterator[tuple[Piece, bytes]]
"""The pieces of a finished file in order, `slice_start` counted from the file's start."""

Check = Callable[[], Awaitable[None]]
"""Awaited now and then during long work; raises when the work is another process's by now."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What a driver can do beyond the interface."""

    durable: bool
    """A piece survives a crash of every process as soon as `write` has returned."""

    ranges_while_uploading: bool
    """It is an ingest store, and pieces can be read before the upload is finished."""

    presigns: bool = False
    """It can make addresses at which clients send and fetch bytes without the server."""

    path: bool = False
    """A finished file is one file of this machine, which another program can send."""

    largest_block: int = 2**20
    """So many bytes of pieces that follow each other are best read at once."""


class Blobs(Protocol):
    """A home: the bytes of finished files, durable and verified."""

    @property
    def name(self) -> str:
        """The value of a manifest's `blobs` field for this driver."""
        ...

    @property
    def traits(self) -> Traits:
        """What the driver can do beyond this interface."""
        ...

    async def read(self, upload_id: str, pieces: Sequence[Piece]) -> bytes:
        """The bytes of listed pieces that follow each other, each of them verified.

        Their `slice_start` is their place. Raises Moved when bytes of them are not here, Internal
        when they are damaged, Unavailable.
        """
        ...

    async def delete(self, manifest: Manifest, most: int, before: int | None = None) -> int:
        """Delete up to `most` pieces of an upload, bytes and documents; returns how many.

        With `before` only those of the attempts before the one that begins at that place. Without
        it nothing of the upload, and no picture, is left here when the last call returned less
        than `most`.
        """
        ...

    async def place(self, manifest: Manifest) -> None:
        """Bring the bytes of a finished file of this driver to their final place there.

        It may be repeated, and follows each change of `manifest.public`.
        """
        ...

    async def take(self, manifest: Manifest, pieces: Pieces) -> None:
        """Store a finished file that has lived elsewhere so far.

        On return all of it is durable and was compared. It may be repeated. Raises Unavailable,
        StorageFull, Internal when what is stored is not what was sent, and what `pieces` raises.
        """
        ...

    async def drop(self, manifest: Manifest, check: Check) -> None:
        """Delete the bytes and pictures of a file that lives elsewhere. Its pieces stay listed."""
        ...

    async def put_picture(self, upload_id: str, name: str, data: bytes) -> None:
        """Store a picture of a finished file of this home, in the place of one of that name.

        It is durable on return, and goes with the file: `delete` and `drop` delete it. Raises
        Moved when the file is not here, StorageFull, Unavailable.
        """
        ...

    async def picture(self, upload_id: str, name: str) -> bytes | None:
        """The bytes of a picture as they are stored, not verified; None when there is none."""
        ...

    def uploads(self) -> AsyncIterator[str]:
        """For the audit: the ids of the uploads whose bytes are here, each once or more often."""
        ...

    def pictured(self) -> AsyncIterator[str]:
        """For the audit: the ids of the files of which pictures are here, once or more often."""
        ...


@runtime_checkable
class Ingest(Blobs, Protocol):
    """A home that also takes pieces while they arrive."""

    async def write(self, upload_id: str, piece: Piece, data: bytes) -> bool:
        """Make the piece durable. False when the very same piece was there before.

        Its `slice_start` is its place. Raises ChunkConflict when other bytes are stored there,
        Moved when the upload ended or its bytes are lost, StorageFull, TooLarge, Unavailable.
        """
        ...

    async def remove(self, upload_id: str, place: int) -> None:
        """Delete the piece that begins at `place`, if there is one."""
        ...

    async def join(self, upload_id: str, chain: list[Piece]) -> bool:
        """Make one piece of those of a chain, which begins with its cell.

        A crash in the middle leaves the first piece with all bytes, and others that are void. False
        when nothing was changed: the first piece is another one by now, or damaged.
        """
        ...


@runtime_checkable
class Paths(Protocol):
    """A home with the trait `path`: a finished file is one file of this machine."""

    async def path(self, manifest: Manifest, name: str = ORIGINAL) -> str | None:
        """Where the file or its picture lies now, below the home's directory: `private/0f/…0f/0`.

        None while it is not there.
        """
        ...


@runtime_checkable
class Presigns(Protocol):
    """A home with the trait `presigns`: clients fetch and send bytes without the server."""

    async def presigned_get(
        self,
        manifest: Manifest,
        seconds: int,
        content_type: str,
        disposition: str,
        name: str = ORIGINAL,
    ) -> str:
        """An address at which anyone may fetch the file or its picture for so many seconds.

        The answer has this `Content-Type` and `Content-Disposition`; nobody can change them.
        """
        ...


class Unusable(Unavailable):
    """A home cannot be used as it is set up. The message is for operators and names the setting."""


class Moved(Internal):
    """The bytes of a listed piece are not in this driver: they moved, or are lost."""


def moved(upload_id: str, place: int) -> Moved:
    return Moved(
        f"The stored bytes of upload {upload_id} at {place} are gone.",
        upload_id=upload_id,
        slice_start=place,
    )


def verify(upload_id: str, pieces: Sequence[Piece], data: bytes) -> None:
    """Raise Internal unless `data` is what was stored in pieces that follow each other.

    So wrong bytes are never served. The error names the first piece that is damaged.
    """
    view, position = memoryview(data), 0
    for piece in pieces:
        # What is too long belongs to no piece: then it is the last one that is damaged.
        stored = view[position:] if piece is pieces[-1] else view[position : position + piece.size]
        if len(stored) != piece.size or crc32c(stored) != piece.crc32c:
            raise Internal(
                f"The stored bytes of upload {upload_id} at {piece.slice_start} are damaged.",
                upload_id=upload_id,
                slice_start=piece.slice_start,
            )
        position += piece.size


def is_intact(picture: StoredPicture, data: bytes) -> bool:
    """Whether these are the bytes of a picture as they were stored."""
    return len(data) == picture.size and crc32c(data) == picture.crc32c
