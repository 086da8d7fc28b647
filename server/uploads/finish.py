"""FINISH: the proof that an upload is whole, and the one write that publishes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

from lading.protocol.errors import (
    ChecksumMismatch,
    Incomplete,
    InvalidArgument,
    LadingError,
    Unavailable,
)
from lading.protocol.kinds import Kinds
from lading.protocol.manifest import Manifest, State
from lading.protocol.spec import check_sha256
from lading.server.access.principal import Principal
from lading.server.background import Tasks, ignore_result
from lading.server.uploads.derive import has_pictures
from lading.server.uploads.direct import DirectUploads
from lading.server.uploads.media_type import content_type
from lading.server.uploads.open_uploads import REPLACED, OpenUpload, OpenUploads
from lading.server.uploads.pictures import Pictures
from lading.server.uploads.todo import Todo
from lading.server.uploads.verifier import Progress, Verifier
from lading.storage.collections.outbox import DERIVE, MOVE, PLACE
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
    ) -> None:
        self._storage = storage
        self._direct = direct
        self._uploads = uploads
        self._kinds = kinds
        self._verifier = verifier
        self._todo = todo
        self._pictures = pictures
        self._lease = lease
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
    ) -> Manifest:
        """Prove that the upload is whole and publish it; a second call returns the same.

        `hashed` is the SHA-256 that the transport itself computed over every byte it stored; then
        nothing is read back. `head` is the file's beginning, where the transport has it at hand.

        Raises Incomplete with `missing`, ChecksumMismatch, InvalidArgument, NotFound, Gone; the
        upload then stays as it is.
        """
        manifest = await self._uploads.get(principal, upload_id)
        upload = self._uploads.share(manifest, manifest.upload_size)
        async with self._alive(upload), upload.finishing:
            if upload.manifest.state is not manifest.state:
                manifest = await self._uploads.get(principal, upload_id)  # another FINISH was first
            agreed, digest = _agree(manifest, size, sha256)
            if manifest.state is State.READY:
                if manifest.sha256 is None:
                    await self._verifier.digest(manifest, agreed, digest, hashed, progress)
                await self._storage.quotas.keep(manifest.user_id, manifest.id, agreed)
                return manifest
            sent = await self._direct.arrived(manifest, agreed)
            if sent is not None:
                sent = await self._hashed(manifest, sent, digest, progress)
                mime_type = await self._type(principal, sent, agreed, None)
                sent = replace(sent, mime_type=mime_type, todo=_pictured(mime_type))
                return await self._shielded(self._publish_direct(manifest, sent))
            try:
                checksum = await self._verifier.prove(manifest, agreed)
            except Incomplete:
                # Pieces are also missing where the upload was deleted a moment ago.
                await self._uploads.after_end(manifest.id)
                raise
            hashed = await self._verifier.digest(manifest, agreed, digest, hashed, progress)
            mime_type = await self._type(principal, manifest, agreed, head)
            await self._storage.contents.forget(manifest)
            publishing = self._publish(manifest, agreed, checksum, hashed, mime_type)
            return await self._shielded(publishing)

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

    async def _publish_direct(self, manifest: Manifest, file: Manifest) -> Manifest:
        published = await self._storage.manifests.finish_direct(file, self._storage.clock())
        if published is not None:
            await self._direct.clear(manifest)
        return await self._published(manifest, file.size or 0, published)

    async def _publish(
        self, manifest: Manifest, size: int, checksum: int, hashed: str | None, mime_type: str
    ) -> Manifest:
        """Let others see the file, charge its owner for it, and bring it to where it belongs."""
        now, word, home = self._storage.clock(), self._follows(manifest), self._storage.blobs.home
        published = await self._storage.manifests.finish(
            manifest.id,
            now=now,
            size=size,
            crc32c=checksum,
            sha256=hashed,
            mime=mime_type,
            attempt=manifest.attempt,
            move_to=home if word == MOVE else None,
            todo=(*(() if word is None else (word,)), *_pictured(mime_type)),
            claimed_until=now + self._lease if word == PLACE else now,
        )
        return await self._published(manifest, size, published)

    async def _published(
        self, manifest: Manifest, size: int, published: Manifest | None
    ) -> Manifest:
        """What the write that publishes led to; it charges the owner for the file."""
        published = published or await self._uploads.after_end(manifest.id)
        if published.attempt != manifest.attempt:
            raise Unavailable(REPLACED)
        if published.state is State.UPLOADING:
            raise InvalidArgument(f"Bytes are being stored beyond the size {size}.")
        if published.size != size:
            raise InvalidArgument(f"Another FINISH, with the size {published.size}, was faster.")
        await self._storage.quotas.keep(manifest.user_id, manifest.id, size)
        if PLACE in published.todo:
            published = await self._todo.at_once(published, PLACE)
            if published.todo and PLACE not in published.todo:
                await self._todo.release(published)
        upload = self._uploads.peek(manifest.id)
        if upload is not None:
            upload.manifest, upload.stored = published, size
        if MOVE in published.todo:
            self._todo.wake()
        if DERIVE in published.todo:
            self._pictures.todo.wake()
        return published

    def _follows(self, manifest: Manifest) -> str | None:
        """The step that must follow the publication, if any."""
        blobs = self._storage.blobs
        if manifest.blobs != blobs.home:
            return MOVE
        return PLACE if blobs[blobs.home].traits.path else None

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


def _pictured(mime_type: str) -> tuple[str, ...]:
    """The step that makes pictures, for a file of which there may be some."""
    return (DERIVE,) if has_pictures(mime_type) else ()


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
