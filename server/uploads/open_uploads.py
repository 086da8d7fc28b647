"""The uploads that this process knows: fetched for their owner, shared, and kept alive.

All connections of a process that write to one upload share one `OpenUpload`. Activity is noted in
the manifest, but not for every piece.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple
from weakref import WeakValueDictionary

from lading.protocol.errors import Gone, LadingError, NotFound, Rejected, Unavailable
from lading.protocol.manifest import Coverage, Manifest, Piece, State, coverage
from lading.protocol.spec import check_id
from lading.server.access.principal import Principal
from lading.server.limits import UploadLimits
from lading.server.uploads.running_digest import RunningDigest
from lading.storage.open import Storage

REPLACED = "The bytes of the upload were replaced by others in the meantime; try again."


@dataclass(slots=True, weakref_slot=True)
class OpenUpload:
    """An upload under way, shared by the connections of this process that write to it."""

    manifest: Manifest
    stored: int
    touched_at: float
    offset: int = 0
    """Up to here nothing is missing and all is durable, as far as this process knows."""
    running: RunningDigest | None = None
    """The SHA-256 so far, where FINISH will be asked for it."""
    _finishing: asyncio.Lock | None = None

    @property
    def finishing(self) -> asyncio.Lock:
        """Held by the one FINISH that verifies. The others then find its result."""
        if self._finishing is None:
            self._finishing = asyncio.Lock()
        return self._finishing

    def know(self, manifest: Manifest, stored: int) -> None:
        """Take in what was read. News of an earlier attempt may come late and is ignored."""
        if manifest.attempt > self.manifest.attempt:
            self.manifest, self.stored, self.offset = manifest, stored, 0
        elif manifest.attempt == self.manifest.attempt:
            self.manifest, self.stored = manifest, max(self.stored, stored)


class Written(NamedTuple):
    """A durable piece: its length, and how many bytes of the upload are stored in all."""

    size: int
    upload_size: int


def nothing_stored(manifest: Manifest) -> Coverage:
    """What is stored of an upload that was created just now."""
    return coverage([], manifest.size)


class OpenUploads:
    """Looks uploads up, and keeps the ones that are written to alive."""

    def __init__(self, storage: Storage, upload_ttl: float, limits: UploadLimits) -> None:
        self._manifests = storage.manifests
        self._contents = storage.contents
        self._clock = storage.clock
        self._ttl = upload_ttl
        self.touch_seconds = min(limits.watermark_seconds, upload_ttl / 4)
        self._open: WeakValueDictionary[str, OpenUpload] = WeakValueDictionary()
        self._recent: deque[OpenUpload] = deque(maxlen=limits.remembered)

    # -- looking

    async def get(
        self, principal: Principal, upload_id: str, *, replacing: bool = False
    ) -> Manifest:
        """The manifest of an upload or file of the principal's; raises NotFound, Gone.

        For an upload that replaced a file, that file. Raises Unavailable while it is about to,
        unless that is asked for by `replacing`.
        """
        found = await self._followed(check_id(upload_id))
        owned = None if found is None else found.id
        manifest = principal.check_owner(found, owned or upload_id)
        refuse_tombstone(manifest)
        refuse_hidden(manifest, replacing=replacing)
        return manifest

    async def _followed(self, upload_id: str) -> Manifest | None:
        """The manifest with an id; of an upload that replaced a file, that of the file."""
        found = await self._manifests.get(upload_id)
        if found is not None and found.became is not None:
            return await self._manifests.get(found.became)
        return found

    async def get_any(self, principal: Principal, upload_id: str) -> Manifest:
        """The manifest that has just this id, also of a file in the trash."""
        found = await self._manifests.get(check_id(upload_id))
        manifest = principal.check_owner(found, upload_id)
        refuse_tombstone(manifest)
        return manifest

    async def find(self, upload_id: str, user_id: str | None) -> Manifest:
        """The manifest of an upload or file of that user, or of any user if None.

        For callers who may act for every user; raises NotFound, Gone.
        """
        found = await self._manifests.get(check_id(upload_id))
        if found is None or user_id not in (None, found.user_id):
            raise _not_found(upload_id)
        refuse_tombstone(found)
        refuse_hidden(found)
        return found

    async def after_end(self, upload_id: str) -> Manifest:
        """The manifest where an update found no upload under way: ready, or in a new attempt.

        Raises NotFound, Gone.
        """
        manifest = await self._followed(upload_id)
        if manifest is None:
            raise _not_found(upload_id)
        refuse_tombstone(manifest)
        refuse_hidden(manifest)
        return manifest

    async def coverage(self, manifest: Manifest) -> Coverage:
        """What is stored of an upload."""
        # A run without a hole covers the same bytes as its pieces.
        runs = await self._contents.runs(manifest)
        return coverage([Piece(start, end - start, 0) for start, end in runs], manifest.size)

    # -- sharing

    def peek(self, upload_id: str) -> OpenUpload | None:
        """The upload, if it is open in this process."""
        return self._open.get(upload_id)

    def hashed(self, manifest: Manifest, size: int) -> str | None:
        """The SHA-256 of an upload of that size, if this process computed it while storing it."""
        upload = self._open.get(manifest.id)
        if upload is None or upload.running is None:
            return None
        return upload.running.of(manifest.attempt, size)

    def share(self, manifest: Manifest, stored: int) -> OpenUpload:
        """The one object of this process for that upload."""
        upload = self._open.get(manifest.id)
        if upload is None:
            upload = OpenUpload(manifest, stored, manifest.updated_at)
            self._open[manifest.id] = upload
        else:
            upload.know(manifest, stored)
        return upload

    def remember(self, upload: OpenUpload) -> None:
        """Keep it in mind for a while although no connection holds it."""
        self._recent.append(upload)

    # -- activity

    async def touch(self, upload: OpenUpload, *, at_once: bool = False, reach: int = 0) -> None:
        """Note activity, unless that was done a moment ago; raises Gone, NotFound."""
        now, before = self._clock(), upload.touched_at
        # A clock that was set back must not delay the next touch.
        if not at_once and 0 <= now - before < self.touch_seconds:
            return
        upload.touched_at = now
        try:
            touched = await self.touch_manifest(upload.manifest, upload.stored, reach)
        except LadingError:
            upload.touched_at = before
            raise
        upload.know(touched, touched.upload_size)

    async def touch_manifest(self, manifest: Manifest, stored: int, reach: int = 0) -> Manifest:
        """Note activity in the manifest itself; raises Gone, NotFound."""
        now = self._clock()
        touched = await self._manifests.touch(
            manifest.id,
            now=now,
            expires_at=now + self._ttl,
            upload_size=stored,
            reach=reach,
            attempt=manifest.attempt,
        )
        return touched or await self.after_end(manifest.id)


def refuse_tombstone(manifest: Manifest) -> None:
    """Raise Gone for an expired upload, Rejected for a refused one, NotFound for a deleted one."""
    if manifest.state is State.EXPIRED and manifest.upload_end:
        raise Gone("The file was to be kept until its `expires_at`, and was deleted then.")
    if manifest.state is State.EXPIRED:
        raise Gone("The upload was idle for too long and was removed; start it again.")
    if manifest.rejected:
        raise Rejected
    if manifest.state is State.DELETED:
        raise _not_found(manifest.id)


def refuse_hidden(manifest: Manifest, *, replacing: bool = False) -> None:
    """Raise NotFound for a file in the trash: only its owner's trash shows it.

    Raise Unavailable for an upload that is about to replace a file, unless `replacing`.
    """
    if manifest.state is State.TRASHED:
        raise _not_found(manifest.id)
    if manifest.state is State.REPLACING and not replacing:
        raise Unavailable("The upload is whole, and is about to replace its file; try again.")


def _not_found(upload_id: str) -> NotFound:
    return NotFound(f"There is no upload or file {upload_id}.")
