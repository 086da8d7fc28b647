"""A server whose database has a full disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from lading.storage.database import Database, Space
from tests.support.servers import Inside, inside
from tests.support.users import refusal
from tests.support.wire import CREATE, channel

FLOOR = 1000


@pytest.fixture
async def small(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Inside, list[int]]]:
    """A server, and the free space of its disk as the only item of a list."""
    free = [2**40]

    async def space(_database: Database) -> Space:
        return Space(free[0])

    monkeypatch.setattr(Database, "space", space)
    async with inside(tmp_path, database_url, chunk_size=1024, free_space_floor=FLOOR) as server:
        yield server, free


async def test_a_full_server_takes_nothing_new_and_goes_on_when_there_is_room(
    small: tuple[Inside, list[int]],
) -> None:
    server, free = small
    piece = b"x" * 1024
    async with server.http() as http, channel(server) as wire:
        upload = await wire.create(1, 2048)
        await wire.chunk(1, 0, piece)
        await wire.stored(1)
        kept = (await http.post("/v1/files", content=b"kept")).json()["_id"]

        free[0] = FLOOR - 1
        await until_answer(http, 507)
        answer = await http.post("/v1/files", content=b"x")
        assert refusal(answer) == (507, "storage-full")
        assert (answer.json()["retryable"], answer.json()["free"]) == (True, FLOOR - 1)
        assert int(answer.headers["Retry-After"]) > 0
        new = await http.post("/v1/uploads", json={"name": "a", "size": 1})
        assert refusal(new) == (507, "storage-full")
        put = await http.put(f"/v1/uploads/{upload['id']}/chunks/1024", content=piece)
        assert refusal(put) == (507, "storage-full")
        await wire.chunk(1, 1024, piece)
        problem = await wire.refused(1, 1024)
        assert (problem["code"], problem["retryable"]) == ("storage-full", True)
        await wire.send(CREATE, 2, {"name": "a", "size": 1})
        assert (await wire.problem(2))["code"] == "storage-full"
        # What is there can be seen, fetched and deleted: that is how room is made.
        assert (await wire.resume(3, upload["id"]))["missing"] == [[1024, 2048]]
        assert (await http.get(f"/v1/files/{kept}")).content == b"kept"
        assert (await http.delete(f"/v1/files/{kept}")).status_code == 204
        assert (await http.get("/v1/usage")).json()["reserved"] == 2048

        free[0] = FLOOR
        await until_answer(http, 201)
        await wire.chunk(1, 1024, piece)
        await wire.stored(1)
        assert (await wire.finish(1))["size"] == 2048


async def until_answer(http: httpx.AsyncClient, status: int) -> None:
    """Wait until a new upload is answered with this status."""
    async with asyncio.timeout(10):
        while True:
            answer = await http.post("/v1/uploads", json={"name": "a", "size": 0})
            if answer.status_code == status:
                return


async def test_of_a_full_disk_no_quota_is_taken(small: tuple[Inside, list[int]]) -> None:
    server, free = small
    async with server.http() as http:
        free[0] = 0
        await until_answer(http, 507)
        before = (await http.get("/v1/usage")).json()
        await http.post("/v1/files", content=b"x" * 100)
        assert (await http.get("/v1/usage")).json() == before
