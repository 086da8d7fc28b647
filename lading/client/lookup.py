"""What the server has of a file already: the whole of it, or a part that can be gone on with.

It owns which of the server's files and uploads count as the same. It refuses to change anything.
Source: page 7 of the design, `put`; page 4, `GET /v1/files` and `GET /v1/uploads`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from lading.client.api import Api
from lading.client.source import Source

PAGE = 200
MOST_PAGES = 10
"""A name that thousands of files begin with is not worth more requests than this."""


async def pages(
    api: Api, params: dict[str, Any], *, patience: float = 0.0
) -> AsyncIterator[dict[str, Any]]:
    """Every manifest of `GET /v1/files`, page after page."""
    while True:
        answer = await api.json("GET", "/v1/files", params, patience=patience)
        for manifest in entries(api, answer, "files"):
            yield manifest
        if not answer.get("cursor"):
            return
        params = {**params, "cursor": answer["cursor"]}


def entries(api: Api, answer: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """The manifests in a list's answer. Raises NotFound when it is no such answer."""
    found = answer.get(key)
    if not isinstance(found, list):
        raise api.stranger()
    return found


async def already_there(
    api: Api, source: Source, directory: str, tell: Callable[[int], None]
) -> dict[str, Any] | None:
    """The manifest of a finished file with the same name, directory, size and SHA-256.

    The local file is read for its SHA-256 only when all the rest is the same; `tell` then hears
    how many bytes are hashed. Raises Forbidden to the bearer of a grant, who may not look.
    """
    params = {"name": source.name, "directory": directory, "limit": PAGE}
    seen = 0
    async for manifest in pages(api, params):
        seen += 1
        if seen > PAGE * MOST_PAGES:
            return None
        if (
            manifest["sha256"] is not None
            and (manifest["name"], manifest["directory"]) == (source.name, directory)
            and manifest["size"] == source.size
            and manifest["sha256"] == await source.digest(tell)
        ):
            return manifest
    return None


async def unfinished(
    api: Api, source: Source, directory: str, *, renamed: bool = False
) -> dict[str, Any] | None:
    """The manifest of the newest unfinished upload of the same file, if there is one.

    `renamed`: it may have got another name and directory, as grants give them.
    """
    answer = await api.json("GET", "/v1/uploads", {"fingerprint": source.fingerprint})
    for manifest in entries(api, answer, "uploads"):
        if (
            manifest["state"] == "uploading"
            and (renamed or (manifest["name"], manifest["directory"]) == (source.name, directory))
            and manifest["size"] == source.size
        ):
            return manifest
    return None


def as_file(manifest: dict[str, Any]) -> dict[str, Any]:
    """A manifest in the shape of COMPLETE."""
    kept = {key: manifest[key] for key in ("size", "mime_type", "sha256", "crc32c")}
    return {"id": manifest["_id"], **kept, "url": f"/v1/files/{manifest['_id']}"}
