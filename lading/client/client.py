"""The Python client: everything that the command line can do, for programs.

`library.py`, `access.py`, `events.py` and `overview.py` hold the parts of it that are about files,
permissions, changes and all users; here are the bytes. Source: page 7 of the design, "Command
line"; page 4 for the routes.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Self
from urllib.parse import urlencode

from lading.client import links, lookup
from lading.client.access import Access
from lading.client.address import Address, Credential, Token, find, id_in, is_link
from lading.client.api import Api, error_of, nothing
from lading.client.backoff import Timing
from lading.client.download import BLOCK, Download, target_for
from lading.client.events import Events
from lading.client.library import Library
from lading.client.overview import Overview
from lading.client.retry import Retry
from lading.client.small import SmallFiles
from lading.client.source import Readable
from lading.client.target import FileTarget
from lading.client.types import PROTOCOLS, Manifest, Progress, UploadRequest
from lading.client.upload import UploadTask
from lading.protocol.errors import InvalidArgument, LadingError
from lading.protocol.spec import check_id

PATIENCE = 600.0
CONNECT_PATIENCE = 30.0
REQUEST_PATIENCE = 10.0

OnProgress = Callable[[Progress], None] | None


class Client(Library, Access, Events, Overview):
    """A Lading server, as one user sees it.

        async with Client() as client:
            file = await client.upload("movie.mp4")
            await client.download(file.id, "copy.mp4")

    Without `url` and `token` the client looks where the command line looks: in `LADING_URL` and
    `LADING_TOKEN`, then in the profile of `lading login`, then in the `server.json` of a server on
    this machine. `profile` names a profile that comes before these. `token` may be a function that
    returns a token or an awaitable of one; it is called again when the server refuses the last one.

    Temporary failures are retried, with pauses. Three limits, in seconds without progress, say for
    how long: `patience` for an upload or download that has reached the server, `connect_patience`
    for an upload that has not reached it yet, `request_patience` for every other request.
    With `user` an admin acts for that user: lists show that user's files, and new ones belong to
    that user. `rate` is the most bytes a second to send or receive. `on_slow` is called whenever a
    request has had no answer for 3 seconds.

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
        profile: str | None = None,
        rate: float | None = None,
        on_slow: Callable[[], None] = nothing,
    ) -> None:
        given = None if callable(token) else token
        self.address: Address = find(url, given, os.environ, profile)
        credential = Credential(token if callable(token) else self.address.token)
        timing = timing or Timing()
        self._api = Api(self.address, credential, timing, on_slow, user=user, rate=rate)
        self._rate = rate
        self._kinds = lookup.Kinds(self._api)
        self._small_files = SmallFiles(self._api)
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
        protocol: str | None = None,
        modified_at: datetime | None = None,
        replaces: str | None = None,
        listing: lookup.Listing | None = None,
        on_progress: OnProgress = None,
    ) -> UploadTask:
        """Upload a path, an open binary file, or an iterable of bytes, which may be asynchronous.

        Await the result for the finished `File`, or iterate it for its `Progress`.

        `name` is required where the source has none. `mime_type` is guessed from the name if not
        given. `kind` is one of the server's kinds of files, whose limits then hold. `modified_at`
        is when the file was last changed; that of a path is known without it. With `sha256` the
        server proves that it stored the bytes that were read here. With `resume` an unfinished
        upload of the same file is resumed, and a file that is already on the server is not sent
        again; either gets those of the `tags` that it lacks. `chunk_size`, in bytes, asks for
        another cell size than the server's default. An upload that fails and cannot be resumed (a
        stream) is deleted. What is stored of a file that changed stays until it expires.

        With `one_request` a path of at most 1 MiB is sent in one request, and those of at most 64
        KiB that wait at the same moment in one together, which is quicker for many files. With
        `direct` a file is hashed first, and its bytes go to the bucket where the server keeps its
        files, if it has one: past the server, and from the beginning if they are interrupted. A
        file of more than 5 GiB goes in parts, each of which is sent once, also if a later run
        resumes the upload. What is on its way to the bucket then counts as `stored`.
        `listing` says what is on the server already, for many files at once.

        With `replaces`, the id of a file, that file gets these bytes: it keeps its id, name,
        directory, tags and links, and others read the old bytes until the new ones are whole.

        `protocol` is one of `PROTOCOLS`, and no other is used then: for those who want to know
        whether it gets through. `tus` and `ietf` are for files, and the SHA-256 is not verified by
        `tus`.
        """
        if protocol not in (None, *PROTOCOLS):
            raise InvalidArgument(f"`protocol` must be one of: {', '.join(PROTOCOLS)}.")
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
            protocol=protocol,
            modified_at=modified_at,
            replaces=None if replaces is None else check_id(replaces),
        )
        return UploadTask(
            self._api,
            what,
            request,
            kinds=self._kinds,
            small_files=self._small_files,
            listing=listing,
            patience=self._patience,
            connect_patience=self._connect_patience,
            on_progress=on_progress,
        )

    async def download(
        self,
        file: str | Manifest,
        to: str | os.PathLike[str] | BinaryIO | None = None,
        *,
        overwrite: bool = False,
        on_progress: OnProgress = None,
    ) -> Path | None:
        """Download a file, resume what an earlier run left, and check it to the last byte.

        `file` is an id, a link such as that of a grant, or what `find` and `list` return. `to` is a
        path, a directory, or an open binary file; None means the file's own name, made safe, in the
        current directory. A file gets the time of the one that was uploaded. Returns the path of
        the written file, None for an open file.
        """
        if isinstance(file, str) and is_link(file):
            own = id_in(file, self.address)
            if own is None:
                return await self._download_link(file, to, overwrite, on_progress)
            file = own
        found = file if isinstance(file, Manifest) else await self._finished_file(file)
        target = await asyncio.to_thread(target_for, to, found, overwrite)
        await Download(
            self._api, found, target, patience=self._patience, on_progress=on_progress
        ).run()
        return target.path if isinstance(target, FileTarget) else None

    async def _download_link(
        self,
        link: str,
        to: str | os.PathLike[str] | BinaryIO | None,
        overwrite: bool,
        on_progress: OnProgress,
    ) -> Path | None:
        async with links.opened(link, self._api.timing, self._rate) as opened:
            return await self._save(opened, to, overwrite, on_progress)

    async def _save(
        self,
        link: links.Link,
        to: str | os.PathLike[str] | BinaryIO | None,
        overwrite: bool,
        on_progress: OnProgress,
    ) -> Path | None:
        found = await link.file(self._request_patience)
        target = await asyncio.to_thread(target_for, to, found, overwrite)
        await Download(
            link.api,
            found,
            target,
            path=link.path,
            patience=self._patience,
            on_progress=on_progress,
        ).run()
        return target.path if isinstance(target, FileTarget) else None

    async def read(
        self, file: str | Manifest, *, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        """The bytes of a file from `start` up to, not including, `end`, in blocks of some size.

        `file` is an id, or what `find` and `list` return. A lost connection is resumed.
        """
        found = file if isinstance(file, Manifest) else await self._finished_file(file)
        stop = found.size if end is None else min(end, found.size)
        retry = Retry(self._patience, self._api.timing, self._api.credential)
        while start < stop:
            headers = {"range": f"bytes={start}-{stop - 1}"}
            path = f"/v1/files/{found.id}"
            try:
                async with self._api.stream("GET", path, headers=headers, follow=True) as answer:
                    if not answer.headers.get("content-range", "").startswith(f"bytes {start}-"):
                        raise self._api.not_a_lading_server()
                    async for data in answer.aiter_raw(BLOCK):
                        start += len(data)
                        retry.progressed()
                        await self._api.pace.wait(len(data))
                        yield data
            except LadingError as failure:
                await retry.wait(failure)

    async def picture(self, file_id: str, quality: int, *, square: bool = False) -> bytes:
        """An image of a file, as WebP: `quality` is 1 (the smallest) to 6.

        One that does not exist yet is made and waited for. Raises UnprocessableImage where none can
        be made.
        """
        path = f"/v1/files/{check_id(file_id)}/{quality}"
        params = {"crop": "square"} if square else {}
        retry = Retry(self._request_patience, self._api.timing, self._api.credential)
        while True:
            try:
                async with self._api.stream("GET", path, params) as answer:
                    data = await answer.aread()
                    if answer.status_code != 202:
                        return data
                    raise error_of(answer.status_code, answer.headers, data)
            except LadingError as failure:
                await retry.wait(failure)

    async def archive(
        self,
        to: str | os.PathLike[str] | BinaryIO,
        *,
        directory: str | None = None,
        ids: Iterable[str] = (),
        overwrite: bool = False,
        on_progress: OnProgress = None,
    ) -> Path | None:
        """Download a directory, or some files, as one ZIP; resume what an earlier run left.

        Returns the path of the written file, None for an open file.
        """
        asked = [("id", each) for each in ids]
        asked += [] if directory is None else [("directory", directory)]
        query = urlencode([*asked, *self._api.for_user.items()])
        source = links.Link(self._api, f"/v1/archive?{query}")
        return await self._save(source, to, overwrite, on_progress)

    def listing(self, wanted: Mapping[str, Collection[str]]) -> lookup.Listing:
        """For `upload`: what is on the server of many files, given as names for each directory.

        Nothing is requested before it is needed; then each directory is listed once.
        """
        return lookup.Listing(self._api, wanted)
