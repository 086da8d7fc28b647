"""Find what the server already has of a local file: all of it, or an unfinished upload.

Source: page 7 of the design, `put`; page 4, `GET /v1/files` and `GET /v1/uploads`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

from lading.client.api import Api
from lading.client.source import Source
from lading.client.types import Manifest, Upload

PAGE = 200
MOST_PAGES = 10
"""Where thousands of files begin with this name, the search stops after so many requests."""

Result = TypeVar("Result")


async def pages(
    api: Api, params: dict[str, Any], *, patience: float = 0.0
) -> AsyncIterator[dict[str, Any]]:
    """Every manifest of `GET /v1/files`, page after page, as the server sends it."""
    while True:
        answer = await api.json("GET", "/v1/files", params, patience=patience)
        for manifest in entries(api, answer, "files"):
            yield manifest
        if not answer.get("cursor"):
            return
        params = {**params, "cursor": answer["cursor"]}


def entries(api: Api, answer: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """The list in an answer. Raises NotALadingServer where there is none."""
    found = answer.get(key)
    if not isinstance(found, list):
        raise api.not_a_lading_server()
    return found


def read(api: Api, make: Callable[[dict[str, Any]], Result], raw: dict[str, Any]) -> Result:
    """An answer as an object. Raises NotALadingServer where fields are missing or malformed."""
    with api.reading():
        return make(raw)


def manifest_of(api: Api, raw: dict[str, Any]) -> Manifest:
    """The manifest of a finished file."""
    return read(api, lambda raw: Manifest.of(raw, file_url(api, raw["_id"])), raw)


def file_url(api: Api, file_id: str) -> str:
    """Where a file can be fetched."""
    return api.address.absolute(f"/v1/files/{file_id}")


async def already_there(
    api: Api, source: Source, directory: str, on_hashed: Callable[[int], None]
) -> Manifest | None:
    """A finished file with the same name, directory, size and SHA-256.

    The local file is hashed only when all the rest agrees; `on_hashed` is then called with the
    number of bytes hashed. Raises Forbidden to the bearer of a grant, who may not list files.
    """
    params = {"name": source.name, "directory": directory, "limit": PAGE}
    seen = 0
    async for raw in pages(api, params):
        seen += 1
        if seen > PAGE * MOST_PAGES:
            return None
        found = manifest_of(api, raw)
        if (
            found.sha256 is not None
            and (found.name, found.directory) == (source.name, directory)
            and found.size == source.size
            and found.sha256 == await source.digest(on_hashed)
        ):
            return found
    return None


async def unfinished(
    api: Api, source: Source, directory: str, *, renamed: bool = False
) -> Upload | None:
    """The newest unfinished upload of the same file.

    With `renamed` its name and directory may differ, as a grant may set them.
    """
    for fingerprint in filter(None, (source.fingerprint, source.former_fingerprint)):
        answer = await api.json("GET", "/v1/uploads", {"fingerprint": fingerprint})
        for raw in entries(api, answer, "uploads"):
            found = read(api, Upload.of, raw)
            if (
                raw["state"] == "uploading"
                and (renamed or (found.name, found.directory) == (source.name, directory))
                and found.size == source.size
            ):
                return found
    return None
