"""The Python client: everything that the command line can do, for programs.

Source: page 7 of the design, "Command line"; page 4 for the routes.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Self, overload
from urllib.parse import quote

from lading.client import lookup
from lading.client.address import Address, Credential, Token, find
from lading.client.api import Api
from lading.client.backoff import Timing
from lading.client.download import Download, target_for
from lading.client.source import Readable
from lading.client.target import FileTarget
from lading.client.types import (
    DeletedUser,
    Grant,
    Manifest,
    Progress,
    ServerStatus,
    Upload,
    UploadRequest,
    Usage,
)
from lading.client.upload import UploadTask
from lading.protocol.errors import Incomplete, InvalidArgument, NotFound
from lading.protocol.spec import ID, check_id

PATIENCE = 600.0
CONNECT_PATIENCE = 30.0
REQUEST_PATIENCE = 10.0

OnProgress = Callable[[Progress], None] | None


class Client:
    """A Lading server, as one user sees it.

        async with Client() as client:
            file = await client.upload("movie.mp4")
            await client.download(file.id, "copy.mp4")

    Without `url` and `token` the client looks where the command line looks: in `LADING_URL` and
    `LADING_TOKEN`, then in the `server.json` of a server on this machine. `token` may be a function
    that returns a token or an awaitable of one; it is called again when the server refuses the
    last one.

    Temporary failures are retried, with pauses. Three limits, in seconds without progress, say for
    how long: `patience` for an upload or download that has reached the server, `connect_patience`
    for an upload that has not reached it yet, `request_patience` for every other request.
    With `user` an admin acts for that user: lists show that user's files, and new ones belong to
    that user. `on_slow` is called whenever a request has had no answer for 3 seconds.

    Every method raises LadingError: what the server refused, or an error of
    `lading.client.errors`.
    """

    def __init__(
        self,
        url: str | None = None,
        token: Token = None,
        *,
        patience: float = PATIENCE,
        connect_patience: float = CONNECT_PATIENCE,
        request_patience: float = REQUEST_PATIENCE,
        timing: Timing | None = None,
        user: str | None = None,
        on_slow: Callable[[], None] = lambda: None,
    ) -> None:
        self.address: Address = find(url, None if callable(token) else token, os.environ)
        credential = Credential(token if callable(token) else self.address.token)
        self._api = Api(self.address, credential, timing or Timing(), on_slow, user=user)
        self._kinds = lookup.Kinds(self._api)
        self._patience = patience
        self._connect_patience = connect_patience
        self._request_patience = request_patience

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections. This does not stop uploads under way; see `UploadTask.stop`."""
        await self._api.close()

    # -- bytes

    def upload(
        self,
        what: Readable,
        *,
        name: str | None = None,
        directory: str = "",
        tags: Iterable[str] = (),
        mime_type: str | None = None,
        kind: str | None = None,
        sha256: bool = True,
        resume: bool = True,
        chunk_size: int | None = None,
        one_request: bool = False,
        direct: bool = False,
        listing: lookup.Listing | None = None,
        on_progress: OnProgress = None,
    ) -> UploadTask:
        """Upload a path, an open binary file, or an asynchronous iterable of bytes.

        Await the result for the finished `File`, or iterate it for its `Progress`.

        `name` is required where the source has none. `mime_type` is guessed from the name if not
        given. `kind` is one of the server's kinds of files, whose limits then hold. With
        `sha256` the server proves that it stored the bytes that were read here. With
        `resume` an unfinished upload of the same file is resumed, and a file that is already on
        the server is not sent again; either gets those of the `tags` that it lacks. `chunk_size`,
        in bytes, asks for another cell size than the server's default. An upload that fails and
        cannot be resumed (a stream) is deleted. What is stored of a file that changed stays until
        it expires.

        With `one_request` a path of at most 1 MiB is sent in one request, which is quicker for many
        files. With `direct` a file is hashed first, and its bytes go to the bucket where the server
        keeps its files, if it has one: past the server, and from the beginning if they are
        interrupted. A file of more than 5 GiB goes in parts, each of which is sent once, also if a
        later run resumes the upload. What is on its way to the bucket then counts as `stored`.
        `listing` says what is on the server already, for many files at once.
        """
        request = UploadRequest(
            name=name,
            directory=directory,
            tags=tuple(tags),
            mime_type=mime_type,
            sha256=sha256,
            resume=resume,
            chunk_size=chunk_size,
            one_request=one_request,
            kind=kind,
            direct=direct,
        )
        return UploadTask(
            self._api,
            what,
            request,
            kinds=self._kinds,
            listing=listing,
            patience=self._patience,
            connect_patience=self._connect_patience,
            on_progress=on_progress,
        )

    async def download(
        self,
        file_id: str | Manifest,
        to: str | os.PathLike[str] | BinaryIO | None = None,
        *,
        overwrite: bool = False,
        on_progress: OnProgress = None,
    ) -> Path | None:
        """Download a file, resume what an earlier run left, and check it to the last byte.

        Instead of an id, `file_id` may be what `find` and `list` return. `to` is a path, a
        directory, or an open binary file; None means the file's own name, made safe, in the current
        directory. Returns the path of the written file, None for an open file.
        """
        found = file_id if isinstance(file_id, Manifest) else await self._finished_file(file_id)
        target = await asyncio.to_thread(target_for, to, found, overwrite)
        await Download(
            self._api, found, target, patience=self._patience, on_progress=on_progress
        ).run()
        return target.path if isinstance(target, FileTarget) else None

    def listing(self, wanted: Mapping[str, Collection[str]]) -> lookup.Listing:
        """For `upload`: what is on the server of many files, given as names for each directory.

        Nothing is requested before it is needed; then each directory is listed once.
        """
        return lookup.Listing(self._api, wanted)

    # -- files and uploads

    async def list(
        self,
        *,
        name: str | None = None,
        directory: str | None = None,
        tags: Iterable[str] = (),
        mime_type: str | None = None,
        kind: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Manifest]:
        """The finished files that match, the newest first.

        `name` is a prefix. A file matches if it has all `tags`. `mime_type` is exact, or a whole
        kind such as `video/*`. `limit` is the largest number of files.
        """
        left = sys.maxsize if limit is None else limit
        params: dict[str, Any] = {"limit": min(lookup.PAGE, max(left, 1)), "tag": sorted(set(tags))}
        asked = {"name": name, "directory": directory, "mime_type": mime_type, "kind": kind}
        params |= {key: value for key, value in asked.items() if value is not None}
        if left > 0:
            async for raw in lookup.pages(self._api, params, patience=self._request_patience):
                yield lookup.manifest_of(self._api, raw)
                left -= 1
                if left == 0:
                    return

    async def manifest(self, file_id: str) -> Manifest | Upload:
        """A file with its chunks, or an unfinished upload."""
        return self._found(await self._request("GET", f"/v1/manifests/{check_id(file_id)}"))

    async def uploads(self, fingerprint: str | None = None) -> tuple[Upload, ...]:
        """The unfinished uploads, the newest first; with `fingerprint` those of one local file."""
        params = {} if fingerprint is None else {"fingerprint": fingerprint}
        answer = await self._request("GET", "/v1/uploads", {**params, **self._api.for_user})
        found = lookup.entries(self._api, answer, "uploads")
        return tuple(lookup.read(self._api, Upload.of, raw) for raw in found)

    async def delete_directory(self, directory: str) -> int:
        """Delete the finished files of a directory and of its subdirectories. Returns how many."""
        params = {"directory": directory, **self._api.for_user}
        answer = await self._request("DELETE", "/v1/files", params)
        return lookup.read(self._api, lambda raw: int(raw["deleted"]), answer)

    async def find(self, name: str) -> Manifest:
        """The finished file with an id, or with a name; `directory/name` is looked for too.

        Raises InvalidArgument where no file has that name, or several have.
        """
        if ID.fullmatch(name):
            return await self._finished_file(name)
        found = [each async for each in self.list(name=name) if each.name == name]
        directory, _, last = name.rpartition("/")
        if not found and directory:
            listed = self.list(name=last, directory=directory)
            found = [each async for each in listed if each.name == last]
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

    async def delete(self, file_id: str) -> None:
        """Delete a file or an unfinished upload, with its bytes.

        Raises NotFound when there is none. It does not when the answer to a first attempt was
        lost, since that attempt may have deleted it.
        """
        await self._request("DELETE", f"/v1/files/{check_id(file_id)}")

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

    # -- grants and quotas

    async def grant(
        self,
        file_id: str | None = None,
        *,
        quality: int | None = None,
        name: str | None = None,
        directory: str | None = None,
        size: int | None = None,
        max_size: int | None = None,
        sha256: str | None = None,
        mime_types: Iterable[str] = (),
        kind: str | None = None,
        uses: int | None = None,
        user_id: str | None = None,
        expires_in: float = 3600.0,
    ) -> Grant:
        """Create a token that allows one thing; its bearer needs no other credential.

        With `file_id` it allows to download that file, in every quality or in one. Without, it
        allows `uses` uploads (1 if not given) within the bounds; what is not given is not bounded.
        Sizes are bytes, `expires_in` is seconds. `user_id` is the owner of the uploads, or the
        owner that the file must have.
        """
        bounds: dict[str, Any] = {
            "action": "upload" if file_id is None else "download",
            "file_id": file_id,
            "quality": quality,
            "name": name,
            "directory": directory,
            "size": size,
            "max_size": max_size,
            "sha256": sha256,
            "mime_types": [*mime_types] or None,
            "kind": kind,
            "uses": uses,
            "user_id": user_id,
            "expires_in": expires_in,
        }
        given = {key: value for key, value in bounds.items() if value is not None}
        answer = await self._request("POST", "/v1/grants", body=given)
        return lookup.read(self._api, self._grant, answer)

    def _grant(self, raw: dict[str, Any]) -> Grant:
        """A grant whose addresses are absolute."""
        socket = raw["ws_url"]
        absolute = {
            "url": self.address.absolute(raw["url"]),
            "ws_url": self.address.socket_url if socket.startswith("/") else socket,
        }
        return Grant.of({**raw, **absolute})

    async def kinds(self) -> tuple[Mapping[str, Any], ...]:
        """The kinds of files that the server knows, with their limits, as it sends them."""
        answer = await self._request("GET", "/v1/kinds")
        return tuple(lookup.entries(self._api, answer, "kinds"))

    async def usage(self, user_id: str | None = None) -> Usage:
        """What a user has stored and may store; without `user_id`, the one that this client acts
        for."""
        user_id = self._api.for_user.get("user_id") if user_id is None else user_id
        path = "/v1/usage" if user_id is None else f"{_user(user_id)}/quota"
        return lookup.read(self._api, Usage.of, await self._request("GET", path))

    async def users(self) -> AsyncIterator[Usage]:
        """The users that have an account, by id, with their usage. Only an admin may."""
        params: dict[str, Any] = {}
        while True:
            answer = await self._request("GET", "/v1/users", params)
            for raw in lookup.entries(self._api, answer, "users"):
                yield lookup.read(self._api, Usage.of, raw)
            if not answer.get("cursor"):
                return
            params = {"cursor": answer["cursor"]}

    async def delete_user(self, user_id: str) -> DeletedUser:
        """Delete a user with all files, uploads, tags and grants. Only an admin may."""
        answer = await self._request("DELETE", _user(user_id))
        return lookup.read(self._api, DeletedUser.of, answer)

    async def set_quota(self, user_id: str, quota: int | None) -> Usage:
        """Set how many bytes a user may store, None for no limit. Only an admin may."""
        answer = await self._request("PUT", f"{_user(user_id)}/quota", body={"quota": quota})
        return lookup.read(self._api, Usage.of, answer)

    async def _request(
        self,
        method: str,
        path: str,
        params: dict[str, Any] | None = None,
        *,
        body: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        patience = self._request_patience
        return await self._api.json(method, path, params, body=body, patience=patience)


def _user(user_id: str) -> str:
    # Dots are escaped too: HTTP clients resolve `..` in an address.
    return f"/v1/users/{quote(user_id, safe='').replace('.', '%2E')}"
