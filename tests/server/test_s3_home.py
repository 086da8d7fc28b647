"""A server whose files live in a bucket, and one whose bucket cannot be reached."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from lading.protocol.digests import crc32c
from lading.protocol.manifest import Manifest
from lading.protocol.spec import UploadSpec
from lading.server.assembly import look_at_home
from lading.server.limits import USUAL_LIMITS
from lading.server.uploads.relocation import Relocation
from lading.storage.database import Database
from lading.storage.free_space import FreeSpace
from lading.storage.open import assemble_storage
from tests.support.clock import Clock
from tests.support.parts import ANN, Parts
from tests.support.seaweedfs import OWNER, SeaweedFS
from tests.support.servers import inside

NOWHERE = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in OWNER.environment.items():
        monkeypatch.setenv(name, value)


async def test_a_file_moves_into_the_bucket_and_is_served_from_there(
    database_url: str, database: Database, seaweed: SeaweedFS, s3_home: str, tmp_path: Path
) -> None:
    data = bytes(range(256)) * 9000
    settings: dict[str, Any] = seaweed.settings()
    async with (
        inside(tmp_path, database_url, blobs=s3_home, **settings) as server,
        server.http() as http,
    ):
        posted = await http.post("/v1/files", files={"file": ("a.bin", data)})
        address = posted.headers["location"]
        moved = {"blobs": s3_home, "todo": []}
        found = None
        while found is None:
            found = await database.manifests.find_one(moved)
            assert (await http.get(address)).content == data
        assert await database.chunks.count_documents({"data": {"$exists": True}}) == 0
        cut = await http.get(address, headers={"Range": "bytes=1000-2000000"})
        assert cut.content == data[1000:2000001]


async def test_without_the_bucket_uploads_go_on_and_the_setting_is_named(
    database_url: str, s3_home: str, tmp_path: Path
) -> None:
    async with (
        inside(tmp_path, database_url, blobs=s3_home, s3_endpoint=NOWHERE) as server,
        server.http() as http,
    ):
        posted = await http.post("/v1/files", files={"file": ("a.txt", b"hallo")})
        assert posted.status_code == 201
        assert (await http.get(posted.headers["location"])).content == b"hallo"


@asynccontextmanager
async def web_page() -> AsyncIterator[str]:
    """An endpoint that answers everything with a web page."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n<p>!")
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with listener:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"


QUICK = replace(
    USUAL_LIMITS,
    uploads=replace(USUAL_LIMITS.uploads, todo_poll_seconds=0.1, todo_lease_seconds=6.0),
)
"""What a server that ended had claimed is soon another's."""


@pytest.fixture
def right(seaweed: SeaweedFS, s3_home: str) -> dict[str, Any]:
    """The settings with which the bucket can be used."""
    return {**seaweed.settings(), "blobs": s3_home}


@pytest.mark.parametrize("wrong", ["keys", "a web page"])
async def test_what_arrives_under_wrong_settings_moves_when_they_are_corrected(
    wrong: str,
    right: dict[str, Any],
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = bytes(range(256)) * 5000
    async with web_page() as page:
        changed: dict[str, Any] = {} if wrong == "keys" else {"s3_endpoint": page}
        with monkeypatch.context() as patched:
            if wrong == "keys":
                patched.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
            async with (
                inside(tmp_path / "wrong", database_url, limits=QUICK, **right | changed) as server,
                server.http() as http,
            ):
                posted = await http.post("/v1/files", files={"file": ("a.bin", data)})
                address = posted.headers["location"]
                manifests = server.services.database.manifests
                while not await manifests.find_one({"todo_tries": {"$gte": 1}}):
                    assert (await http.get(address)).content == data
    async with (
        inside(tmp_path / "right", database_url, limits=QUICK, **right) as server,
        server.http() as http,
    ):
        manifests = server.services.database.manifests
        while not await manifests.find_one({"blobs": right["blobs"], "todo": []}):
            assert (await http.get(address)).content == data
        assert (await http.get(address)).content == data


async def test_a_file_on_its_way_to_a_bucket_that_never_was_goes_to_the_present_home(
    parts: Parts, seaweed: SeaweedFS, s3_home: str
) -> None:
    opened = await parts.uploads.create(ANN, UploadSpec(name="a", size=3))
    await parts.uploads.write(opened, 0, b"abc", crc32c(b"abc"))
    file = await parts.uploads.finish(ANN, opened.manifest.id)
    now = parts.clock()
    claim = await parts.storage.outbox.begin_move(
        file, "s3://no-such-bucket/x", now=now, claimed_until=now
    )
    assert claim is not None
    storage = assemble_storage(
        parts.database,
        parts.clock,
        FreeSpace(parts.database),
        home=s3_home,
        s3=seaweed.options(),
    )
    moved = await Relocation(storage, QUICK.uploads, Unwatched(), 0.0).run()
    assert (moved.files, moved.failed) == (1, [])
    found = await parts.manifests.get(file.id)
    assert found is not None
    assert (found.blobs, found.move_to, found.drop_at, found.todo) == (s3_home, None, (), ())
    await storage.blobs.close()


async def test_a_file_on_its_way_to_a_bucket_that_never_was_can_be_deleted(
    right: dict[str, Any], database_url: str, database: Database, tmp_path: Path
) -> None:
    settings = right | {"blobs": "s3://no-such-bucket/x"}
    async with inside(tmp_path, database_url, **settings) as server, server.http() as http:
        posted = await http.post("/v1/files", files={"file": ("a.bin", bytes(3_000_000))})
        assert (await http.delete(posted.headers["location"])).status_code == 204
        while not await database.manifests.find_one({"emptied": True}):
            assert (await http.get(posted.headers["location"])).status_code == 404
        assert await database.chunks.count_documents({}) == 0


class Unwatched:
    """Nobody hears how far a move is."""

    def begun(self, files: int, size: int) -> None: ...

    def read(self, upload_id: str, size: int) -> None: ...

    def ended(self, manifest: Manifest, *, moved: bool) -> None: ...


async def test_the_log_says_at_the_start_why_the_bucket_cannot_be_used(
    database: Database, seaweed: SeaweedFS
) -> None:
    storage = assemble_storage(
        database,
        Clock(),
        FreeSpace(database),
        home="s3://no-such-bucket",
        s3=seaweed.options(),
    )
    with capture_logs() as logs:
        await look_at_home(storage.blobs)
    (line,) = logs
    assert (line["event"], line["home"]) == ("home-unusable", "s3://no-such-bucket")
    assert "LADING_BLOBS" in line["error"]
    await storage.blobs.close()
