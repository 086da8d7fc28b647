from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lading.client.api import Api
from lading.client.client import Client
from lading.client.lookup import Listing, already_there, is_at, pages, unfinished
from lading.client.source import Source, open_source
from lading.client.types import File, Upload
from lading.protocol.errors import NotFound
from lading.protocol.manifest import State
from lading.protocol.spec import UploadSpec
from tests.support.fake_server import Fake, Held, respond


@pytest.fixture
async def api(fake: Fake) -> AsyncIterator[Api]:
    async with Client(fake.url) as client:
        yield client._api


@pytest.fixture
async def source(file: Path) -> AsyncIterator[Source]:
    found = await open_source(file, None, sha256=True)
    yield found
    await found.close()


def begin(fake: Fake, source: Source, **changes: object) -> Held:
    spec = UploadSpec(
        name=source.name, size=source.size, directory="films", fingerprint=source.fingerprint
    )
    return fake.hold(replace(spec, **changes))  # type: ignore[arg-type]


async def found_at(
    api: Api, source: Source, directory: str, listing: Listing | None = None
) -> Upload | None:
    """The unfinished upload that would be resumed, as `upload.py` chooses it."""
    candidates = await unfinished(api, source, listing=listing)
    there = (each for each in candidates if is_at(each, source.name, directory))
    return next(there, None)


async def test_the_newest_unfinished_upload_is_found(fake: Fake, api: Api, source: Source) -> None:
    begin(fake, source)
    newest = begin(fake, source)
    found = await found_at(api, source, "films")
    assert found is not None
    assert found.id == newest.id


@pytest.mark.parametrize(
    "changes",
    [{"name": "other"}, {"size": 5}, {"size": None}, {"directory": ""}, {"fingerprint": "other"}],
)
async def test_an_upload_of_another_file_is_not(
    fake: Fake, api: Api, source: Source, changes: dict[str, object]
) -> None:
    begin(fake, source, **changes)
    assert await found_at(api, source, "films") is None


@pytest.mark.parametrize("directory", ["/films/", "./films", "films//"])
async def test_a_directory_that_is_written_otherwise_is_the_same(
    fake: Fake, api: Api, source: Source, directory: str
) -> None:
    begin(fake, source)
    assert await found_at(api, source, directory) is not None


async def test_a_name_that_is_composed_otherwise_is_the_same(
    fake: Fake, api: Api, tmp_path: Path
) -> None:
    path = tmp_path / "cafe\u0301.mp4"
    path.write_bytes(b"x")
    source = await open_source(path, None, sha256=True)
    begin(fake, source, name="caf\u00e9.mp4")
    assert await found_at(api, source, "films") is not None
    await source.close()


def finish(fake: Fake, held: Held, digest: str | None) -> None:
    held.finished = replace(
        held.manifest(), state=State.READY, sha256=digest, crc32c=7, upload_end=True
    )


async def test_a_file_that_is_there_is_found(fake: Fake, api: Api, source: Source) -> None:
    held = begin(fake, source)
    digest = await source.digest(lambda _: None)
    finish(fake, held, digest)
    found = await already_there(api, source, "films", lambda _: None)
    assert found is not None
    assert found.file() == File(
        id=held.id,
        name=source.name,
        size=source.size or 0,
        mime_type="application/octet-stream",
        sha256=digest,
        crc32c=7,
        url=f"{fake.url}/v1/files/{held.id}",
    )


@pytest.mark.parametrize("changes", [{"name": "movie.mp42"}, {"size": 5}, {"directory": ""}])
async def test_the_file_is_not_read_for_one_that_differs(
    fake: Fake, api: Api, source: Source, changes: dict[str, object]
) -> None:
    finish(fake, begin(fake, source, **changes), "0" * 64)
    hashed: list[int] = []
    assert await already_there(api, source, "films", hashed.append) is None
    assert hashed == []


@pytest.mark.parametrize("digest", [None, "0" * 64])
async def test_a_file_of_other_bytes_is_not_the_same(
    fake: Fake, api: Api, source: Source, digest: str | None
) -> None:
    finish(fake, begin(fake, source), digest)
    assert await already_there(api, source, "films", lambda _: None) is None


async def test_all_pages_are_read(fake: Fake, api: Api) -> None:
    answers = [
        {"files": [{"_id": "a"}, {"_id": "b"}], "cursor": "b"},
        {"files": [{"_id": "c"}], "cursor": None},
    ]
    fake.on_request = lambda _path: respond(answers.pop(0))
    assert [manifest["_id"] async for manifest in pages(api, {})] == ["a", "b", "c"]


async def test_an_answer_without_a_list(fake: Fake, api: Api, source: Source) -> None:
    fake.on_request = lambda _path: respond({"hello": "world"})
    with pytest.raises(NotFound, match="not answer like a Lading server"):
        await found_at(api, source, "")
    with pytest.raises(NotFound):
        await already_there(api, source, "", lambda _: None)


# -- many files at once


class Asking:
    """Notes with which parameters unfinished uploads are asked for; `cursor` is that of a list."""

    def __init__(
        self, api: Api, monkeypatch: pytest.MonkeyPatch, cursor: str | None = None
    ) -> None:
        self.heard: list[list[str]] = []
        self._json = api.json
        self._cursor = cursor
        monkeypatch.setattr(api, "json", self)

    async def __call__(self, method: str, path: str, params: dict[str, Any]) -> dict[str, Any]:
        self.heard.append(list(params))
        answer = await self._json(method, path, params)
        return answer if "fingerprint" in params else {**answer, "cursor": self._cursor}


async def test_unfinished_uploads_are_listed_once_for_many_files(
    fake: Fake, api: Api, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = begin(fake, source)
    begin(fake, source, fingerprint="another")
    asking, listing = Asking(api, monkeypatch), Listing(api, {"films": ["a", "b"]})
    for _ in range(3):
        found = await found_at(api, source, "films", listing=listing)
        assert found is not None
        assert found.id == mine.id
    assert asking.heard == [["limit"]]


async def test_nothing_is_listed_for_a_single_file(
    fake: Fake, api: Api, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(fake, source)
    asking, listing = Asking(api, monkeypatch), Listing(api, {"films": [source.name]})
    assert await found_at(api, source, "films", listing=listing) is not None
    assert asking.heard == [["fingerprint"]] * 2  # the one of today, and that of version 0.1


async def test_where_there_are_more_uploads_than_a_page_each_file_is_asked_for(
    fake: Fake, api: Api, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(fake, source)
    asking, listing = Asking(api, monkeypatch, "more"), Listing(api, {"films": ["a", "b"]})
    for _ in range(2):
        assert await found_at(api, source, "films", listing=listing) is not None
    assert asking.heard == [["limit"], *[["fingerprint"]] * 4]


async def test_list_that_failed_is_asked_for_again(fake: Fake, api: Api, source: Source) -> None:
    begin(fake, source)
    listing = Listing(api, {"films": ["a", "b"]})
    fake.on_request = lambda _path: respond(NotFound())
    with pytest.raises(NotFound):
        await found_at(api, source, "films", listing=listing)
    fake.on_request = lambda _path: None
    assert await found_at(api, source, "films", listing=listing) is not None
