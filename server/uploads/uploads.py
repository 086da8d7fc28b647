"""The one path that every transport takes: create, write a piece, finish, remove.

It owns what an upload goes through and in which order things become durable. It refuses to know
HTTP, WebSocket and tus, and where bytes are kept. Source: page 2 of the design.
"""

from __future__ import annotations

import asyncio
import mimetypes
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import NamedTuple
from weakref import WeakValueDictionary

from lading.janitor.sweep import Sweeper
from lading.protocol.digests import crc32c
from lading.protocol.errors import (
    AlreadyComplete,
    ChecksumMismatch,
    ChunkConflict,
    Forbidden,
    Gone,
    Incomplete,
    InvalidArgument,
    LadingError,
    NotFound,
    OutOfBounds,
    StorageFull,
    TooLarge,
    Unavailable,
)
from lading.protocol.manifest import (
    MAX_ATTEMPT,
    MAX_INTEGER,
    Coverage,
    Manifest,
    Piece,
    State,
    cell_start,
    check_bounds,
    coverage,
    fills_cell,
)
from lading.protocol.spec import UploadSpec, check_id, check_sha256, choose_chunk_size
from lading.server.access.principal import Principal
from lading.server.background import Tasks, ignore_result
from lading.server.settings import Settings
from lading.server.uploads.deletion import Deletion
from lading.server.uploads.media_type import content_type
from lading.server.uploads.reader import Reader
from lading.server.uploads.verifier import Progress, Verifier
from lading.storage.blobs.base import Blobs
from lading.storage.collections.chunks import Chunks
from lading.storage.collections.grants import Grants
from lading.storage.collections.manifests import Manifests, new_id
from lading.storage.collections.quotas import Quotas
from lading.storage.collections.tags import Tags
from lading.storage.contents import Contents

WATERMARK_SECONDS = 1.0
"""The manifest's `upload_size` and `expires_at` are refreshed at most this often."""

REMEMBERED = 1024
"""Uploads of which the last piece came by a request of its own, and whose next one may."""

REMEMBERED_SECONDS = 120.0
"""A tombstone that is kept for longer than this outlives any write that was on its way."""

_REPLACED = "The bytes of the upload were replaced by others meanwhile; try again."


