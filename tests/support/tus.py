"""tus over raw sockets: a server, and what its requests have in common."""

from __future__ import annotations

import base64
import json
from random import Random
from typing import Any

from tests.support.raw import Answer, ask
from tests.support.servers import Running

TUS = {"tus-resumable": "1.0.0"}
BYTES = {**TUS, "content-type": "application/offset+octet-stream"}
DATA = Random(5).randbytes(2_500_000)


def metadata(**values: str) -> str:
    """The value of Upload-Metadata."""
    pairs = [f"{key} {base64.b64encode(text.encode()).decode()}" for key, text in values.items()]
    return ",".join(pairs)


def path_of(answer: Answer) -> str:
    """The path of a created upload."""
    return "/" + answer["location"].split("/", 3)[3]


async def create(server: Running, length: int | None = len(DATA), **headers: str) -> str:
    """A new upload; returns its path."""
    said = {"upload-defer-length": "1"} if length is None else {"upload-length": str(length)}
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    made = await ask(server, "POST", "/v1/tus", {**TUS, **said, **given})
    assert made.status == 201, made
    return path_of(made)


async def patch(server: Running, path: str, offset: int, data: bytes, **headers: str) -> Answer:
    """Append bytes."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return await ask(server, "PATCH", path, {**BYTES, "upload-offset": str(offset), **given}, data)


async def offset_of(server: Running, path: str) -> int:
    """How far an upload is."""
    return int((await ask(server, "HEAD", path, TUS))["upload-offset"])


async def content(server: Running, path: str) -> bytes:
    """The bytes of the file that an upload became."""
    found = await ask(server, "GET", f"/v1/files/{path.rsplit('/', 1)[1]}")
    assert found.status == 200, found
    return found.content


async def manifest_of(server: Running, path: str) -> dict[str, Any]:
    """The manifest of an upload or file."""
    found = await ask(server, "GET", f"/v1/manifests/{path.rsplit('/', 1)[1]}")
    manifest: dict[str, Any] = json.loads(found.content)
    return manifest
