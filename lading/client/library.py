"""The part of `Client` about files, unfinished uploads and tags: find, list, change, delete.

Source: page 4 of the design.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import Any, overload

from lading.client import lookup
from lading.client.base import Base, segment
from lading.client.types import Manifest, ServerStatus, Tag, Upload
from lading.protocol.errors import Incomplete, InvalidArgument, NotFound
from lading.protocol.spec import ID, check_id

KEEP = "keep"
"""The value of an argument that leaves a field as it is, where None means something else."""


class Library(Base):
    """Files, uploads and tags of one user."""

    # -- finding

    async def list(
        self,
        *,
        name: str | None = None,
        search: str | None = None,
        directory: str | None = None,
        recursive: bool = False,
        tags: Iterable[str] = (),
        mime_type: str | None = None,
        kind: str | None = None,
        order: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Manifest]:
        """The finished files that match, the newest first, or in another `order`.

        An order is `name`, `size`, `created`, `modified` or `type`, with `-` for its opposite.
        `name` is a prefix, `search` has words that are anywhere in a name. With `recursive` the
        subdirectories of `directory` are meant, too. A file matches if it has all `tags`.
        `mime_type` is exact, or a whole kind such as `video/*`. `limit` is the largest number of
        files.
        """
        left = sys.maxsize if limit is None else limit
        params: dict[str, Any] = {"limit": min(lookup.PAGE, max(left, 1)), "tag": sorted(set(tags))}
        asked = {"name": name, "search": search, "directory": directory, "mime_type": mime_type}
        asked |= {"kind": kind, "order": order}
        params |= {key: value for key, value in asked.items() if value is not None}
        if recursive and directory is not None:
            params["recursive"] = "true"
        if left > 0:
            async for raw in lookup.pages(self._api, params, patience=self._request_patience):
                yield lookup.manifest_of(self._api, raw)
                left -= 1
                if left == 0:
                    return

    async def named(self, name: str) -> builtins.list[Manifest]:
        """The finished files with a name; where there are none, those of the path
        `directory/name`. The newest first."""
        found = [each async for each in self.list(name=name) if each.name == name]
        directory, _, last = name.strip("/").rpartition("/")
        if not found and directory:
            listed = self.list(name=last, directory=directory)
            found = [each async for each in listed if each.name == last]
        return found

    async def find(self, name: str) -> Manifest:
        """The finished file with an id, or with a name; `directory/name` is looked for too.

        Raises InvalidArgument where no file has that name, or several have.
        """
        if ID.fullmatch(name):
            return await self._finished_file(name)
        found = await self.named(name)
        if not found:
            raise InvalidArgument(f"{name} is neither an id nor the name of a file.")
        if len(found) > 1:
            ids = ", ".join(each.id for each in found[:5])
            raise InvalidArgument(
                f"{len(found)} files are called {name}. Choose one by its id: {ids}."
            )
        return found[0]

    async def _finished_file(self, file_id: str) -> Manifest:
        found = await self.manifest(file_id)
        if isinstance(found, Upload):
            raise Incomplete(f"{file_id} is still being uploaded.")
        return found

    async def manifest(self, file_id: str) -> Manifest | Upload:
        """A file with its chunks, or an unfinished upload."""
        return self._found(await self._request("GET", f"/v1/manifests/{check_id(file_id)}"))

    async def uploads(self, fingerprint: str | None = None) -> tuple[Upload, ...]:
        """The unfinished uploads, the newest first; with `fingerprint` those of one local file."""
        params = {} if fingerprint is None else {"fingerprint": fingerprint}
        answer = await self._request("GET", "/v1/uploads", {**params, **self._api.for_user})
        found = self._entries(answer, "uploads")
        return tuple(lookup.read(self._api, Upload.of, raw) for raw in found)

    @overload
    async def status(self) -> ServerStatus: ...

    @overload
    async def status(self, file_id: str) -> Manifest | Upload: ...

    async def status(self, file_id: str | None = None) -> ServerStatus | Manifest | Upload:
        """Whether the server is ready; with an id, the state of that file or unfinished upload."""
        if file_id is None:
            answer = await self._request("GET", "/readyz")
            return lookup.read(self._api, ServerStatus.of, answer)
        try:
            return self._found(await self._request("GET", f"/v1/uploads/{check_id(file_id)}"))
        except NotFound:
            return await self.manifest(file_id)

    def _found(self, raw: dict[str, Any]) -> Manifest | Upload:
        if raw.get("state") == "ready":
            return lookup.manifest_of(self._api, raw)
        return lookup.read(self._api, Upload.of, raw)

    # -- changing

    async def change(
        self,
        file_id: str,
        *,
        name: str | None = None,
        directory: str | None = None,
        tags: Iterable[str] | None = None,
        public: bool | None = None,
        modified_at: datetime | None = None,
        expires_at: datetime | str | None = KEEP,
    ) -> Manifest | Upload:
        """Change a file or unfinished upload; what is not given stays as it is.

        `tags` replaces all tags. A finished file is deleted at `expires_at`; None: it stays.
        """
        given: dict[str, Any] = {"name": name, "directory": directory, "public": public}
        given["tags"] = None if tags is None else [*dict.fromkeys(tags)]
        given["modified_at"] = None if modified_at is None else modified_at.isoformat()
        body = {key: value for key, value in given.items() if value is not None}
        if expires_at != KEEP:
            body["expires_at"] = (
                expires_at.isoformat() if isinstance(expires_at, datetime) else expires_at
            )
        path = f"/v1/files/{check_id(file_id)}"
        return self._found(await self._request("PATCH", path, body=body))

    async def rename(self, file_id: str, name: str) -> Manifest | Upload:
        """Give a file another name; it stays in its directory."""
        return await self.change(file_id, name=name)

    async def move(self, file_id: str, directory: str) -> Manifest | Upload:
        """Bring a file to another directory; it keeps its name."""
        return await self.change(file_id, directory=directory)

    async def tag(
        self, file_id: str, *, add: Iterable[str] = (), remove: Iterable[str] = ()
    ) -> Manifest | Upload:
        """Add tags to a file, and remove some."""
        found, gone = await self.status(file_id), {*remove}
        wanted = dict.fromkeys([*(each for each in found.tags if each not in gone), *add])
        if [*wanted] == [*found.tags]:
            return found
        return await self.change(file_id, tags=wanted)

    async def delete(self, file_id: str) -> None:
        """Delete a file, also one in the trash, or an unfinished upload, with its bytes.

        Raises NotFound when there is none. It does not when the answer to a first attempt was
        lost, since that attempt may have deleted it.
        """
        await self._request("DELETE", f"/v1/files/{check_id(file_id)}")

    async def delete_directory(self, directory: str, *, trash: bool = False) -> int:
        """Delete the finished files of a directory and of its subdirectories. Returns how many.

        With `trash` they go to the trash, where the server has one.
        """
        params = {"directory": directory, **self._api.for_user}
        if trash:
            params["trash"] = "true"
        answer = await self._request("DELETE", "/v1/files", params)
        return lookup.read(self._api, lambda raw: int(raw["deleted"]), answer)

    # -- the trash

    async def trash(self, file_id: str) -> Manifest | None:
        """Move a file to the trash, where it stays until its `expires_at`.

        None where it was deleted for good: an unfinished upload, and any file of a server without a
        trash. Raises NotFound when there is none, and InvalidArgument for a server that is too old
        to know a trash, which then has deleted nothing.
        """
        path = f"/v1/files/{check_id(file_id)}"
        answer = await self._request("DELETE", path, {"trash": "true"})
        return lookup.manifest_of(self._api, answer) if answer else None

    async def trashed(self) -> AsyncIterator[Manifest]:
        """The files in the trash, the newest first."""
        params = {"limit": lookup.PAGE}
        patience = self._request_patience
        async for raw in lookup.pages(self._api, params, patience=patience, path="/v1/trash"):
            yield lookup.manifest_of(self._api, raw)

    async def restore(self, file_id: str) -> Manifest | Upload:
        """Move a file out of the trash; one that is not there stays as it is."""
        return self._found(await self._request("POST", f"/v1/files/{check_id(file_id)}/restore"))

    async def empty_trash(self) -> int:
        """Delete all files in the trash for good. Returns how many."""
        answer = await self._request("DELETE", "/v1/trash", self._api.for_user)
        return lookup.read(self._api, lambda raw: int(raw["deleted"]), answer)

    # -- tags

    async def tags(self) -> AsyncIterator[Tag]:
        """All tags, by name."""
        params: dict[str, Any] = {"limit": lookup.LONG_PAGE, **self._api.for_user}
        while True:
            answer = await self._request("GET", "/v1/tags", params)
            for raw in self._entries(answer, "tags"):
                yield lookup.read(self._api, Tag.of, raw)
            if not answer.get("cursor"):
                return
            params = {**params, "cursor": answer["cursor"]}

    async def create_tag(self, name: str) -> Tag:
        """Create a tag that no file has yet."""
        answer = await self._request("POST", "/v1/tags", self._api.for_user, body={"name": name})
        return lookup.read(self._api, Tag.of, answer)

    async def rename_tag(self, name: str, new_name: str) -> Tag:
        """Rename a tag on all files that have it."""
        path, body = f"/v1/tags/{segment(name)}", {"name": new_name}
        answer = await self._request("PATCH", path, self._api.for_user, body=body)
        return lookup.read(self._api, Tag.of, answer)

    async def delete_tag(self, name: str) -> None:
        """Remove a tag from all files; the files stay."""
        await self._request("DELETE", f"/v1/tags/{segment(name)}", self._api.for_user)

    # -- kinds

    async def kinds(self) -> tuple[dict[str, Any], ...]:
        """The kinds of files that the server knows, with their limits, as it sends them."""
        return tuple(self._entries(await self._request("GET", "/v1/kinds"), "kinds"))
