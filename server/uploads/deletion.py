"""ABORT and deletion: an upload or file is dead at once, its bytes are gone a moment later.

The compare-and-set that kills it also writes the step `empty` into its `todo`, claimed by this
process. So whatever breaks here, another server or the janitor deletes the bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from lading.janitor.sweep import Sweeper
from lading.protocol.errors import AlreadyComplete, Forbidden, LadingError
from lading.protocol.manifest import FINISHED, Manifest, State
from lading.server.access.principal import Principal
from lading.server.limits import UploadLimits
from lading.server.uploads.open_uploads import OpenUploads, refuse_hidden
from lading.server.uploads.todo import Todo
from lading.storage.collections.outbox import NOTIFY, Claim
from lading.storage.open import Storage

Expected = Callable[[Manifest], None]
"""Raises an error for a manifest that the caller does not want changed."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """Deletes uploads and files. `tombstone_ttl` is how long a deleted one is remembered."""

    storage: Storage
    uploads: OpenUploads
    sweeper: Sweeper
    todo: Todo
    limits: UploadLimits
    tombstone_ttl: float
    upload_ttl: float

    async def delete(
        self,
        principal: Principal,
        upload_id: str,
        *,
        unfinished_only: bool = False,
        only: tuple[State, ...] = (State.UPLOADING, State.READY),
        expected: Expected | None = None,
    ) -> Manifest:
        """Delete an upload, or the file that it became. Returns the manifest as it was before.

        What is in none of the states `only` is not there for the caller.

        It is gone, and its quota free, on return; the bytes of a very large one go in the
        background. Raises NotFound, Gone; for a file also Forbidden where the credential is a
        grant, and AlreadyComplete with `unfinished_only`. What `expected` lets pass is deleted only
        if nothing changed since.
        """
        refusal = _refusal(principal, unfinished_only=unfinished_only)
        only = only if refusal is None else (State.UPLOADING,)
        manifest = await self.uploads.get_any(principal, upload_id)
        if State.TRASHED not in only or manifest.state is State.REPLACING:
            refuse_hidden(manifest)
        if expected is not None:
            expected(manifest)
        now = self.storage.clock()
        claimed_until = now + self.limits.todo_lease_seconds
        marked = await self.storage.manifests.mark_deleted(
            manifest.id,
            now=now,
            becomes=State.DELETED,
            until=self._remembered_until(manifest, now),
            only=only,
            claimed_until=claimed_until,
            seen=None if expected is None else manifest,
        )
        if marked is None:
            if expected is not None and refusal is None and await self._lives(manifest.id, only):
                return await self.delete(
                    principal,
                    upload_id,
                    unfinished_only=unfinished_only,
                    only=only,
                    expected=expected,
                )
            await self._check_file(manifest.id, refusal)
            # Another call deleted it just now, or ours did and the answer was lost: its `todo`
            # makes sure of the bytes.
            return manifest
        upload = self.uploads.peek(manifest.id)
        if upload is not None:
            upload.manifest = marked
        await self._empty(Claim(marked, claimed_until))
        return manifest

    async def reject(self, manifest: Manifest, *, remembered: bool = False) -> None:
        """Delete an upload that nobody must finish, unless it was finished.

        With `remembered` whoever asks for it hears that it was refused.
        """
        now = self.storage.clock()
        claimed_until = now + self.limits.todo_lease_seconds
        marked = await self.storage.manifests.mark_deleted(
            manifest.id,
            now=now,
            becomes=State.DELETED,
            until=self._remembered_until(manifest, now),
            only=(State.UPLOADING,),
            claimed_until=claimed_until,
            rejected=remembered,
        )
        if marked is not None:
            await self._empty(Claim(marked, claimed_until))

    def _remembered_until(self, manifest: Manifest, now: float) -> float:
        """When a tombstone is removed, and its bytes are deleted once more.

        Addresses at which clients send bytes to a bucket work for a while after the deletion.
        """
        until = now + self.tombstone_ttl
        if manifest.move_to is None and manifest.etag is None:
            return until
        if manifest.expires_at is None or manifest.state in FINISHED:
            return max(until, manifest.created_at + self.upload_ttl)
        return max(until, manifest.expires_at)

    async def _lives(self, upload_id: str, only: tuple[State, ...]) -> bool:
        current = await self.storage.manifests.get(upload_id)
        return current is not None and current.state in only

    async def _check_file(self, upload_id: str, refusal: LadingError | None) -> None:
        """Raise the refusal if the upload has become a file in the meantime."""
        if refusal is not None:
            current = await self.storage.manifests.get(upload_id)
            if current is not None and current.state is State.READY:
                raise refusal

    async def _empty(self, claim: Claim) -> None:
        """Delete the first pieces, which are all of most uploads; wait a while for the others."""
        with suppress(LadingError):
            if await self.sweeper.begin_to_empty(claim.manifest):
                if NOTIFY in claim.manifest.todo:
                    await self.todo.release(claim.manifest)
                return
        rest = self.todo.begin(claim)
        await asyncio.wait([rest], timeout=self.limits.deletion_seconds)


def _refusal(principal: Principal, *, unfinished_only: bool) -> LadingError | None:
    """The error for a finished file; None if it may be deleted."""
    if unfinished_only:
        return AlreadyComplete("The upload is complete; delete the file at /v1/files instead.")
    if principal.grant is not None:
        return Forbidden("The upload is complete; a grant cannot delete the file.")
    return None
