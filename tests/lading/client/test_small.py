"""Files in one request, against the real server, and lists of what is there."""

import asyncio
import hashlib
import io
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.http11 import Response

from lading.client.api import Api
from lading.client.client import Client
from lading.client.errors import NotALadingServer
from lading.client.local import SMALL, TINY
from lading.client.small import read_small
from lading.client.types import Manifest, UploadRequest
from lading.protocol.errors import InvalidArgument, LadingError, MethodNotAllowed, TooLarge
from lading.server.uploads.small_files import SmallFiles
from tests.lading.conftest import AT_ONCE
from tests.support.fake_server import Fake, respond
from tests.support.network import network
from tests.support.servers import Process, inside

REQUEST = UploadRequest(
    name=None, directory="", tags=(), mime_type=None, sha256=True, resume=True, chunk_size=None
)


@pytest.fixture
async def lading(server: Process) -> AsyncIterator[Client]:
    async with Client(server.url, server.token, timing=AT_ONCE) as client:
        yield client


def written(path: Path, size: int = 2000) -> Path:
    path.write_bytes(b"no magic" + os.urandom(size - 8))
    return path


async def test_a_small_file_takes_one_request(lading: Client, tmp_path: Path) -> None:
    path = written(tmp_path / "small.mp4")
    upload = lading.upload(path, one_request=True, directory="s", tags=["a", "b"])
    file = await upload
    found = await lading.manifest(file.id)
    assert isinstance(found, Manifest)
    assert (found.name, found.directory, found.tags) == ("small.mp4", "s", ("a", "b"))
    assert (found.mime_type, found.sha256) == ("video/mp4", file.sha256)
    assert (upload.connections, upload.bytes_sent, upload.skipped) == (0, 2000, False)
    again = lading.upload(path, one_request=True, directory="s")
    assert (await again).id == file.id
    assert again.skipped


async def test_a_larger_file_is_an_upload(lading: Client, tmp_path: Path) -> None:
    upload = lading.upload(written(tmp_path / "larger", SMALL + 1), one_request=True)
    await upload
    assert upload.connections == 1


async def test_an_answer_that_is_lost_makes_no_second_file(server: Process, tmp_path: Path) -> None:
    path = written(tmp_path / "lost-answer")
    async with network(server.port) as between:
        lost = 0

        def lose(data: bytes) -> bytes:
            nonlocal lost
            if b"201 Created" in data and not lost:
                lost += 1
                between.cut()
            return data

        between.damage_back = lose
        async with Client(between.url, server.token, timing=AT_ONCE) as lading:
            upload = lading.upload(path, one_request=True)
            file = await upload
            found = [each.id async for each in lading.list(name=path.name)]
    assert (lost, found, upload.skipped) == (1, [file.id], False)


async def test_a_server_that_takes_smaller_bodies_only_gets_an_upload(
    lading: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_arguments: object) -> None:
        raise TooLarge

    monkeypatch.setattr("lading.client.small.post", refuse)
    upload = lading.upload(written(tmp_path / "too-large"), one_request=True)
    await upload
    assert (upload.connections, upload.bytes_sent) == (1, 2000)


@pytest.mark.parametrize("path", ["/dev/null", "/proc/cpuinfo", "/", "/nowhere"])
def test_what_is_no_small_file(path: str) -> None:
    assert read_small(path, REQUEST) is None


