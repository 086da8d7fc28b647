"""The one path that every transport takes, where no transport shows it: the watermark, what
connections share, reading ahead, and a disk without room."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId

from lading.protocol.errors import (
    AlreadyComplete,
    ChecksumMismatch,
    Gone,
    Internal,
    InvalidArgument,
    LadingError,
    NotFound,
    OutOfBounds,
    Unavailable,
)
from lading.protocol.manifest import State
from lading.protocol.spec import UploadSpec
from lading.server.access.principal import Principal
from lading.server.uploads import OpenUpload, Uploads
from lading.storage.collections.chunks import Chunks, object_id
from tests.conftest import Mongo
from tests.support.gate import Gate
from tests.support.servers import Inside, inside, until
from tests.support.wire import channel, checksum

ANN, BOB = Principal("ann"), Principal("bob")
CELL = 1024
DATA = os.urandom(4 * CELL + 7)
TTL = 1000.0


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def server(tmp_path: Path, database_url: str, clock: Clock) -> AsyncIterator[Inside]:
    # Its janitor would go by the database's clock.
    async with inside(
        tmp_path, database_url, clock=clock, upload_ttl=TTL, chunk_size=CELL, janitor=False
    ) as running:
        yield running


@pytest.fixture
def uploads(server: Inside) -> Uploads:
    return server.services.uploads


def spec(size: int | None = len(DATA)) -> UploadSpec:
    return UploadSpec(name="a.bin", size=size)


async def put(uploads: Uploads, upload: OpenUpload, *numbers: int) -> int:
    """Store these cells; gives what is stored then."""
    stored = 0
    for number in numbers:
        piece = DATA[number * CELL : (number + 1) * CELL]
        stored = (await uploads.write(upload, number * CELL, piece, checksum(piece))).upload_size
    return stored


def kept_manifest(mongo: Mongo, server: Inside, upload: OpenUpload) -> dict[str, Any]:
    database = mongo[server.services.database.chunks.database.name]
    key = {"_id": ObjectId(upload.manifest.id)}
    found: dict[str, Any] | None = database["manifests"].find_one(key)
    assert found is not None
    return found


# -- the watermark


async def test_the_manifest_is_refreshed_at_most_once_a_second(
    server: Inside, uploads: Uploads, clock: Clock, mongo: Mongo
) -> None:
    upload = await uploads.create(ANN, spec())
    assert await put(uploads, upload, 0, 1) == 2 * CELL
    first = kept_manifest(mongo, server, upload)
    assert first["upload_size"] == 0
    clock.now += 1.5
    await put(uploads, upload, 2)
    second = kept_manifest(mongo, server, upload)
    assert second["upload_size"] in (2 * CELL, 3 * CELL)
    assert second["updated_at"] != first["updated_at"]
    assert second["expires_at"].timestamp() == clock.now + TTL
    await put(uploads, upload, 3)
    assert kept_manifest(mongo, server, upload) == second
    assert await put(uploads, upload, 4) == len(DATA)


async def test_a_clock_that_is_set_back_stops_nothing(
    server: Inside, uploads: Uploads, clock: Clock, mongo: Mongo
) -> None:
    upload = await uploads.create(ANN, spec())
    first = kept_manifest(mongo, server, upload)
    clock.now -= 86_400
    assert await put(uploads, upload, 0, 1, 2, 3, 4) == len(DATA)
    assert kept_manifest(mongo, server, upload)["expires_at"] == first["expires_at"]
    assert (await uploads.finish(ANN, upload.manifest.id)).state is State.READY


async def test_what_is_stored_is_not_counted_twice(
    server: Inside, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await uploads.create(ANN, spec())
    for _ in range(3):
        assert await put(uploads, upload, 0, 4) == CELL + 7
    gate = Gate(monkeypatch)
    gate.opened.set()
    await put(uploads, upload, 1)
    gate.opened.clear()
    writing = asyncio.create_task(put(uploads, upload, 2))
    await until(lambda: gate.waiting == 2)
    resumed, coverage = await uploads.resume(ANN, upload.manifest.id)
    assert resumed is upload
    assert coverage.upload_size == 2 * CELL + 7
    gate.opened.set()
    await writing
    assert await put(uploads, upload, 3) == len(DATA)


# -- what connections share


async def test_connections_of_one_process_share_an_upload(uploads: Uploads) -> None:
    upload = await uploads.create(ANN, spec())
    other, _ = await uploads.resume(ANN, upload.manifest.id)
    assert other is upload
    await put(uploads, other, 0, 1, 2, 3, 4)
    manifest = await uploads.finish(ANN, upload.manifest.id)
    assert upload.manifest == manifest
    with pytest.raises(AlreadyComplete):
        await uploads.write(upload, 0, b"x" * CELL, checksum(b"x" * CELL))


async def test_an_upload_that_nobody_has_open_is_forgotten(uploads: Uploads) -> None:
    upload = await uploads.create(ANN, spec())
    upload_id = upload.manifest.id
    del upload
    gc.collect()
    again, coverage = await uploads.resume(ANN, upload_id)
    assert again.stored == 0
    assert coverage.missing == [(0, len(DATA))]


async def test_what_is_anothers_does_not_exist(uploads: Uploads) -> None:
    upload = await uploads.create(ANN, spec(0))
    upload_id = upload.manifest.id
    for refused in (
        uploads.get(BOB, upload_id),
        uploads.resume(BOB, upload_id),
        uploads.finish(BOB, upload_id),
        uploads.delete(BOB, upload_id),
    ):
        with pytest.raises(NotFound):
            await refused
    assert (await uploads.finish(ANN, upload_id)).size == 0


@pytest.mark.parametrize("state", ["expired", "deleted"])
async def test_a_tombstone_takes_nothing(
    server: Inside, uploads: Uploads, clock: Clock, mongo: Mongo, state: str
) -> None:
    kind = {"expired": Gone, "deleted": NotFound}[state]
    upload = await uploads.create(ANN, spec())
    database = mongo[server.services.database.chunks.database.name]
    database["manifests"].update_one({}, {"$set": {"state": state}})
    clock.now += 2
    for refused in (
        put(uploads, upload, 0),
        uploads.get(ANN, upload.manifest.id),
        uploads.finish(ANN, upload.manifest.id),
        uploads.delete(ANN, upload.manifest.id),
    ):
        with pytest.raises(kind):
            await refused
    assert database["chunks"].count_documents({}) == 0


# -- refusals


@pytest.mark.parametrize(
    ("known", "size", "sha256", "kind"),
    [
        (None, None, None, InvalidArgument),
        (3, 2, None, InvalidArgument),
        (3, 4, None, InvalidArgument),
        (3, None, "x", InvalidArgument),
        (3, 3, "0" * 64, ChecksumMismatch),
    ],
)
async def test_creation_and_finish_must_agree(
    uploads: Uploads,
    known: int | None,
    size: int | None,
    sha256: str | None,
    kind: type[LadingError],
) -> None:
    upload = await uploads.create(ANN, spec(known))
    await uploads.write(upload, 0, b"abc", checksum(b"abc"))
    with pytest.raises(kind):
        await uploads.finish(ANN, upload.manifest.id, size, sha256)
    assert (await uploads.finish(ANN, upload.manifest.id, 3)).size == 3


async def test_pieces_of_any_length_must_go_on_where_one_ends(uploads: Uploads) -> None:
    upload = await uploads.create(ANN, spec())

    async def write(start: int, end: int) -> None:
        piece = DATA[start:end]
        await uploads.write(upload, start, piece, checksum(piece), whole_cells=False)

    await write(0, 10)
    for start, end in ((5, 20), (11, 20), (20, 30), (CELL - 1, CELL)):
        with pytest.raises(OutOfBounds):
            await write(start, end)
    for start, end in ((10, 500), (500, CELL), (CELL, CELL + 1)):
        await write(start, end)
    coverage = await uploads.coverage(upload.manifest)
    assert coverage.missing == [(CELL + 1, len(DATA))]


@pytest.mark.parametrize(("size", "missing"), [(0, []), (1, [[0, 1]]), (None, [])])
async def test_once_created_nothing_can_keep_the_client_from_its_upload(
    server: Inside, monkeypatch: pytest.MonkeyPatch, size: int | None, missing: list[list[int]]
) -> None:
    async def down(*_: object) -> None:
        raise Unavailable

    monkeypatch.setattr(Chunks, "runs", down)
    async with server.http() as http:
        made = await http.post("/v1/uploads", json={"name": "a.bin", "size": size})
    assert (made.status_code, made.json()["missing"]) == (201, missing)


# -- reading


@pytest.fixture
async def finished(uploads: Uploads) -> OpenUpload:
    upload = await uploads.create(ANN, spec())
    await put(uploads, upload, 0, 1, 2, 3, 4)
    await uploads.finish(ANN, upload.manifest.id)
    return upload


@pytest.mark.parametrize(
    ("start", "end"),
    [(0, 0), (0, 1), (0, len(DATA)), (CELL - 1, CELL + 1), (CELL, 2 * CELL), (4 * CELL, len(DATA))],
)
async def test_any_range_is_read(
    uploads: Uploads, finished: OpenUpload, start: int, end: int
) -> None:
    parts = [part async for part in uploads.read(finished.manifest, start, end)]
    assert b"".join(parts) == DATA[start:end]
    assert all(parts)


async def test_a_reader_that_stops_leaves_nothing_running(
    uploads: Uploads, finished: OpenUpload
) -> None:
    before = asyncio.all_tasks()
    reading = uploads.read(finished.manifest, 0, len(DATA))
    assert await anext(reading) == DATA[:CELL]
    await reading.aclose()
    await asyncio.sleep(0)
    await until(lambda: asyncio.all_tasks() <= before)


async def test_a_reader_that_stops_before_damaged_bytes_hears_nothing_of_them(
    server: Inside, uploads: Uploads, finished: OpenUpload, mongo: Mongo
) -> None:
    database = mongo[server.services.database.chunks.database.name]
    key = {"_id": object_id(finished.manifest.id, CELL)}
    database["chunks"].update_one(key, {"$set": {"data": bytes(CELL)}})
    complaints: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    before = asyncio.all_tasks()
    reading = uploads.read(finished.manifest, 0, len(DATA))
    assert await anext(reading) == DATA[:CELL]
    # The next piece is fetched meanwhile, and found to be damaged.
    await until(lambda: asyncio.all_tasks() <= before)
    await reading.aclose()
    del reading
    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []
    with pytest.raises(Internal):
        [part async for part in uploads.read(finished.manifest, 0, len(DATA))]


# -- a disk without room


async def test_without_room_nothing_new_is_taken_and_all_is_served(
    server: Inside, tmp_path: Path, database_url: str
) -> None:
    async with server.http() as http:
        made = await http.post("/v1/files?name=a", content=DATA)
    async with channel(server) as wire:
        upload = await wire.create(1, 10)
    async with inside(
        tmp_path / "full", database_url, free_space_floor="1000TB", janitor=False
    ) as full:
        headers = {"Authorization": f"Bearer {full.token}"}
        async with full.http() as http:
            refused = await http.post("/v1/files?name=b", content=DATA)
            assert (refused.status_code, refused.json()["code"]) == (507, "storage-full")
            assert refused.headers["retry-after"]
            assert (await http.get(made.headers["location"], headers=headers)).content == DATA
        async with channel(full) as wire:
            await wire.resume(1, upload["id"])
            await wire.chunk(1, 0, b"x" * 10)
            problem = await wire.refused(1, 0)
            assert problem["code"] == "storage-full"
            assert problem["retryable"]
    async with channel(server) as wire:
        assert (await wire.resume(1, upload["id"]))["missing"] == [[0, 10]]