@dataclass(slots=True, weakref_slot=True)
class OpenUpload:
    """An upload under way, shared by the connections of this process that write to it."""

    manifest: Manifest
    stored: int
    touched_at: float
    finishing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by the one FINISH that verifies; others then find what it came to."""

    def know(self, manifest: Manifest, stored: int) -> None:
        """Take in what was read; of an earlier attempt it may come late, and is nothing new."""
        if manifest.attempt > self.manifest.attempt:
            self.manifest, self.stored = manifest, stored
        elif manifest.attempt == self.manifest.attempt:
            self.manifest, self.stored = manifest, max(self.stored, stored)


class Written(NamedTuple):
    """A durable piece: its length, and how much of the upload is stored in all."""

    size: int
    upload_size: int


def _endless() -> None:
    """There is always room, as far as a store that does not tell is concerned."""


class Uploads:
    """All uploads of the server."""

    def __init__(
        self,
        settings: Settings,
        manifests: Manifests,
        chunks: Chunks,
        blobs: Mapping[str, Blobs],
        *,
        quotas: Quotas,
        grants: Grants,
        tags: Tags,
        sweeper: Sweeper,
        clock: Callable[[], float] = time.time,
        check_free_space: Callable[[], None] = _endless,
    ) -> None:
        self._settings = settings
        self._manifests = manifests
        self._contents = Contents(chunks, blobs)
        self._quotas = quotas
        self._grants = grants
        self._tags = tags
        self._clock = clock
        self._check_free_space = check_free_space
        self._touch_seconds = min(WATERMARK_SECONDS, settings.upload_ttl / 4)
        self._reader = Reader(self._contents, self._replaced)
        self._verifier = Verifier(self._contents, self._reader)
        self._deletion = Deletion(sweeper)
        self._publishing = Tasks()
        self._open: WeakValueDictionary[str, OpenUpload] = WeakValueDictionary()
        self._recent: deque[OpenUpload] = deque(maxlen=REMEMBERED)

    # -- beginning

    async def create(self, principal: Principal, spec: UploadSpec) -> OpenUpload:
        """A new upload of the principal's; raises InvalidArgument, QuotaExceeded, Unavailable.

        With a grant also Forbidden, TooLarge, UnsupportedMediaType, and one use of it is counted.
        """
        spec.check()
        self._check_free_space()
        now, grant = self._clock(), principal.grant
        if grant is not None:
            spec = grant.admit(spec)
        guessed, _ = mimetypes.guess_type(spec.name)
        mime_type = spec.mime_type or guessed or "application/octet-stream"
        manifest = Manifest(
            id=new_id(now),
            user_id=principal.user_id,
            name=spec.name,
            directory=spec.directory,
            size=spec.size,
            mime_type=mime_type,
            chunk_size=choose_chunk_size(
                spec.chunk_size, self._settings.chunk_size, self._settings.largest_chunk
            ),
            sha256=spec.sha256,
            tags=spec.tags,
            fingerprint=spec.fingerprint,
            grant_id=None if grant is None else grant.id,
            max_size=None if grant is None else grant.limit,
            created_at=now,
            updated_at=now,
            expires_at=now + self._settings.upload_ttl,
        )
        if grant is not None:
            grant.check_type(mime_type)
            await self._grants.use(grant, manifest.id, now)
        await self._begin(manifest)
        return self._share(manifest, 0)

    async def _begin(self, manifest: Manifest) -> None:
        """Reserve, then insert; a use of a grant, counted before, is given back on failure."""
        # Reserved first: a crash in between leaves a reservation, which the janitor gives back,
        # and never an upload that nothing was reserved for.
        try:
            await self._quotas.reserve(manifest.user_id, manifest.id, manifest.size or 0)
        except LadingError:
            await self._give_back(manifest)
            raise
        try:
            await self._manifests.create(manifest)
        except StorageFull:
            # Certainly not kept. After any other failure it may be, or come to be: then the
            # reservation stays, and the janitor gives it back if there is no upload; a use of a
            # grant stays counted, for there may be no more uploads than uses.
            await self._quotas.release(manifest.user_id, manifest.id)
            await self._give_back(manifest)
            raise

    async def _give_back(self, manifest: Manifest) -> None:
        if manifest.grant_id is not None:
            await self._grants.give_back(manifest.grant_id, manifest.id)

    async def resume(self, principal: Principal, upload_id: str) -> tuple[OpenUpload, Coverage]:
        """An upload of the principal's to go on with, and what is durable of it.

        Raises NotFound, Gone. A finished upload is opened with nothing missing.
        """
        manifest = await self.get(principal, upload_id)
        if manifest.state is State.READY:
            assert manifest.size is not None
            return self._share(manifest, manifest.size), Coverage(manifest.size, manifest.size, [])
        stored = await self.coverage(manifest)
        # What the index shows may be younger than the journal; the touch makes it durable.
        touched = await self._touch(manifest, stored.upload_size)
        return self._share(touched, stored.upload_size), stored

    async def join(self, principal: Principal, upload_id: str) -> OpenUpload:
        """An upload of the principal's to write one piece to.

        It is remembered for a while, since more pieces are likely to come, each by itself.
        """
        manifest = await self.get(principal, upload_id)
        upload = self._open.get(manifest.id)
        if upload is None:
            upload = self._share(manifest, (await self.coverage(manifest)).upload_size)
        else:
            upload.know(manifest, manifest.upload_size)
        self._recent.append(upload)
        return upload

    def _share(self, manifest: Manifest, stored: int) -> OpenUpload:
        upload = self._open.get(manifest.id)
        if upload is None:
            upload = OpenUpload(manifest, stored, manifest.updated_at)
            self._open[manifest.id] = upload
        else:
            upload.know(manifest, stored)
        return upload

    # -- looking

    async def get(self, principal: Principal, upload_id: str) -> Manifest:
        """The manifest of an upload or file of the principal's; raises NotFound, Gone."""
        found = await self._manifests.get(check_id(upload_id))
        manifest = principal.check_owner(found, upload_id)
        _refuse_tombstone(manifest)
        return manifest

    async def find(self, upload_id: str, user_id: str | None) -> Manifest:
        """The manifest of an upload or file of that user's, or whosesoever if None.

        For those who may act for every user; raises NotFound, Gone.
        """
        found = await self._manifests.get(check_id(upload_id))
        if found is None or user_id not in (None, found.user_id):
            raise NotFound(f"There is no upload or file {upload_id}.")
        _refuse_tombstone(found)
        return found

    async def unfinished(
        self, principal: Principal, fingerprint: str | None = None, most: int = 100
    ) -> list[tuple[Manifest, Coverage]]:
        """The principal's uploads under way, the newest first, with what is stored of each."""
        grant_id = None if principal.grant is None else principal.grant.id
        manifests = await self._manifests.unfinished(
            principal.user_id, fingerprint, most, grant_id=grant_id
        )
        return [(manifest, await self.coverage(manifest)) for manifest in manifests]

    async def coverage(self, manifest: Manifest) -> Coverage:
        """What is stored of an upload."""
        # A run without a hole covers what its pieces do.
        runs = await self._contents.runs(manifest)
        return coverage([Piece(start, end - start, 0) for start, end in runs], manifest.size)

    def pieces(self, manifest: Manifest) -> AsyncIterator[Piece]:
        """The stored pieces of an upload or file, in order."""
        if manifest.size is None:
            return self._contents.pieces(manifest)
        return self._contents.pieces(manifest, 0, manifest.size)

    # -- writing

    async def write(
        self,
        upload: OpenUpload,
        slice_start: int,
        data: bytes,
        checksum: int,
        *,
        whole_cells: bool = True,
    ) -> Written:
        """Store a piece; it is durable on return, and once more changes nothing.

        `whole_cells` is for transports that fill cells: the piece must reach the end of its cell.
        Raises ChecksumMismatch, OutOfBounds, TooLarge, ChunkConflict, AlreadyComplete, Gone,
        NotFound, StorageFull, Unavailable; then nothing was stored.
        """
        size = len(data)
        if crc32c(data) != checksum:
            raise ChecksumMismatch("The piece was damaged on its way; send it again.")
        manifest = await self._look(upload)
        check_bounds(slice_start, size, manifest.chunk_size, manifest.size)
        if manifest.max_size is not None and slice_start + size > manifest.max_size:
            limit = manifest.max_size
            raise TooLarge(f"The grant allows at most {limit} bytes.", limit=limit)
        piece = Piece(slice_start, size, checksum)
        if manifest.state is State.READY:
            return await self._write_again(upload, piece)
        if whole_cells and not fills_cell(slice_start, size, manifest.chunk_size, manifest.size):
            raise OutOfBounds("A piece must reach the end of its cell.")
        await self._check_chain(manifest, slice_start)
        self._check_free_space()
        if manifest.size is None and not await self._quotas.grow(
            manifest.user_id, manifest.id, piece.end
        ):
            upload.manifest = await self._ended(manifest.id)
            return await self._write_again(upload, piece)
        fresh = await self._contents.write(manifest, piece, data)
        if fresh:
            # A RESUME at this moment may have counted the piece already.
            upload.stored = min(upload.stored + size, manifest.size or MAX_INTEGER)
        await self._confirm(upload, manifest, piece, fresh)
        if upload.manifest.attempt != manifest.attempt:
            return await self.write(upload, slice_start, data, checksum, whole_cells=whole_cells)
        return Written(size, upload.stored)

    async def _look(self, upload: OpenUpload) -> Manifest:
        """The manifest as it was in the database a moment ago; raises Gone, NotFound.

        A piece of an upload that has been dead for long would be stored for ever: its tombstone,
        with which the janitor clears late pieces, may be purged.
        """
        if upload.manifest.state is State.UPLOADING:
            await self.touch(upload)
        _refuse_tombstone(upload.manifest)
        return upload.manifest

    async def _confirm(
        self, upload: OpenUpload, manifest: Manifest, piece: Piece, fresh: bool
    ) -> None:
        """Look again where the piece may have come too late; one that did is deleted.

        Raises Gone, NotFound, AlreadyComplete.
        """
        # Of unknown length it may lie behind the end of a file that was published meanwhile. One
        # that was there may have come from a connection whose journal sync is still due: the touch
        # carries it, too. And with tombstones that go soon there may be none any more, with which
        # the janitor would clear it.
        growing = manifest.size is None
        at_once = growing or not fresh or self._settings.tombstone_ttl < REMEMBERED_SECONDS
        reach = piece.end if growing and upload.manifest.attempt == manifest.attempt else 0
        try:
            await self.touch(upload, at_once=at_once, reach=reach)
        except (Gone, NotFound):
            await self._contents.remove(manifest, piece)
            raise
        ended = upload.manifest
        if ended.size is not None and ended.size < piece.end and ended.attempt == manifest.attempt:
            upload.stored = ended.size
            await self._contents.remove(manifest, piece)
            raise AlreadyComplete("The upload is complete, and ends before this piece.")

    async def touch(self, upload: OpenUpload, *, at_once: bool = False, reach: int = 0) -> None:
        """Note activity, if it was not noted just now; raises Gone, NotFound."""
        now, before = self._clock(), upload.touched_at
        # A clock that was set back must not put the next touch off.
        if not at_once and 0 <= now - before < self._touch_seconds:
            return
        upload.touched_at = now
        try:
            touched = await self._touch(upload.manifest, upload.stored, reach)
        except LadingError:
            upload.touched_at = before
            raise
        upload.know(touched, touched.upload_size)

    async def _write_again(self, upload: OpenUpload, piece: Piece) -> Written:
        if await self._contents.at(upload.manifest, piece.slice_start) != piece:
            raise AlreadyComplete("The upload is complete; nothing can be added to it.")
        return Written(piece.size, upload.stored)

    async def _check_chain(self, manifest: Manifest, slice_start: int) -> None:
        """A piece begins with its cell or where a stored piece ends, so that none overlap."""
        start = cell_start(slice_start, manifest.chunk_size)
        if slice_start == start:
            return
        before = await self._contents.before(manifest, slice_start)
        if before is None or before.end != slice_start:
            raise OutOfBounds(
                "A piece must begin at the start of its cell or where a stored piece ends."
            )

    async def begin_again(self, upload: OpenUpload) -> None:
        """Give up the bytes of an upload for others, which are then stored as into a new one.

        Raises NotFound, Gone, and ChunkConflict when that was done too often. Nothing happens when
        the upload is complete, or when another began it again.
        """
        manifest = upload.manifest
        if manifest.attempt >= MAX_ATTEMPT:
            raise ChunkConflict("Other bytes are stored, and were replaced too often: abort it.")
        now = self._clock()
        begun = await self._manifests.begin_again(manifest.id, manifest.attempt, now)
        begun = begun or await self._ended(manifest.id)
        upload.know(begun, begun.upload_size)
        await self._contents.forget(manifest)

    async def _touch(self, manifest: Manifest, stored: int, reach: int = 0) -> Manifest:
        now = self._clock()
        touched = await self._manifests.touch(
            manifest.id,
            now=now,
            expires_at=now + self._settings.upload_ttl,
            upload_size=stored,
            reach=reach,
            attempt=manifest.attempt,
        )
        return touched or await self._ended(manifest.id)

    async def _ended(self, upload_id: str) -> Manifest:
        """The manifest of an upload that ended: ready, or an error. Or it has begun again."""
        manifest = await self._manifests.get(upload_id)
        if manifest is None:
            raise NotFound(f"There is no upload or file {upload_id}.")
        _refuse_tombstone(manifest)
        return manifest

    # -- ending

    async def finish(
        self,
        principal: Principal,
        upload_id: str,
        size: int | None = None,
        sha256: str | None = None,
        *,
        progress: Progress | None = None,
        hashed: str | None = None,
        head: bytes | None = None,
    ) -> Manifest:
        """Prove that the upload is whole and publish it; once more gives the same answer.

        `hashed` is the SHA-256 that the transport itself computed over every byte it stored; then
        nothing is read back. `head` is the file's beginning, where the transport has it at hand.

        Raises Incomplete with `missing`, ChecksumMismatch, InvalidArgument, NotFound, Gone; the
        upload then stays as it is.
        """
        manifest = await self.get(principal, upload_id)
        upload = self._share(manifest, manifest.upload_size)
        async with self._alive(upload), upload.finishing:
            if upload.manifest.state is not manifest.state:
                manifest = await self.get(principal, upload_id)  # another FINISH was faster
            agreed, digest = _agree(manifest, size, sha256)
            if manifest.state is State.READY:
                if manifest.sha256 is None:
                    await self._verifier.digest(manifest, agreed, digest, hashed, progress)
                await self._quotas.keep(manifest.user_id, manifest.id, agreed)
                return manifest
            try:
                checksum = await self._verifier.prove(manifest, agreed)
            except Incomplete:
                # Pieces are missing, too, where the upload was deleted a moment ago.
                await self._ended(manifest.id)
                raise
            hashed = await self._verifier.digest(manifest, agreed, digest, hashed, progress)
            head = await self._verifier.head(manifest, agreed) if head is None else head
            mime_type = content_type(manifest.mime_type, head)
            if principal.grant is not None:
                principal.grant.check_type(mime_type)
            await self._tags.note(manifest.user_id, manifest.tags, self._clock())
            await self._contents.forget(manifest)
            publishing = self._publish(manifest, agreed, checksum, hashed, mime_type)
            task = self._publishing.spawn(publishing)
            task.add_done_callback(ignore_result)
            return await asyncio.shield(task)

    async def _publish(
        self, manifest: Manifest, size: int, checksum: int, hashed: str | None, mime_type: str
    ) -> Manifest:
        """Let others see the file, and charge its owner for it."""
        published = await self._manifests.finish(
            manifest.id,
            now=self._clock(),
            size=size,
            crc32c=checksum,
            sha256=hashed,
            mime=mime_type,
            attempt=manifest.attempt,
        )
        published = published or await self._ended(manifest.id)
        if published.attempt != manifest.attempt:
            raise Unavailable(_REPLACED)
        if published.state is State.UPLOADING:
            raise InvalidArgument(f"Bytes are being stored beyond the size {size}.")
        if published.size != size:
            raise InvalidArgument(f"Another FINISH, with the size {published.size}, was faster.")
        await self._quotas.keep(manifest.user_id, manifest.id, size)
        upload = self._open.get(manifest.id)
        if upload is not None:
            upload.manifest, upload.stored = published, size
        return published

    async def settle(self) -> None:
        """Wait for what is being published, and stop deleting: the janitor goes on with that."""
        await self._deletion.stop()
        await self._publishing.settle()

    @asynccontextmanager
    async def _alive(self, upload: OpenUpload) -> AsyncIterator[None]:
        """Keep the upload alive while it is verified: that may take longer than it lives."""
        if upload.manifest.state is State.UPLOADING:
            await self.touch(upload)
        noting = asyncio.create_task(self._note_activity(upload))
        try:
            yield
        finally:
            noting.cancel()
            await asyncio.gather(noting, return_exceptions=True)

    async def _note_activity(self, upload: OpenUpload) -> None:
        while upload.manifest.state is State.UPLOADING:
            await asyncio.sleep(self._touch_seconds)
            # Who verifies will meet what is wrong, too, if it is more than a moment's trouble.
            with suppress(LadingError):
                await self.touch(upload)

    async def remove(self, principal: Principal, upload_id: str) -> None:
        """Delete an upload or file; raises NotFound, Gone.

        It is gone, and its quota free, on return; the bytes of a very large one go by and by.
        The bearer of a grant may abort what it began, and not delete the file that it became.
        """
        refusal = Forbidden("The upload is complete; a grant cannot delete the file.")
        await self._delete(principal, upload_id, refusal if principal.grant else None)

    async def abort(self, principal: Principal, upload_id: str) -> None:
        """Delete an upload under way; raises AlreadyComplete when it is a file, NotFound, Gone."""
        refusal = AlreadyComplete("The upload is complete; delete the file at /v1/files instead.")
        await self._delete(principal, upload_id, refusal)

    async def _delete(
        self, principal: Principal, upload_id: str, refusal: LadingError | None
    ) -> None:
        """Delete an upload, or the file that it became unless there is a `refusal` of that."""
        manifest = await self.get(principal, upload_id)
        mine = (State.UPLOADING,) if refusal else (State.UPLOADING, State.READY)
        now = self._clock()
        marked = await self._manifests.mark_deleted(
            manifest.id,
            now=now,
            becomes=State.DELETED,
            until=now + self._settings.tombstone_ttl,
            only=mine,
        )
        if marked is None:
            if refusal is not None:
                current = await self._manifests.get(manifest.id)
                if current is not None and current.state is State.READY:
                    raise refusal
            # It died just now, by another's hand, or by ours and the answer was lost: the janitor
            # sees to the rest.
            return
        upload = self._open.get(manifest.id)
        if upload is not None:
            upload.manifest = marked
        await self._deletion.empty(marked)

    async def withdraw(self, principal: Principal, upload_id: str) -> None:
        """Delete an upload of a transport that takes all or nothing: a grant is not used by it."""
        manifest = await self.get(principal, upload_id)
        await self.remove(principal, upload_id)
        await self._give_back(manifest)

    # -- reading

    def read(self, manifest: Manifest, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """The bytes `[start, end)`, verified piece by piece; see `Reader.read`.

        All of them must be stored. Raises Internal when stored bytes are damaged or gone.
        """
        return self._reader.read(manifest, start, end)

    async def _replaced(self, manifest: Manifest) -> None:
        """Say why a piece of the upload is not there any more, where there is a reason."""
        if (await self._ended(manifest.id)).attempt != manifest.attempt:
            raise Unavailable(_REPLACED)


def nothing_stored(manifest: Manifest) -> Coverage:
    """What is stored of an upload that was created just now."""
    return coverage([], manifest.size)


def _refuse_tombstone(manifest: Manifest) -> None:
    if manifest.state is State.EXPIRED:
        raise Gone("The upload stood still for too long and was removed; start it again.")
    if manifest.state is State.DELETED:
        raise NotFound(f"There is no upload or file {manifest.id}.")


def _agree(manifest: Manifest, size: int | None, sha256: str | None) -> tuple[int, str | None]:
    """The length and digest that creating and finishing agree on."""
    if sha256 is not None:
        check_sha256(sha256)
    if manifest.size is None and size is None:
        raise InvalidArgument("The size was not known at the start, so FINISH must give it.")
    if None not in (manifest.size, size) and manifest.size != size:
        raise InvalidArgument(f"The size is {manifest.size}, not {size}.")
    if None not in (manifest.sha256, sha256) and manifest.sha256 != sha256:
        raise ChecksumMismatch(f"The SHA-256 was declared as {manifest.sha256}.")
    agreed = manifest.size if manifest.size is not None else size
    assert agreed is not None
    return agreed, manifest.sha256 or sha256