async def test_a_directory_is_listed_once(
    lading: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [written(tmp_path / f"listed-{number}") for number in range(20)]
    for path in paths[:10]:
        await lading.upload(path, one_request=True, directory="listed")
    asked: list[str] = []
    usual = httpx.AsyncClient.build_request

    def count(self: httpx.AsyncClient, method: str, *rest: Any, **more: Any) -> httpx.Request:
        asked.append(method)
        return usual(self, method, *rest, **more)

    monkeypatch.setattr(httpx.AsyncClient, "build_request", count)
    listing = lading.listing({"listed": [path.name for path in paths]})
    options: dict[str, Any] = {"one_request": True, "directory": "listed", "listing": listing}
    uploads = [lading.upload(path, **options) for path in paths]
    for upload in uploads:
        await upload
    assert [upload.skipped for upload in uploads] == [True] * 10 + [False] * 10
    assert asked == ["GET", *["POST"] * 10]


async def test_a_directory_with_many_more_files_is_not_listed_to_its_end(fake: Fake) -> None:
    def answer(_path: str) -> Response:
        return respond({"files": [{"name": "other"}] * 1001, "cursor": None})

    fake.on_request = answer
    async with Client(fake.url, "t", timing=AT_ONCE) as lading:
        listing = lading.listing({"d": ["a", "b"], "e": ["a"]})
        assert await listing.find("a", "d") is None
        assert await listing.find("a", "e") is None  # one file is asked for by its name


async def test_a_list_that_failed_is_asked_for_again(fake: Fake) -> None:
    answers = [respond({"files": [], "cursor": None}), respond({"hello": "world"})]
    fake.on_request = lambda _path: answers.pop()
    async with Client(fake.url, "t", timing=AT_ONCE) as lading:
        listing = lading.listing({"d": ["a", "b"]})
        with pytest.raises(LadingError):
            await listing.find("a", "d")
        assert await listing.find("a", "d") == []


async def test_an_open_file_is_an_upload(lading: Client) -> None:
    upload = lading.upload(io.BytesIO(b"x"), name="open", one_request=True, resume=False)
    await upload
    assert upload.connections == 1


# -- many files in one request


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The method and path of each request that the clients of the test make."""
    made: list[tuple[str, str]] = []
    usual = httpx.AsyncClient.build_request

    def note(self: httpx.AsyncClient, method: str, url: Any, **more: Any) -> httpx.Request:
        made.append((method, httpx.URL(url).path))
        return usual(self, method, url, **more)

    monkeypatch.setattr(httpx.AsyncClient, "build_request", note)
    return made


def tiny(folder: Path, count: int, prefix: str) -> list[Path]:
    return [written(folder / f"{prefix}-{number}") for number in range(count)]


async def uploaded(lading: Client, paths: list[Path], directory: str, **more: Any) -> list[Any]:
    """What became of each file, sent at once; with a list of what is there, as `lading put`."""
    listing = lading.listing({directory: [path.name for path in paths]})
    options: dict[str, Any] = {"one_request": True, "directory": directory, "listing": listing}
    uploads = [lading.upload(path, **options, **more) for path in paths]
    return await asyncio.gather(*uploads, return_exceptions=True)


BATCH = ("POST", "/v1/files/batch")


async def test_tiny_files_that_wait_go_together(
    lading: Client, tmp_path: Path, requests: list[tuple[str, str]]
) -> None:
    paths = tiny(tmp_path, 100, "together")
    files = await uploaded(lading, paths, "together", tags=["t"])
    assert [each.name for each in files] == [path.name for path in paths]
    assert [each.sha256 for each in files] == [
        hashlib.sha256(path.read_bytes()).hexdigest() for path in paths
    ]
    assert requests.count(BATCH) >= 1
    assert len(requests) < 20
    found = await lading.manifest(files[50].id)
    assert (found.directory, found.tags) == ("together", ("t",))
    assert isinstance(found, Manifest)
    assert found.modified_at is not None
    assert found.modified_at.timestamp() == pytest.approx(paths[50].stat().st_mtime, abs=0.001)
    read = b"".join([part async for part in lading.read(files[99].id)])
    assert read == paths[99].read_bytes()


async def test_those_without_a_digest_and_larger_ones_go_alone(
    lading: Client, tmp_path: Path, requests: list[tuple[str, str]]
) -> None:
    await uploaded(lading, tiny(tmp_path, 20, "undigested"), "alone", sha256=False)
    larger = [written(tmp_path / f"larger-{number}", TINY + 1) for number in range(20)]
    await uploaded(lading, larger, "alone")
    assert BATCH not in requests


async def test_one_that_is_refused_is_the_only_one(lading: Client, tmp_path: Path) -> None:
    paths = tiny(tmp_path, 20, "one-is-refused")
    options: dict[str, Any] = {"one_request": True, "directory": "refused"}
    uploads = [
        lading.upload(path, **options, tags=["."] if number == 7 else [])
        for number, path in enumerate(paths)
    ]
    found = await asyncio.gather(*uploads, return_exceptions=True)
    assert [isinstance(each, InvalidArgument) for each in found] == [n == 7 for n in range(20)]
    assert "A tag must not hold" in str(found[7])


async def test_an_answer_for_many_files_that_is_lost_makes_no_second_ones(
    server: Process, tmp_path: Path
) -> None:
    paths = tiny(tmp_path, 60, "lost")
    async with network(server.port) as between:
        lost = 0

        def lose(data: bytes) -> bytes:
            nonlocal lost
            if b'"outcomes"' in data and not lost:
                lost += 1
                between.cut()
            return data

        between.damage_back = lose
        async with Client(between.url, server.token, timing=AT_ONCE) as lading:
            files = await uploaded(lading, paths, "lost-batch")
            there = [each.id async for each in lading.list(directory="lost-batch")]
    assert lost == 1
    assert sorted(there) == sorted(each.id for each in files)


async def test_a_server_that_knows_no_batches_gets_one_request_for_each(
    lading: Client,
    tmp_path: Path,
    requests: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual = Api.json

    async def older(self: Api, method: str, path: str, *rest: Any, **more: Any) -> Any:
        if path == "/v1/files/batch":
            requests.append((method, path))
            raise MethodNotAllowed
        return await usual(self, method, path, *rest, **more)

    monkeypatch.setattr(Api, "json", older)
    files = await uploaded(lading, tiny(tmp_path, 60, "older"), "older")
    assert len({each.id for each in files}) == 60
    asked = requests.count(BATCH)
    assert 1 <= asked <= 2
    await uploaded(lading, tiny(tmp_path, 60, "older-still"), "older")
    assert requests.count(BATCH) == asked


async def test_a_batch_that_is_answered_by_something_else_is_no_success(
    lading: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = Api.json

    async def strange(self: Api, method: str, path: str, *rest: Any, **more: Any) -> Any:
        answer = await usual(self, method, path, *rest, **more)
        if path == "/v1/files/batch":
            return {"outcomes": answer["outcomes"][:-1]}
        return answer

    monkeypatch.setattr(Api, "json", strange)
    paths = tiny(tmp_path, 20, "strange")
    files = await uploaded(lading, paths, "strange")
    assert any(isinstance(each, NotALadingServer) for each in files)
    monkeypatch.undo()
    # What was stored nevertheless is found by the next run.
    again = await uploaded(lading, paths, "strange")
    there = [each.id async for each in lading.list(directory="strange")]
    assert sorted(there) == sorted(each.id for each in again)


async def test_a_batch_that_is_still_stored_when_its_answer_is_lost_is_waited_for(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who looked before its end would not see its files, and would send them once more."""
    asked: list[int] = []
    usual, go = SmallFiles.store, asyncio.Event()

    async def slow(self: SmallFiles, *given: Any) -> Any:
        between.cut()
        await go.wait()
        return await usual(self, *given)

    monkeypatch.setattr(SmallFiles, "store", slow)
    json = Api.json

    async def counted(self: Api, method: str, path: str, *rest: Any, **more: Any) -> Any:
        if path == BATCH[1]:
            asked.append(len(more["content"]))
            if len(asked) == 2:
                go.set()  # the client asks whether it is over
        return await json(self, method, path, *rest, **more)

    monkeypatch.setattr(Api, "json", counted)
    async with (
        inside(tmp_path, database_url) as server,
        network(server.port) as between,
        Client(between.url, server.token, timing=AT_ONCE) as lading,
    ):
        files = await uploaded(lading, tiny(tmp_path, 40, "slow"), "slow")
        there = [each.id async for each in lading.list(directory="slow")]
    assert asked[1] == 0
    assert sorted(there) == sorted(each.id for each in files)
