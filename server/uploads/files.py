"""Finished files as their owner manages them: lists, names and tags, whole directories.

Source: page 4 of the design, "Files".
"""

from __future__ import annotations

from contextlib import suppress

from lading.protocol.errors import InvalidArgument, NotFound
from lading.protocol.manifest import Manifest, State
from lading.protocol.names import canonical_directory
from lading.protocol.spec import UploadSpec
from lading.server.access.principal import Principal
from lading.server.uploads.deletion import Expected
from lading.server.uploads.uploads import Uploads
from lading.storage.collections.manifests import ANY_FILE, LIVING, FileFilter
from lading.storage.collections.outbox import PLACE
from lading.storage.open import Storage


class Library:
    """The files of all users, each for its owner."""

    def __init__(self, uploads: Uploads, storage: Storage, lease: float) -> None:
        """For `lease` seconds it is this process that brings a changed file to its place."""
        self._uploads = uploads
        self._manifests = storage.manifests
        self._tags = storage.tags
        self._clock = storage.clock
        self._lease = lease

    async def files(
        self,
        principal: Principal,
        *,
        wanted: FileFilter = ANY_FILE,
        before: str | None = None,
        most: int = 100,
    ) -> list[Manifest]:
        """The principal's finished files, the newest first, those with ids before `before`."""
        return await self._manifests.ready(principal.user_id, wanted, before=before, most=most)

    async def change(
        self,
        principal: Principal,
        upload_id: str,
        *,
        name: str | None = None,
        directory: str | None = None,
        tags: tuple[str, ...] | None = None,
        public: bool | None = None,
        expected: Expected | None = None,
    ) -> Manifest:
        """Change name, directory, tags or `public` of a file or upload; None leaves a field.

        Raises NotFound, Gone. What `expected` lets pass is changed only if nothing changed since.
        """
        manifest = await self._uploads.get(principal, upload_id)
        changed = UploadSpec(
            name=manifest.name if name is None else name,
            directory=manifest.directory if directory is None else directory,
            tags=manifest.tags if tags is None else tags,
        )
        changed.check()
        only = None
        if expected is not None:
            expected(manifest)
            only = manifest
        now, turned = self._clock(), public is not None
        finished = manifest.state is State.READY
        found = await self._manifests.change(
            manifest.id,
            name=name,
            directory=None if directory is None else changed.directory,
            tags=None if tags is None else changed.tags,
            public=public,
            now=now,
            # What finishes at this moment must be brought to the other place.
            states=(manifest.state,) if turned else LIVING,
            claimed_until=now + self._lease if turned and finished else None,
            only=only,
        )
        if found is None:
            found = await self._uploads.get(principal, manifest.id)
            wanted = (changed.name, changed.directory, changed.tags)
            other = only is not None and (found.name, found.directory, found.tags) != wanted
            if other or public not in (None, found.public):
                return await self.change(
                    principal,
                    upload_id,
                    name=name,
                    directory=directory,
                    tags=tags,
                    public=public,
                    expected=expected,
                )
        elif PLACE in found.todo:
            found = await self._uploads.todo.at_once(found, PLACE)
        await self._tags.note(manifest.user_id, () if tags is None else changed.tags, now)
        return found

    async def remove_directory(self, principal: Principal, directory: str) -> int:
        """Delete the finished files of a directory and of those below it; returns how many.

        Raises InvalidArgument for the root, however it is written: nobody deletes all by a slash.
        """
        if not canonical_directory(directory):
            raise InvalidArgument(
                "The root cannot be deleted. Name a directory in it, such as a/b."
            )
        deleted = 0
        for wanted in (FileFilter(directory=directory), FileFilter(below=directory)):
            while found := await self.files(principal, wanted=wanted):
                for manifest in found:
                    with suppress(NotFound):  # deleted by another request in the meantime
                        await self._uploads.delete(principal, manifest.id)
                        deleted += 1
        return deleted
