"""FINISH: the proof that an upload is whole, and the one write that publishes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

from lading.protocol.errors import (
    ChecksumMismatch,
    Incomplete,
    InvalidArgument,
    LadingError,
    Unavailable,
)
from lading.protocol.kinds import Kinds
from lading.protocol.manifest import Approval, Manifest, State
from lading.protocol.spec import check_sha256
from lading.protocol.tus import PARTIAL
from lading.server.access.principal import Principal
from lading.server.background import Tasks, ignore_result
from lading.server.hooks import ignore
from lading.server.uploads.approval import Approvals
from lading.server.uploads.audit import Audit
from lading.server.uploads.direct import DirectUploads
from lading.server.uploads.follows import follows, pictured
from lading.server.uploads.media_type import content_type
from lading.server.uploads.open_uploads import REPLACED, OpenUpload, OpenUploads
from lading.server.uploads.pictures import Pictures
from lading.server.uploads.replace import Replacer
from lading.server.uploads.resume import is_joining
from lading.server.uploads.todo import Todo
from lading.server.uploads.verifier import Progress, Proven, Verifier
from lading.storage.collections.audit import Act
from lading.storage.collections.outbox import (
    APPROVE,
    CONCAT,
    DERIVE,
    MOVE,
    NOTIFY,
    PLACE,
    REPLACE,
)
from lading.storage.open import Storage


class Finisher:
    """Publishes uploads. For `lease` seconds it is this process that brings them to their place."""

    def __init__(
        self,
        storage: Storage,
        uploads: OpenUploads,
        kinds: Kinds,
        verifier: Verifier,
        *,
        todo: Todo,
        pictures: Pictures,
        lease: float,
        direct: DirectUploads,
        approvals: Approvals,
        replacer: Replacer,
        audit: Audit,
        approve_wait: float,
        observe: Callable[[], None] = ignore,
    ) -> None:
        """`observe` hears of each upload that became a file."""
        self._storage = storage
        self._direct = direct
        self._uploads = uploads
        self._kinds = kinds
        self._verifier = verifier
        self._todo = todo
        self._pictures = pictures
        self._lease = lease
        self._approvals = approvals
        self._replacer = replacer
        self._audit = audit
        self._approve_wait = approve_wait
        self._observe = observe
        self._publishing = Tasks()

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
        proven: Proven | None = None,
        patience: float | None = None,
    ) -> Manifest:
        """Prove that the upload is whole and publish it; a second call returns the same.

        `hashed` is the SHA-256 that the transport itself computed over every byte it stored; then
        nothing is read back. `head` is the file's beginning, where the transport has it at hand.
        `proven` is for a caller that created the upload and stored all of it.
        Where the site approves files first, this waits for it for `patience` seconds, or for the
        usual time if None.

        Raises Incomplete with `missing`, ChecksumMismatch, InvalidArgument, NotFound, Gone; the
        upload then stays as it is. Raises Rejected where it was not approved, and Undecided.
        """
        patience = self._approve_wait if patience is None else patience
        until = asyncio.get_running_loop().time() + patience
        upload = None if proven is None else self._uploads.peek(upload_id)
        if upload is not None and upload.manifest.state is State.UPLOADING:
            # The caller's own. Whether it still is as it was, the write that publishes it sees.
            manifest = upload.manifest
        else:
            manifest = await self._uploads.get(principal, upload_id, replacing=True)
            upload = self._uploads.share(manifest, manifest.upload_size)
        finish = partial(
            self._finish,
            principal,
            size,
            sha256,
            progress=progress,
            hashed=hashed,
            head=head,
            proven=proven,
        )
        async with self._alive(upload):
            while True:
                async with upload.finishing:
                    if upload.manifest.state is not manifest.state:
                        # Another FINISH was first.
                        manifest = await self._uploads.get(principal, upload_id, replacing=True)
                    if manifest.state is State.REPLACING:
                        return await self._replaced(manifest)
                    found = await finish(manifest)
                if found.state is State.READY:
                    return found
                await self._approvals.decided(found, until, progress)
                manifest = await self._uploads.get(principal, upload_id, replacing=True)

    async def _finish(
        self,
        principal: Principal,
        size: int | None,
        sha256: str | None,
        manifest: Manifest,
        *,
        progress: Progress | None,
        hashed: str | None,
        head: bytes | None,
        proven: Proven | None,
    ) -> Manifest:
        """The published file, or the upload that waits for approval."""
        if manifest.concat == PARTIAL:
            raise InvalidArgument("This is a part of a file: name it in Upload-Concat.")
        if is_joining(manifest) and manifest.size is None:
            raise InvalidArgument("This is made of its parts, and finished when they are here.")
        agreed, digest = _agree(manifest, size, sha256)
        if manifest.state is State.READY:
            if manifest.sha256 is None:
                await self._verifier.digest(manifest, agreed, digest, hashed, progress)
            await self._charge(manifest, agreed)
            return manifest
        if manifest.approving and self._approvals.required:
            return manifest
        sent = await self._direct.arrived(manifest, agreed)
        if sent is not None:
            sent = await self._hashed(manifest, sent, digest, progress)
            mime_type = await self._type(principal, sent, agreed, None)
            ends = self._expires_at(manifest, self._storage.clock())
            todo = pictured(mime_type)
            sent = replace(sent, mime_type=mime_type, todo=todo, expires_at=ends)
            if self._approvals.required:
                return await self._ask(manifest, sent)
            return await self._shielded(self._publish_direct(manifest, sent, by=principal))
        try:
            checksum = await self._verifier.prove(manifest, agreed, proven)
        except Incomplete:
            # Pieces are also missing where the upload was deleted a moment ago.
            await self._uploads.after_end(manifest.id)
            raise
        hashed = hashed or self._uploads.hashed(manifest, agreed)
        hashed = await self._verifier.digest(manifest, agreed, digest, hashed, progress)
        mime_type = await self._type(principal, manifest, agreed, head)
        await self._storage.contents.forget(manifest)
        if self._approvals.required:
            file = replace(
                manifest, size=agreed, crc32c=checksum, sha256=hashed, mime_type=mime_type
            )
            return await self._ask(manifest, file)
        publishing = self._publish(manifest, agreed, checksum, hashed, mime_type, by=principal)
        return await self._shielded(publishing)

    async def _ask(self, manifest: Manifest, file: Manifest) -> Manifest:
        """Let somebody approve `file`, which an upload was proven to be; returns the upload."""
        assert file.size is not None
        proven = Approval(
            since=self._storage.clock(),
            attempt=manifest.attempt,
            size=file.size,
            crc32c=file.crc32c,
            sha256=file.sha256,
            mime_type=file.mime_type,
            blobs=file.blobs,
            etag=file.etag,
            left=_joins(manifest),
        )
        asked = await self._approvals.ask(manifest, proven)
        if asked is None:
            asked = await self._uploads.after_end(manifest.id)
            if not asked.approving:
                return await self._published(manifest, file.size, asked)
        return asked

    async def publish_approved(self, manifest: Manifest) -> Manifest:
        """Publish an upload as it was proven, once it is approved.

        Raises Unavailable where its bytes were replaced since.
        """
        proven = manifest.approval
        assert proven is not None
        left = (APPROVE, *proven.left)
        if proven.crc32c is None:
            todo = (*left, *pictured(proven.mime_type))
            ends = self._expires_at(manifest, self._storage.clock())
            file = replace(manifest.as_approved(), todo=todo, expires_at=ends)
            return await self._shielded(self._publish_direct(manifest, file))
        facts = (proven.size, proven.crc32c, proven.sha256, proven.mime_type)
        return await self._shielded(self._publish(manifest, *facts, left=left))

    async def _type(
        self, principal: Principal, manifest: Manifest, size: int, head: bytes | None
    ) -> str:
        """The media type of the file, by its first bytes; its tags are noted."""
        head = await self._verifier.head(manifest, size) if head is None else head
        mime_type = content_type(manifest.mime_type, head)
        if principal.grant is not None:
            principal.grant.check_type(mime_type)
        kind = self._kinds.get(manifest.kind)
        if kind is not None:
            kind.check_type(mime_type)
        await self._storage.tags.note(manifest.user_id, manifest.tags, self._storage.clock())
        return mime_type

    async def _shielded(self, publishing: Coroutine[Any, Any, Manifest]) -> Manifest:
        """Publish, also when the caller's connection closes meanwhile."""
        task = self._publishing.spawn(publishing)
        task.add_done_callback(ignore_result)
        return await asyncio.shield(task)

    async def _hashed(
        self, manifest: Manifest, sent: Manifest, wanted: str | None, progress: Progress | None
    ) -> Manifest:
        """What was sent to the bucket, with its SHA-256; another than `wanted` is refused."""
        assert sent.size is not None
        try:
            found = await self._verifier.digest(sent, sent.size, wanted, sent.sha256, progress)
        except ChecksumMismatch:
            await self._direct.refuse(manifest)
            raise
        return replace(sent, sha256=found)

    async def _publish_direct(
        self, manifest: Manifest, file: Manifest, *, by: Principal | None = None
    ) -> Manifest:
        now = self._storage.clock()
        claimed_until = now + self._lease if APPROVE in file.todo else now
        published = await self._storage.manifests.finish_direct(file, now, claimed_until)
        if published is not None:
            await self._direct.clear(manifest)
        return await self._published(manifest, file.size or 0, published, by)

    async def _publish(
        self,
        manifest: Manifest,
        size: int,
        checksum: int,
        hashed: str | None,
        mime_type: str,
        *,
        left: tuple[str, ...] | None = None,
        by: Principal | None = None,
    ) -> Manifest:
        """Let others see the file, charge its owner for it, and bring it to where it belongs.

        The steps `left` are not over yet; if None, those that an upload has left.
        """
        left = _joins(manifest) if left is None else left
        blobs, now = self._storage.blobs, self._storage.clock()
        becomes, word, ends = State.READY, follows(blobs, manifest), self._expires_at(manifest, now)
        shown = pictured(mime_type)
        if manifest.replaces is not None:
            becomes, word, ends, shown = State.REPLACING, REPLACE, None, ()
        published = await self._storage.manifests.finish(
            manifest.id,
            now=now,
            size=size,
            crc32c=checksum,
            sha256=hashed,
            mime=mime_type,
            attempt=manifest.attempt,
            expires_at=ends,
            move_to=blobs.home if word == MOVE else None,
            todo=(*left, *(() if word is None else (word,)), *shown),
            claimed_until=now + self._lease if left or word in (PLACE, REPLACE) else now,
            becomes=becomes,
        )
        return await self._published(manifest, size, published, by)

    async def _replaced(self, whole: Manifest) -> Manifest:
        """The file whose bytes are now those of an upload that is whole."""
        await self._todo.at_once(whole, REPLACE)
        file = await self._replacer.outcome(whole)
        upload = self._uploads.peek(whole.id)
        if upload is not None:
            upload.manifest, upload.stored = file, file.size or 0
        return file

    async def _published(
        self,
        manifest: Manifest,
        size: int,
        published: Manifest | None,
        by: Principal | None = None,
    ) -> Manifest:
        """What the write that publishes led to; it charges the owner for the file."""
        if published is not None:
            self._observe()
        if published is not None and published.state is State.REPLACING:
            return await self._replaced(published)
        if published is not None:
            noted = self._audit.note(Act.CREATED, by, published)
            await asyncio.gather(noted, self._charge(manifest, size))
        else:
            published = await self._published_before(manifest, size)
            await self._charge(manifest, size)
        if PLACE in published.todo:
            published = await self._todo.at_once(published, PLACE)
            if published.todo and not {APPROVE, CONCAT, PLACE} & {*published.todo}:
                await self._todo.release(published)
        upload = self._uploads.peek(manifest.id)
        if upload is not None:
            upload.manifest, upload.stored = published, size
        if {MOVE, NOTIFY} & {*published.todo}:
            self._todo.wake()
        if DERIVE in published.todo:
            self._pictures.todo.wake()
        return published

    async def _published_before(self, manifest: Manifest, size: int) -> Manifest:
        """The file, where another call was first; raises where it is not the same."""
        published = await self._uploads.after_end(manifest.id)
        if published.attempt != manifest.attempt:
            raise Unavailable(REPLACED)
        if published.state is State.UPLOADING:
            raise InvalidArgument(f"Bytes are being stored beyond the size {size}.")
        if published.size != size:
            raise InvalidArgument(f"Another FINISH, with the size {published.size}, was faster.")
        return published

    async def _charge(self, manifest: Manifest, size: int) -> None:
        """What was reserved for the file becomes what it takes, once at most."""
        await self._storage.quotas.keep(manifest.user_id, manifest.id, size)
        if manifest.request_id is not None:
            await self._storage.grants.settle(manifest.request_id, manifest.id, size)

    def _expires_at(self, manifest: Manifest, now: float) -> float | None:
        """When the file is deleted, by its kind; None where it stays."""
        kind = self._kinds.get(manifest.kind)
        return None if kind is None or kind.expires_in is None else now + kind.expires_in

    async def settle(self) -> None:
        """Wait for what is being published."""
        await self._publishing.settle()

    @asynccontextmanager
    async def _alive(self, upload: OpenUpload) -> AsyncIterator[None]:
        """Keep the upload alive while it is verified, which may take longer than it lives."""
        if upload.manifest.state is State.UPLOADING:
            await self._uploads.touch(upload)
        noting = asyncio.create_task(self._note_activity(upload))
        try:
            yield
        finally:
            noting.cancel()
            await asyncio.gather(noting, return_exceptions=True)

    async def _note_activity(self, upload: OpenUpload) -> None:
        while upload.manifest.state is State.UPLOADING:
            await asyncio.sleep(self._uploads.touch_seconds)
            # If the failure lasts, the verification meets it, too, and reports it.
            with suppress(LadingError):
                await self._uploads.touch(upload)


def _joins(manifest: Manifest) -> tuple[str, ...]:
    """The step that joins a final upload is not over with its publication: it deletes the parts."""
    if manifest.approving and manifest.approval is not None:
        return manifest.approval.left
    return tuple(each for each in manifest.todo if each == CONCAT)


def _agree(manifest: Manifest, size: int | None, sha256: str | None) -> tuple[int, str | None]:
    """The length and digest that CREATE and FINISH agree on."""
    if sha256 is not None:
        check_sha256(sha256)
    if manifest.size is None and size is None:
        raise InvalidArgument("The size was not known at the start, so FINISH must state it.")
    if None not in (manifest.size, size) and manifest.size != size:
        raise InvalidArgument(f"The size is {manifest.size}, not {size}.")
    if None not in (manifest.sha256, sha256) and manifest.sha256 != sha256:
        raise ChecksumMismatch(f"The SHA-256 was declared as {manifest.sha256}.")
    agreed = manifest.size if manifest.size is not None else size
    assert agreed is not None
    return agreed, manifest.sha256 or sha256
