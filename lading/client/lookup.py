"""Find what the server already has of a local file: all of it, or an unfinished upload.

Source: page 7 of the design, `put`; page 4, `GET /v1/files` and `GET /v1/uploads`.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from lading.client.api import Api
from lading.client.source import Source
from lading.client.types import Manifest, Upload

PAGE = 200
MOST_PAGES = 10
"""Where thousands of files begin with this name, the search stops after so many requests."""
LONG_PAGE = 1000
UPLOADS_PAGE = 100
WANTED_PER_PAGE = 10
"""A directory is listed for so many wanted files per page: then it costs less than asking for each.
"""

Result = TypeVar("Result")


async def pages(
    api: Api, params: dict[str, Any], *, patience: float = 0.0, path: str = "/v1/files"
) -> AsyncIterator[dict[str, Any]]:
    """Every manifest of `GET /v1/files`, or of `path`, page by page, as the server sends it."""
    params = {**params, **api.for_user}
    while True:
        answer = await api.json("GET", path, params, patience=patience)
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


class Kinds:
    """The kinds of files of a server, asked for once."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._directories: dict[str, str | None] | None = None
        self._asking = asyncio.Lock()

    async def directory(self, kind: str | None) -> str | None:
        """The directory of the files of a kind; None where it has none. Raises LadingError."""
        if kind is None:
            return None
        async with self._asking:
            if self._directories is None:
                answer = await self._api.json("GET", "/v1/kinds")
                listed = entries(self._api, answer, "kinds")
                with self._api.reading():
                    self._directories = {each["name"]: each["directory"] for each in listed}
        return self._directories.get(kind)


class Named(Protocol):
    """What is looked for: a local file."""

    @property
    def name(self) -> str: ...

    @property
    def size(self) -> int | None: ...

    async def digest(self, on_hashed: Callable[[int], None], /) -> str | None: ...


class Listing:
    """What is on the server of many local files: each directory is listed once for all of them, and
    so are the unfinished uploads.

    `wanted` has the names for each directory. A directory is not listed for one name, nor to its
    end where it has many more files than are wanted; then each file is asked for by itself. So it
    is with uploads where there is more than a page of them.
    """

    def __init__(self, api: Api, wanted: Mapping[str, Collection[str]]) -> None:
        self._api = api
        self._wanted = wanted
        self._lists: dict[str, asyncio.Task[dict[str, list[Manifest]] | None]] = {}
        self._uploads: asyncio.Task[list[Any] | None] | None = None

    async def find(self, name: str, directory: str) -> Sequence[Manifest] | None:
        """The files of that name; None where only asking for it can tell. Raises LadingError."""
        if len(self._wanted.get(directory, ())) < 2:
            return None
        task = self._lists.get(directory)
        if task is None or _failed(task):
            self._lists[directory] = task = asyncio.create_task(self._list(directory))
        found = await asyncio.shield(task)  # others wait for it too
        return None if found is None else found.get(_plain(name), [])

    async def unfinished(self, fingerprint: str) -> list[Any] | None:
        """The uploads with this fingerprint that were unfinished when they were listed, as the
        server sends them; None where only asking for it can tell. Raises LadingError."""
        if sum(map(len, self._wanted.values())) < 2:
            return None
        if self._uploads is None or _failed(self._uploads):
            self._uploads = asyncio.create_task(self._list_uploads())
        found = await asyncio.shield(self._uploads)
        if found is None:
            return None
        with self._api.reading():
            return [raw for raw in found if raw.get("fingerprint") == fingerprint]

    async def _list_uploads(self) -> list[Any] | None:
        params = {"limit": UPLOADS_PAGE, **self._api.for_user}
        answer = await self._api.json("GET", "/v1/uploads", params)
        found = entries(self._api, answer, "uploads")
        return found if answer.get("cursor") is None else None

    async def _list(self, directory: str) -> dict[str, list[Manifest]] | None:
        names = set(map(_plain, self._wanted[directory]))
        most = LONG_PAGE * (1 + len(names) // WANTED_PER_PAGE)
        found: dict[str, list[Manifest]] = {}
        seen = 0
        async for raw in pages(self._api, {"directory": directory, "limit": LONG_PAGE}):
            seen += 1
            if seen > most:
                return None
            if (name := _plain(str(raw.get("name")))) in names:
                found.setdefault(name, []).append(manifest_of(self._api, raw))
        return found


def _failed(task: asyncio.Task[Any]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


def is_at(found: Manifest | Upload, name: str, directory: str) -> bool:
    """Whether it has this name and directory, however both are written: a server may keep
    directories without empty parts, and systems differ in how they compose characters."""
    return _plain(found.name) == _plain(name) and _parts(found.directory) == _parts(directory)


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _parts(directory: str) -> list[str]:
    return [part for part in _plain(directory).split("/") if part not in ("", ".")]


async def already_there(
    api: Api,
    file: Named,
    directory: str,
    on_hashed: Callable[[int], None],
    listing: Listing | None = None,
) -> Manifest | None:
    """A finished file with the same name, directory, size and SHA-256.

    The local file is hashed only when all the rest agrees; `on_hashed` is then called with the
    number of bytes hashed. Raises Forbidden to the bearer of a grant, who may not list files.
    """
    listed = None if listing is None else await listing.find(file.name, directory)
    if listed is None:
        listed = [found async for found in _named(api, file.name, directory)]
    for found in listed:
        if (
            found.sha256 is not None
            and found.size == file.size
            and found.sha256 == await file.digest(on_hashed)
        ):
            return found
    return None


async def has_already(
    api: Api, file: Named, file_id: str, on_hashed: Callable[[int], None]
) -> Manifest | None:
    """The finished file with an id, if it has the bytes of a local one. Raises NotFound."""
    raw = await api.json("GET", f"/v1/uploads/{file_id}")
    if raw.get("state") != "ready" or raw.get("sha256") is None or raw["size"] != file.size:
        return None
    same = raw["sha256"] == await file.digest(on_hashed)
    return manifest_of(api, raw) if same else None


async def _named(api: Api, name: str, directory: str) -> AsyncIterator[Manifest]:
    """The finished files of that name, of those that the first requests return."""
    seen = 0
    async for raw in pages(api, {"name": name, "directory": directory, "limit": PAGE}):
        seen += 1
        if seen > PAGE * MOST_PAGES:
            return
        found = manifest_of(api, raw)
        if is_at(found, name, directory):
            yield found


async def unfinished(
    api: Api, source: Source, *, listing: Listing | None = None, replaces: str | None = None
) -> list[Upload]:
    """The unfinished uploads of the same bytes, to replace the same file if any; those first that
    are most likely to be wanted."""

    async def ask(fingerprint: str) -> list[Any]:
        listed = None if listing is None else await listing.unfinished(fingerprint)
        if listed is None:
            params = {"fingerprint": fingerprint, **api.for_user}
            listed = entries(api, await api.json("GET", "/v1/uploads", params), "uploads")
        return listed

    asking = map(ask, filter(None, (source.fingerprint, source.former_fingerprint)))
    # A proxy that wants a password is asked once.
    answers = [await each for each in asking] if api.proxy else await asyncio.gather(*asking)
    raws = [raw for listed in answers for raw in listed]
    found = [(raw, read(api, Upload.of, raw)) for raw in raws]
    return [
        upload
        for raw, upload in found
        if raw["state"] == "uploading"
        and raw.get("replaces") == replaces
        and upload.size == source.size
    ]
