"""A small file in one request: quicker than an upload where there are thousands of them.

It is read once and sent whole, so there is nothing to resume. Source: page 4 of the design,
`POST /v1/files`.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lading.client.api import Api, accepted
from lading.client.local import (
    SMALL,
    file_name,
    open_file,
    read_exactly,
    rfc3339,
    seconds_of,
    signature,
)
from lading.client.types import UploadRequest
from lading.protocol.digests import format_digest_field
from lading.protocol.media_types import by_name


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
