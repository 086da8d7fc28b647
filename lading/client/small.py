"""Small files in one request, or several in one: quicker where there are thousands of them.

Each is read once and sent whole, so there is nothing to resume. Source: page 4 of the design,
`POST /v1/files`; docs/http-api.md, `POST /v1/files/batch`.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from lading.client.api import Api, accepted, new_key
from lading.client.errors import Unreachable
from lading.client.local import (
    SMALL,
    TINY,
    file_name,
    open_file,
    read_exactly,
    rfc3339,
    seconds_of,
    signature,
)
from lading.client.lookup import entries
from lading.client.types import UploadRequest
from lading.protocol import batch
from lading.protocol.digests import format_digest_field
from lading.protocol.errors import (
    Internal,
    LadingError,
    MethodNotAllowed,
    Unavailable,
    from_problem,
)
from lading.protocol.media_types import by_name
from lading.protocol.spec import UploadSpec
from lading.together import Together

BATCH_BYTES = 512 * 1024
"""About as many bytes go in one request: proxies refuse more than 1 MiB unless they are told."""

LEAST_BYTES = 4 * 1024
"""As which a smaller file counts, so that not too many go together."""

BATCHES = 2
"""So many requests with several files are under way at once: while one is stored, one is sent."""

OVER_SECONDS = 60.0
"""So long the end of a batch is waited for whose answer was lost. When a server died, another one
says after 30 seconds that it is over."""

ALONE = 16
"""So many files are on their way at once by requests of their own."""


@dataclass(frozen=True, slots=True)
class SmallFile:
    """The whole content of a file. `sha256` is None when none was requested.

    `modified_at` is when it was last changed, in Unix seconds.
    """

    name: str
    data: bytes
    sha256: str | None
    modified_at: float | None = None

    @property
    def size(self) -> int:
        return len(self.data)

    async def digest(self, _on_hashed: Callable[[int], None]) -> str | None:
        return self.sha256


def read_small(path: str | os.PathLike[str], request: UploadRequest) -> SmallFile | None:
    """A regular file of at most `SMALL` bytes; None for any other, and for one that changes while
    it is read. Blocks. Raises SourceFailed."""
    try:
        facts = os.stat(path)  # noqa: PTH116 - may be bytes that are no text
    except OSError:
        return None  # opening it says why
    if not stat.S_ISREG(facts.st_mode) or facts.st_size > SMALL:
        return None
    with open_file(path) as file:
        before = signature(file)
        data = read_exactly(file, 0, SMALL + 1)
        if signature(file) != before or len(data) != facts.st_size:
            return None
    digest = hashlib.sha256(data).hexdigest() if request.sha256 else None
    changed = seconds_of(request.modified_at, facts.st_mtime_ns)
    return SmallFile(request.name or file_name(os.fspath(path)), data, digest, changed)


class _Item(NamedTuple):
    file: SmallFile
    request: UploadRequest
    key: str | None


class SmallFiles:
    """Stores small files on one server. Those that wait at the same moment go in one request.

    A file that comes while nothing is under way goes alone, by a request of its own.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._together = Together(self._send, at_once=BATCHES, most=BATCH_BYTES)
        self._alone = asyncio.Semaphore(ALONE)
        self._takes_batches = True

    async def store(
        self, file: SmallFile, request: UploadRequest, key: str | None = None
    ) -> dict[str, Any]:
        """Store the file; one attempt. Returns its manifest as the server sends it.

        Only a file with a SHA-256 goes with others: by that it is found again, should the answer
        be lost. Raises LadingError.
        """
        item = _Item(file, request, key)
        if not self._takes_batches or file.size > TINY or key is not None or request.replaces:
            return await self._post(item)
        return await self._together(item, max(file.size, LEAST_BYTES))

    async def _post(self, item: _Item) -> dict[str, Any]:
        async with self._alone:
            return await post(self._api, *item)

    async def _send(self, items: list[_Item]) -> Sequence[dict[str, Any] | Exception]:
        if len(items) > 1 and self._takes_batches:
            try:
                return await self._send_batch(items)
            except MethodNotAllowed:
                self._takes_batches = False  # a server of an older version
        # Each task has its own outcome; what ends one is no reason to give up the others.
        tasks = [asyncio.create_task(self._post(item)) for item in items]
        try:
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            for task in tasks:
                task.cancel()
        return [_raised(each) for each in outcomes]

    async def _send_batch(self, items: list[_Item]) -> list[dict[str, Any] | Exception]:
        files = [(_spec(item.file, item.request), item.file.data) for item in items]
        await self._api.pace.wait(sum(item.file.size for item in items))
        key = new_key()
        try:
            answer = await self._post_batch(batch.encode(files), key)
        except (Unreachable, Unavailable, Internal):
            # It may be under way all the same. Who looks now would not see all that it stores, and
            # would send the rest once more.
            with suppress(LadingError):
                await self._post_batch(b"", key, patience=OVER_SECONDS)
            raise
        outcomes = entries(self._api, answer, "outcomes")
        if len(outcomes) != len(items):
            raise self._api.not_a_lading_server()
        with self._api.reading():
            return [
                from_problem(each["problem"]) if "problem" in each else dict(each["file"])
                for each in outcomes
            ]

    async def _post_batch(self, body: bytes, key: str, patience: float = 0.0) -> dict[str, Any]:
        """The server's answer to a batch. An empty one with the key of another is refused, but only
        when the server is done with that."""
        return await self._api.json(
            "POST",
            "/v1/files/batch",
            self._api.for_user,
            content=body,
            headers={"content-type": batch.MEDIA_TYPE},
            silent=True,
            key=key,
            patience=patience,
        )


def _raised(outcome: dict[str, Any] | BaseException) -> dict[str, Any] | Exception:
    """What one task came to; raises what is no error of its own, such as a cancellation."""
    if isinstance(outcome, BaseException) and not isinstance(outcome, Exception):
        raise outcome
    return outcome


def _spec(file: SmallFile, request: UploadRequest) -> UploadSpec:
    return UploadSpec(
        name=file.name,
        size=file.size,
        mime_type=request.mime_type or by_name(file.name),
        directory=request.directory,
        tags=request.tags,
        sha256=file.sha256,
        kind=request.kind,
        modified_at=file.modified_at,
    )


async def post(
    api: Api, file: SmallFile, request: UploadRequest, key: str | None = None
) -> dict[str, Any]:
    """Store the file; one attempt. Returns its manifest as the server sends it."""
    headers = {}
    if kind := request.mime_type or by_name(file.name):
        headers["content-type"] = kind
    if file.sha256 is not None:
        headers["repr-digest"] = format_digest_field("sha-256", bytes.fromhex(file.sha256))
    method, path, params = "POST", "/v1/files", _about(api, file, request)
    if request.replaces is not None:
        method, path, params = "PUT", f"/v1/files/{request.replaces}", {}
    if file.modified_at is not None:
        params["modified_at"] = rfc3339(file.modified_at)
    await api.pace.wait(file.size)

    async def send(params: dict[str, Any]) -> dict[str, Any]:
        return await api.json(
            method, path, params, content=file.data, headers=headers, silent=True, key=key
        )

    return await accepted(send, params, "modified_at")


def _about(api: Api, file: SmallFile, request: UploadRequest) -> dict[str, Any]:
    """What is said of a new file."""
    params: dict[str, Any] = {"name": file.name, **api.for_user}
    if request.directory:
        params["directory"] = request.directory
    if request.kind is not None:
        params["kind"] = request.kind
    if request.tags:
        params["tag"] = list(request.tags)
    return params
