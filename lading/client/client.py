"""The Python client: everything the command line can do, for programs.

It owns the connection's settings and the meaning of the routes. It refuses to print.
Source: page 7 of the design, "Command line"; page 4 for the routes.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO, Self
from urllib.parse import quote

from lading.client import lookup
from lading.client.address import Address, Credential, Token, find
from lading.client.api import Api
from lading.client.backoff import Timing
from lading.client.download import Download
from lading.client.progress import Progress, Wish
from lading.client.source import Readable
from lading.client.target import FileTarget, PipeTarget, Target, safe_name
from lading.client.upload import Upload
from lading.protocol.errors import Incomplete, NotFound
from lading.protocol.spec import check_id

PATIENCE = 600.0
CONNECT_PATIENCE = 30.0
REQUEST_PATIENCE = 10.0

Told = Callable[[Progress], None] | None


class Client:
    """A Lading server as seen by one user.

    `url` and `token` are looked for as the command line does when they are not given: in
    `LADING_URL` and `LADING_TOKEN`, then in the `server.json` of a server on this machine. `token`
    may be a function that gives one, awaited if need be; it is called again when the server
    refuses what it gave. `patience`: how many seconds a transfer that has begun goes on trying
    without any progress; `connect_patience`: the same for one that has not reached the server
    yet; `request_patience`: for every other request. `on_slow` is called whenever a request has
    had no answer for 3 seconds.

        async with Client() as client:
            file = await client.upload("movie.mp4")
            await client.download(file["id"], "copy.mp4")

    Every method raises LadingError: what the server refused, or one of `lading.errors`.
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
        on_slow: Callable[[], None] = lambda: None,
    ) -> None:
        self.address: Address = find(url, None if callable(token) else token, os.environ)
        credential = Credential(token if callable(token) else self.address.token)
        self._api = Api(self.address, credential, timing or Timing(), on_slow)
        self._patience = patience
        self._connect_patience = connect_patience
        self._request_patience = request_patience

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections. Uploads under way are not ended by this; see `Upload.stop`."""
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
        sha256: bool = True,
        resume: bool = True,
        chunk_size: int | None = None,
        on_progress: Told = None,
    ) -> Upload:
        """Upload a path, an open binary file, or an asynchronous iterable of bytes.

        Await the result for the finished file, `{id, size, mime_type, sha256, crc32c, url}`, or
        iterate it for its progress. `name` is needed where the source has none; `mime_type` is
        guessed from it. With `sha256` the server proves that it stored the very bytes that were
        read here. With `resume` an unfinished upload of the same file is gone on with, and a file
        that is there already is not sent again; either gets the `tags` that it lacks.
        `chunk_size`, in bytes, asks for another cell size than the server's own. An upload that
        fails and cannot be gone on with, of a stream or of a file that changed, is deleted.
        """
        wish = Wish(
            name=name,
            directory=directory,
            tags=tuple(tags),
            mime_type=mime_type,
            sha256=sha256,
            resume=resume,
            chunk_size=chunk_size,
        )
        return Upload(
            self._api,
            what,
            wish,
            patience=self._patience,
            connect_patience=self._connect_patience,
            on_progress=on_progress,
        )

    async def download(
        self,
        file_id: str,
        to: str | os.PathLike[str] | BinaryIO | None = None,
        *,
        overwrite: bool = False,
        on_progress: Told = None,
    ) -> Path | None:
        """Fetch a file, going on with what an earlier run left, and check it to the last byte.

        `to` is a path, a directory, or an open binary file; None means the file's own name, made
        safe, in the current directory. Gives the path that was written, if one was.
        """
        manifest = await self.manifest(file_id)
        if manifest["state"] != "ready":
            raise Incomplete(f"{file_id} is still being uploaded.")
        target = await asyncio.to_thread(_target, to, manifest, overwrite)
        await Download(
            self._api, manifest, target, patience=self._patience, on_progress=on_progress
        ).run()
        return target.path if isinstance(target, FileTarget) else None

    # -- what is there

    async def list(
        self,
        *,
        name: str | None = None,
        directory: str | None = None,
        tags: Iterable[str] = (),
        mime_type: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[dict[str, Any]]:
        """The manifests of finished files with all these tags, the newest first.

        `name` is a prefix; `mime_type` is exact, or all of a kind as in `video/*`. With `limit`
        so many at most.
        """
        left = sys.maxsize if limit is None else limit
        params: dict[str, Any] = {"limit": min(lookup.PAGE, max(left, 1)), "tag": sorted(set(tags))}
        asked = {"name": name, "directory": directory, "mime_type": mime_type}
        params |= {key: value for key, value in asked.items() if value is not None}
        if left > 0:
            async for manifest in lookup.pages(self._api, params, patience=self._request_patience):
                yield manifest
                left -= 1
                if left == 0:
                    return

    async def manifest(self, file_id: str) -> dict[str, Any]:
        """The manifest of a file or unfinished upload, with its chunks."""
        return await self._request("GET", f"/v1/manifests/{check_id(file_id)}")

    async def uploads(self, fingerprint: str | None = None) -> tuple[dict[str, Any], ...]:
        """The unfinished uploads, the newest first, each with the ranges that are `missing`."""
        params = {} if fingerprint is None else {"fingerprint": fingerprint}
        answer = await self._request("GET", "/v1/uploads", params)
        return tuple(lookup.entries(self._api, answer, "uploads"))

    async def delete(self, file_id: str) -> None:
        """Delete a file, or an unfinished upload, with its bytes.

        Raises NotFound when it is not there; not when the answer to a first attempt was lost, as
        that one may have deleted it.
        """
        await self._request("DELETE", f"/v1/files/{check_id(file_id)}")

    async def status(self, file_id: str | None = None) -> dict[str, Any]:
        """How the server is; with an id, how that upload or file is."""
        if file_id is None:
            return await self._request("GET", "/readyz")
        try:
            return await self._request("GET", f"/v1/uploads/{check_id(file_id)}")
        except NotFound:
            return await self.manifest(file_id)

    # -- what others may do, and how much may be stored

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
        uses: int | None = None,
        user_id: str | None = None,
        expires_in: float = 3600.0,
    ) -> dict[str, Any]:
        """Mint a token with which its bearer may do one thing and needs no other credential.

        With `file_id` it is for downloading that file, in every quality or in one; else for
        uploading what lies within the bounds: what is not given is not bound. Sizes are bytes,
        `expires_in` is seconds; `uses` uploads may be created, one if not given. `user_id` is whom
        an upload will belong to, or whose the file must be. Gives `id`, `token`, `url`, `ws_url`
        and `expires_at`, the addresses absolute.
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
            "uses": uses,
            "user_id": user_id,
            "expires_in": expires_in,
        }
        given = {key: value for key, value in bounds.items() if value is not None}
        answer = await self._request("POST", "/v1/grants", body=given)
        socket = answer["ws_url"]
        return {
            **answer,
            "url": self.address.absolute(answer["url"]),
            "ws_url": self.address.socket_url if socket.startswith("/") else socket,
        }

    async def usage(self, user_id: str | None = None) -> dict[str, Any]:
        """What a user has stored and may store: `user_id`, `used`, `reserved` and `quota` in
        bytes, the last one None for no limit. The caller, if no user is given."""
        return await self._request("GET", "/v1/usage" if user_id is None else _quota(user_id))

    async def set_quota(self, user_id: str, quota: int | None) -> dict[str, Any]:
        """Set how many bytes a user may have, None for no limit; gives the usage. Admins only."""
        return await self._request("PUT", _quota(user_id), body={"quota": quota})

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


def _quota(user_id: str) -> str:
    # Points, too: a client that reads an address as a path would take `..` for a step upwards.
    return f"/v1/users/{quote(user_id, safe='').replace('.', '%2E')}/quota"


def _target(
    to: str | os.PathLike[str] | BinaryIO | None, manifest: dict[str, Any], overwrite: bool
) -> Target:
    if to is not None and not isinstance(to, str | os.PathLike):
        return PipeTarget(to, manifest)
    path = Path() if to is None else Path(to)
    if path.is_dir():
        path /= safe_name(manifest["name"], manifest["_id"])
    return FileTarget(path, manifest, overwrite=overwrite)
