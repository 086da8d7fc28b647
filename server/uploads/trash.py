"""The trash: files that their owner deleted and can have back for a while.

A file in the trash is one compare-and-set away from the living one: it keeps its bytes, its tags
and its account's charge, and answers not-found everywhere but here. When its time is over the
janitor deletes it like any other (`janitor/policy.py`). Source: page 13 of the design;
`docs/decisions/0085`.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from lading.protocol.errors import NotFound
from lading.protocol.manifest import Manifest, State
from lading.server.access.principal import Principal
from lading.server.uploads.deletion import Expected
from lading.server.uploads.uploads import Uploads
from lading.storage.collections.audit import Act
from lading.storage.open import Storage

DELETED_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Trash:
    """The trash of every user. Files stay there for `ttl` seconds; with 0 there is none."""

    uploads: Uploads
    storage: Storage
    ttl: float

    async def put(
        self, principal: Principal, file_id: str, expected: Expected | None = None
    ) -> Manifest | None:
        """Move a finished file to the trash; returns it as it is there, also if it was already.

        None where it was deleted for good: an upload under way, and any file without a trash.
        Raises NotFound, Gone, and what `expected` raises.
        """
        while True:
            manifest = await self.uploads.opened.get_any(principal, file_id)
            if manifest.state is State.TRASHED:
                return manifest
            if not self.ttl or manifest.state is not State.READY:
                await self.uploads.delete(principal, file_id, expected)
                return None
            if expected is not None:
                expected(manifest)
            now = self.storage.clock()
            moved = await self.storage.manifests.trash(manifest, now=now, until=now + self.ttl)
            if moved is not None:
                self.uploads.arrivals.note(file_id)
                await self.uploads.audit.note(Act.TRASHED, principal, moved)
                self.uploads.todo.wake()
                return moved

    async def restore(self, principal: Principal, file_id: str) -> Manifest:
        """Move a file out of the trash; one that is not there stays as it is.

        Raises NotFound, Gone.
        """
        manifest = await self.uploads.opened.get_any(principal, file_id)
        if manifest.state is not State.TRASHED:
            return manifest
        restored = await self.storage.manifests.restore(manifest, self.storage.clock())
        if restored is None:  # restored or deleted by another request in the meantime
            return await self.uploads.get(principal, file_id)
        await self.uploads.audit.note(Act.RESTORED, principal, restored)
        self.uploads.todo.wake()
        return restored

    async def files(
        self, principal: Principal, *, before: str | None = None, most: int = 100
    ) -> list[Manifest]:
        """The principal's files in the trash, the newest first, those with ids before `before`."""
        manifests = self.storage.manifests
        return await manifests.trashed(principal.user_id, before=before, most=most)

    async def empty(self, principal: Principal) -> int:
        """Delete all of the principal's files in the trash for good; returns how many."""
        deleted = 0
        while found := await self.files(principal, most=DELETED_AT_ONCE):
            for manifest in found:
                with suppress(NotFound):  # deleted by another request in the meantime
                    await self.uploads.delete(principal, manifest.id, only=(State.TRASHED,))
                    deleted += 1
        return deleted
