"""The application over each client that may be handed in, and how its parts begin and end."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from mongomock_motor import AsyncMongoMockClient
from motor.motor_asyncio import AsyncIOMotorClient

from lading.storage.database import connect
from tests.conftest import Mongo
from tests.support.servers import Inside, inside, until
from tests.support.wire import ABORT, CLOSED, RESUME, cells, channel

CELL = 1024
DATA = os.urandom(5 * CELL + 1)


@pytest.fixture(params=["pymongo", "motor", "mongomock-motor"])
async def over_each(
    request: pytest.FixtureRequest, database_url: str, tmp_path: Path
) -> AsyncIterator[Inside]:
    """A server on a client that was made elsewhere."""
    client: Any
    match request.param:
        case "pymongo":
            client = connect(database_url)
        case "motor":
            client = AsyncIOMotorClient(database_url)
        case _:
            client = AsyncMongoMockClient("mongodb://mock/test")
    async with inside(tmp_path, client=client) as running:
        yield running


async def test_an_upload_over_each_client(over_each: Inside) -> None:
    pieces = cells(DATA, CELL)
    async with channel(over_each) as wire:
        upload = await wire.create(1, len(DATA), chunk_size=CELL, tags=["t"])
        for start, piece in pieces[:3]:
            await wire.chunk(1, start, piece)
        await wire.stored(3)
    async with channel(over_each) as wire:
        again = await wire.resume(1, upload["id"])
        assert again["missing"] == [[3 * CELL, len(DATA)]]
        for start, piece in pieces[2:]:
            await wire.chunk(1, start, piece)
        await wire.stored(4)
        await wire.chunk(1, 0, bytes(CELL))
        assert (await wire.refused(1, 0))["code"] == "chunk-conflict"
        file = await wire.finish(1)
        assert await wire.finish(1) == file
    async with over_each.http() as http:
        assert (await http.get(file["url"])).content == DATA
        assert (
            await http.get(file["url"], headers={"Range": "bytes=1000-1100"})
        ).status_code == 206
        manifest = (await http.get(f"/v1/manifests/{file['id']}")).json()
        assert len(manifest["chunks"]) == len(pieces)
        assert [each["_id"] for each in (await http.get("/v1/files?tag=t")).json()["files"]] == [
            file["id"]
        ]


async def test_small_files_and_deletions_over_each_client(over_each: Inside) -> None:
    async with over_each.http() as http, channel(over_each) as wire:
        made = await http.post("/v1/files?name=a&directory=d", content=DATA)
        assert made.status_code == 201
        assert (await http.get(made.headers["location"])).content == DATA
        assert (await http.get("/v1/usage")).json()["used"] == len(DATA)
        upload = await wire.create(1, 10)
        assert len((await http.get("/v1/uploads")).json()["uploads"]) == 1
        await wire.send(ABORT, 1)
        assert await wire.expect(CLOSED) == [1]
        await wire.send(RESUME, 1, upload["id"])
        assert (await wire.problem(1))["code"] == "not-found"
        deleted = await http.delete("/v1/files?directory=d")
        assert deleted.json()["deleted"] == 1
        assert (await http.get("/v1/files")).json()["files"] == []
        assert (await http.get("/readyz")).status_code == 200
        usage = (await http.get("/v1/usage")).json()
        assert (usage["used"], usage["reserved"]) == (0, 0)


async def test_a_larger_cell_of_an_upload_under_way_stays_possible(
    tmp_path: Path, database_url: str
) -> None:
    data = os.urandom(2**20)
    large = inside(tmp_path / "large", database_url, chunk_size="1MiB")
    async with large as running, channel(running) as wire:
        upload = await wire.create(1, len(data))
        assert upload["chunk_size"] == 2**20
    small = inside(tmp_path / "small", database_url, chunk_size="64KiB")
    async with small as running, channel(running) as wire:
        assert wire.welcome["max_chunk_size"] == 2**20
        assert (await wire.create(2, 10**6))["chunk_size"] == 64 * 1024
        await wire.resume(1, upload["id"])
        await wire.chunk(1, 0, data)
        await wire.stored(1)
        await wire.finish(1)


@pytest.mark.parametrize("path", ["/v1/files/", "/livez/", "/v1/uploads/"])
async def test_an_address_with_a_slash_too_many_does_not_exist(
    path: str, tmp_path: Path, database_url: str
) -> None:
    """A redirect would lead by http to the name that a proxy uses."""
    async with inside(tmp_path, database_url) as running, running.http() as http:
        answer = await http.get(path)
    assert answer.status_code == 404
    assert answer.json()["code"] == "not-found"
    assert "location" not in answer.headers


def names(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


async def test_a_server_ends_with_nothing_left_behind(
    tmp_path: Path, database_url: str, mongo: Mongo
) -> None:
    def connections() -> int:
        return int(mongo["admin"].command("serverStatus")["connections"]["current"])

    before = connections()
    async with inside(tmp_path, database_url) as running:
        async with channel(running) as wire:
            await wire.upload(1, DATA)
        assert (tmp_path / "server.json").stat().st_mode & 0o077 == 0
        await running.stop()
        assert not running.services.channels
        assert running.services.budget.free == running.services.budget.total
    assert sorted(names(tmp_path)) == ["admin-token", "server-secret"]
    await until(lambda: connections() <= before)


async def test_a_server_may_start_again_on_its_data(tmp_path: Path, database_url: str) -> None:
    async with inside(tmp_path, database_url) as running, channel(running) as wire:
        token = running.token
        file = await wire.upload(1, DATA)
    async with inside(tmp_path, database_url) as running, running.http() as http:
        assert running.token == token
        assert (await http.get(file["url"])).content == DATA
