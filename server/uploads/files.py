"""Finished files as their owner manages them: lists, names and tags, whole directories.

Source: page 4 of the design, "Files".
"""

from __future__ import annotations

from contextlib import suppress

from lading.protocol.errors import Incomplete, InvalidArgument, NotFound
from lading.protocol.manifest import Manifest, State
from lading.protocol.names import canonical_directory
from lading.protocol.spec import UploadSpec
from lading.server.access.principal import Principal
from lading.server.uploads.deletion import Expected
from lading.server.uploads.trash import Trash
from lading.server.uploads.uploads import Uploads
from lading.storage.collections.audit import Act
from lading.storage.collections.directories import Directory
from lading.storage.collections.file_lists import NEWEST, Ordering, Place
from lading.storage.collections.manifests import ANY_FILE, LIVING, UNSET, FileFilter, Unset
from lading.storage.collections.outbox import PLACE
from lading.storage.open import Storage


class Library:
    """The files of all users, each for its owner."""

    def __init__(self, uploads: Uploads, storage: Storage, lease: float, trash_ttl: float) -> None:
        """For `lease` seconds it is this process that brings a changed file to its place."""
        self._uploads = uploads
        self.trash = Trash(uploads, storage, trash_ttl)
        self._manifests = storage.manifests
        self._lists = storage.file_lists
        self._directories = storage.directories
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

    async def page(
        self,
        principal: Principal,
        wanted: FileFilter = ANY_FILE,
        ordering: Ordering = NEWEST,
        *,
        after: Place | None = None,
        most: int,
    ) -> list[Manifest]:
        """A page of the principal's finished files in some order, those behind `after`."""
        return await self._lists.page(principal.user_id, wanted, ordering, after=after, most=most)

    async def change(
        self,
        principal: Principal,
        upload_id: str,
        *,
        name: str | None = None,
        directory: str | None = None,
        tags: tuple[str, ...] | None = None,
        public: bool | None = None,
        modified_at: float | None = None,
        expires_at: float | Unset | None = UNSET,
        expected: Expected | None = None,
    ) -> Manifest:
        """Change name, directory, tags, `public` or times of a file or upload; None leaves a field.

        `expires_at` is for a finished file: then it is deleted, with None never. Raises NotFound,
        Gone, and Incomplete for an unfinished upload. What `expected` lets pass is changed only if
        nothing changed since.
        """
        manifest = await self._uploads.get(principal, upload_id)
        changed = UploadSpec(
            name=manifest.name if name is None else name,
            directory=manifest.directory if directory is None else directory,
            tags=manifest.tags if tags is None else tags,
            modified_at=modified_at,
        )
        changed.check()
        only = None
        if expected is not None:
            expected(manifest)
            only = manifest
        now, turned = self._clock(), public is not None
        finished = manifest.state is State.READY
        lives = not isinstance(expires_at, Unset)
        if lives and not finished:
            raise Incomplete(
                "An unfinished upload expires by itself; set `expires_at` when it is finished."
            )
        found = await self._manifests.change(
            manifest.id,
            name=name,
            directory=None if directory is None else changed.directory,
            tags=None if tags is None else changed.tags,
            public=public,
            modified_at=modified_at,
            expires_at=expires_at,
            now=now,
            # What finishes at this moment must be brought to the other place.
            states=(manifest.state,) if turned or lives else LIVING,
            claimed_until=now + self._lease if turned and finished else None,
            only=only,
        )
        if found is None:
            found = await self._uploads.get(principal, manifest.id)
            wanted = (changed.name, changed.directory, changed.tags)
            other = only is not None and (found.name, found.directory, found.tags) != wanted
            missed = public not in (None, found.public) or modified_at not in (
                None,
                found.modified_at,
            )
            if other or missed or (lives and found.expires_at != expires_at):
                return await self.change(
                    principal,
                    upload_id,
                    name=name,
                    directory=directory,
                    tags=tags,
                    public=public,
                    modified_at=modified_at,
                    expires_at=expires_at,
                    expected=expected,
                )
        elif PLACE in found.todo:
            found = await self._uploads.todo.at_once(found, PLACE)
        if finished:
            given = {
                "name": name,
                "directory": directory,
                "tags": tags,
                "public": public,
                "modified_at": modified_at,
            }
            fields = [field for field, value in given.items() if value is not None]
            if lives:
                fields.append("expires_at")
            act = Act.SHARED if public and not manifest.public else Act.CHANGED
            await self._uploads.audit.note(act, principal, found, detail=", ".join(fields))
        await self._tags.note(manifest.user_id, () if tags is None else changed.tags, now)
        return found

    async def directories(
        self, principal: Principal, directory: str, *, after: str | None = None, most: int
    ) -> list[Directory]:
        """The directories in a directory, by name, those after the name `after`."""
        within = canonical_directory(directory)
        return await self._directories.below(principal.user_id, within, after=after, most=most)

    async def move_directory(self, principal: Principal, directory: str, to: str) -> int:
        """Move the files and unfinished uploads of a directory and of those below it.

        Returns how many. Raises InvalidArgument for the root, and for a place inside of itself.
        """
        old, new = canonical_directory(directory), canonical_directory(to)
        moved = await self._directories.move(principal.user_id, old, new, self._clock())
        if moved:
            detail = f"{moved} files from {old} to {new or '/'}"
            owner = principal.user_id
            await self._uploads.audit.note(Act.CHANGED, principal, owner=owner, detail=detail)
        return moved

    async def remove_directory(
        self, principal: Principal, directory: str, *, to_trash: bool = False
    ) -> int:
        """Delete the finished files of a directory and of those below it; returns how many.

        With `to_trash` they go to the trash, if there is one.
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
                        if to_trash:
                            await self.trash.put(principal, manifest.id)
                        else:
                            await self._uploads.delete(principal, manifest.id)
                        deleted += 1
        return deleted
