"""WRITE: one piece becomes durable, and changes nothing when it comes again.

The order is: check, store, then look at the manifest once more. A piece that came too late, after
the upload ended, is deleted again and not acknowledged.
"""

from __future__ import annotations

from dataclasses import dataclass

from lading.protocol.digests import crc32c
from lading.protocol.errors import (
    AlreadyComplete,
    ChecksumMismatch,
    ChunkConflict,
    Gone,
    NotFound,
    OutOfBounds,
    QuotaExceeded,
    TooLarge,
)
from lading.protocol.kinds import Kinds
from lading.protocol.manifest import (
    MAX_ATTEMPT,
    MAX_INTEGER,
    WHOLE,
    Manifest,
    Piece,
    State,
    cell_start,
    check_bounds,
    fills_cell,
)
from lading.server.uploads.arrivals import Arrivals
from lading.server.uploads.media_type import ENOUGH_BYTES, HEAD_BYTES, content_type
from lading.server.uploads.open_uploads import OpenUpload, OpenUploads, Written, refuse_tombstone
from lading.server.uploads.quota import explain
from lading.storage.blobs.base import Moved, moved
from lading.storage.open import Storage


@dataclass(frozen=True, slots=True)
class Writer:
    """Stores pieces. `late_pieces` is set where a late piece may find no tombstone any more."""

    storage: Storage
    uploads: OpenUploads
    arrivals: Arrivals
    kinds: Kinds
    late_pieces: bool

    async def write(
        self,
        upload: OpenUpload,
        slice_start: int,
        data: bytes,
        checksum: int,
        *,
        whole_cells: bool = True,
    ) -> Written:
        """Store a piece; it is durable on return, and a second call changes nothing.

        `whole_cells` is for transports that fill cells: the piece must reach the end of its cell.
        Raises ChecksumMismatch, OutOfBounds, TooLarge, ChunkConflict, AlreadyComplete, Gone,
        NotFound, StorageFull, UnsupportedMediaType, Unavailable; then nothing was stored.
        """
        if crc32c(data) != checksum:
            raise ChecksumMismatch("The piece was damaged on its way; send it again.")
        running = upload.running
        # Before anything is waited for: here the pieces still have the order in which they came.
        hashing = None if running is None else running.take(slice_start, data)
        try:
            fresh = await self._store(upload, slice_start, data, checksum, whole_cells)
        finally:
            if hashing is not None:
                await hashing
        if running is not None and hashing is not None and fresh:
            running.stored(len(data))
        # Only now: pieces that were stored earlier may have waited longer to be hashed, and what is
        # told last must be the most.
        return Written(len(data), upload.stored)

    async def _store(
        self, upload: OpenUpload, slice_start: int, data: bytes, checksum: int, whole_cells: bool
    ) -> bool:
        """Store a piece; whether it was not there before."""
        size = len(data)
        manifest = await self._look(upload)
        check_bounds(slice_start, size, manifest.chunk_size, manifest.size)
        check_limit(manifest, slice_start + size)
        piece = Piece(slice_start, size, checksum)
        if manifest.state is State.READY:
            return await self._write_again(upload, piece)
        if whole_cells and not fills_cell(slice_start, size, manifest.chunk_size, manifest.size):
            raise OutOfBounds("A piece must reach the end of its cell.")
        await self._check_chain(manifest, slice_start)
        await self._check_type(manifest, slice_start, data)
        self.storage.free_space.check(size)
        if manifest.size is None and not await self._grow(manifest, piece.end):
            upload.manifest = await self.uploads.after_end(manifest.id)
            return await self._write_again(upload, piece)
        try:
            fresh = await self.storage.contents.write(manifest, piece, data)
        except Moved:
            return await self._after_move(upload, manifest, piece)
        if fresh:
            # A RESUME at this moment may have counted the piece already.
            upload.stored = min(upload.stored + size, manifest.size or MAX_INTEGER)
            await self._check_again(manifest, piece)
        await self._confirm(upload, manifest, piece, fresh)
        self.arrivals.note(manifest.id, slice_start, piece.end)
        if upload.manifest.attempt != manifest.attempt:
            return await self._store(upload, slice_start, data, checksum, whole_cells)
        return fresh

    async def _grow(self, manifest: Manifest, end: int) -> bool:
        """Reserve up to `end` of an upload of unknown length; False when it ended."""
        try:
            if manifest.request_id is not None:
                await self.storage.grants.grow(manifest.request_id, manifest.id, end)
            return await self.storage.quotas.grow(manifest.user_id, manifest.id, end)
        except QuotaExceeded as error:
            raise await explain(self.storage, manifest, error) from error

    async def _look(self, upload: OpenUpload) -> Manifest:
        """The manifest as it was in the database a moment ago; raises Gone, NotFound.

        A piece of an upload that died long ago would be stored for ever: the tombstone that lets
        the janitor delete late pieces may be purged.
        """
        if upload.manifest.state is State.UPLOADING:
            await self.uploads.touch(upload)
        refuse_tombstone(upload.manifest)
        return upload.manifest

    async def _confirm(
        self, upload: OpenUpload, manifest: Manifest, piece: Piece, fresh: bool
    ) -> None:
        """Look again where the piece may have come too late; one that did is deleted.

        Raises Gone, NotFound, AlreadyComplete.
        """
        # While the size is unknown, the piece may lie behind the end of a file that was published
        # in the meantime. A piece that was there before may come from a connection whose journal
        # sync is still due: the touch makes it durable, too. Where tombstones are kept for a short
        # time only, there may be none left with which the janitor would delete the piece.
        growing = manifest.size is None
        at_once = growing or not fresh or self.late_pieces
        reach = piece.end if growing and upload.manifest.attempt == manifest.attempt else 0
        try:
            await self.uploads.touch(upload, at_once=at_once, reach=reach)
        except (Gone, NotFound):
            # It may have become a file that is in the trash, or whose bytes were replaced by these.
            kept = await self.storage.manifests.keeping(manifest.key)
            if kept is None or kept.state not in WHOLE:
                await self.storage.contents.remove(manifest, piece)
            raise
        ended = upload.manifest
        if ended.size is not None and ended.size < piece.end and ended.attempt == manifest.attempt:
            upload.stored = ended.size
            await self.storage.contents.remove(manifest, piece)
            raise AlreadyComplete("The upload is complete, and ends before this piece.")

    async def _after_move(self, upload: OpenUpload, manifest: Manifest, piece: Piece) -> bool:
        """The place for the bytes is gone: the upload ended in the meantime, or bytes are lost."""
        upload.manifest = await self.uploads.after_end(manifest.id)
        if upload.manifest.state is State.UPLOADING:
            raise moved(manifest.id, piece.slice_start)
        return await self._write_again(upload, piece)

    async def _write_again(self, upload: OpenUpload, piece: Piece) -> bool:
        """Find a piece in a complete file, where it is stored already."""
        if await self.storage.contents.at(upload.manifest, piece.slice_start) != piece:
            raise AlreadyComplete("The upload is complete; nothing can be added to it.")
        return False

    async def _check_chain(self, manifest: Manifest, slice_start: int) -> None:
        """A piece begins with its cell or where a stored piece ends, so that none overlap."""
        start = cell_start(slice_start, manifest.chunk_size)
        if slice_start == start:
            return
        before = await self.storage.contents.before(manifest, slice_start)
        if before is None or before.end != slice_start:
            raise OutOfBounds(
                "A piece must begin at the start of its cell or where a stored piece ends."
            )

    async def _check_again(self, manifest: Manifest, piece: Piece) -> None:
        """Delete a piece where another writer's was, which was joined into an earlier one since."""
        try:
            await self._check_chain(manifest, piece.slice_start)
        except OutOfBounds:
            await self.storage.contents.remove(manifest, piece)
            raise

    async def _check_type(self, manifest: Manifest, slice_start: int, data: bytes) -> None:
        """Raise UnsupportedMediaType for first bytes of a type that the grant or kind refuses.

        FINISH checks it too; here it is known before the rest of a large file is sent.
        """
        kind = self.kinds.get(manifest.kind)
        if slice_start or (manifest.grant_id is None and kind is None):
            return
        if len(data) < ENOUGH_BYTES and len(data) != manifest.size:
            return
        mime_type = content_type(manifest.mime_type, data[:HEAD_BYTES])
        if kind is not None:
            kind.check_type(mime_type)
        if manifest.grant_id is not None:
            grant = await self.storage.grants.get(manifest.grant_id)
            if grant is not None:
                grant.check_type(mime_type)

    async def begin_again(self, upload: OpenUpload) -> None:
        """Give up the bytes of an upload; others are then stored as into a new one.

        Raises NotFound, Gone, and ChunkConflict when that was done too often. Nothing happens when
        the upload is complete, or when another call has begun the next attempt already.
        """
        manifest = upload.manifest
        if manifest.attempt >= MAX_ATTEMPT:
            raise ChunkConflict(
                "Other bytes are stored, and were replaced too often; abort the upload."
            )
        now = self.storage.clock()
        begun = await self.storage.manifests.begin_again(manifest.id, manifest.attempt, now)
        begun = begun or await self.uploads.after_end(manifest.id)
        upload.know(begun, begun.upload_size)
        self.arrivals.note(manifest.id)
        await self.storage.contents.forget(manifest)


def check_end(manifest: Manifest, end: int) -> None:
    """Raise TooLarge for bytes up to `end`, where that is beyond the size or what is allowed."""
    if manifest.size is not None and end > manifest.size:
        limit = manifest.size
        raise TooLarge(f"The file was announced with {limit} bytes.", limit=limit)
    check_limit(manifest, end)


def check_limit(manifest: Manifest, end: int) -> None:
    """Raise TooLarge when an upload that ends at `end` is larger than is allowed."""
    if manifest.max_size is not None and end > manifest.max_size:
        limit = manifest.max_size
        raise TooLarge(f"This upload may have at most {limit} bytes.", limit=limit)
