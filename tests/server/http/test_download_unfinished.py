"""Downloads of uploads in progress, and of bytes that went bad."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import httpx
import pytest
from bson import ObjectId

from lading.storage.collections.chunks import object_id
from tests.conftest import Mongo
from tests.support.servers import Process
from tests.support.wire import Wire, cells, channel

CELL = 1024
SIZE = 5 * CELL + 100
DATA = Random(1).randbytes(SIZE)  # two bytes in 32,000 look like an image


@pytest.fixture
async def url(server: Process) -> str:
    """A finished file of several pieces."""
    async with channel(server) as wire:
        file = await wire.upload(1, DATA, name="film.mp4", chunk_size=CELL)
    return str(file["url"])


async def unfinished(wire: Wire, size: int | None, *numbers: int) -> str:
    """An upload of which these cells are stored; its address."""
    upload = await wire.create(1, size, chunk_size=CELL)
    stored = [cells(DATA, CELL)[number] for number in numbers]
    for start, piece in stored:
        await wire.chunk(1, start, piece)
    await wire.stored(len(stored))
    return f"/v1/files/{upload['id']}"


# -- while it arrives


async def test_what_is_stored_of_an_upload_can_be_read(
    server: Process, http: httpx.AsyncClient
) -> None:
    async with channel(server) as wire:
        address = await unfinished(wire, SIZE, 0, 1, 3)
        for asked, start, end in (
            ("0-99", 0, 100),
            ("500-1500", 500, 1501),
            ("3072-4095", 3072, 4096),
        ):
            response = await http.get(address, headers={"Range": f"bytes={asked}"})
            assert response.status_code == 206
            assert response.content == DATA[start:end]
            assert response.headers["content-range"] == f"bytes {start}-{end - 1}/{SIZE}"
            assert response.headers["cache-control"] == "no-store"
            assert "etag" not in response.headers
        for fields in (
            {},
            {"Range": "bytes=2000-2100"},
            {"Range": "bytes=-1"},
            {"Range": "bytes=0-9", "If-Range": '"tag"'},
        ):
            response = await http.get(address, headers=fields)
            assert response.status_code == 416
            assert response.headers["content-range"] == f"bytes */{SIZE}"
            assert response.json()["missing"] == [[2 * CELL, 3 * CELL], [4 * CELL, SIZE]]
            assert response.json()["upload_size"] == 3 * CELL


async def test_a_recording_can_be_played_while_it_is_made(
    server: Process, http: httpx.AsyncClient
) -> None:
    async with channel(server) as wire:
        address = await unfinished(wire, None, 0, 1)
        response = await http.get(address, headers={"Range": "bytes=100-"})
        assert response.status_code == 206
        assert response.content == DATA[100 : 2 * CELL]
        assert response.headers["content-range"] == f"bytes 100-{2 * CELL - 1}/*"
        for fields in ({}, {"Range": f"bytes={2 * CELL}-"}, {"Range": "bytes=-100"}):
            response = await http.get(address, headers=fields)
            assert response.status_code == 416, "its last bytes are not there to be had yet"
            assert response.headers["content-range"] == "bytes */*"
            assert response.json()["upload_size"] == 2 * CELL
            assert response.json()["missing"] == []
            assert "size" not in response.json()


async def test_nothing_of_an_upload_that_ended(
    server: Process, http: httpx.AsyncClient, mongo: Mongo
) -> None:
    async with channel(server) as wire:
        address = await unfinished(wire, SIZE, 0)
        for state, status in (("expired", 410), ("deleted", 404)):
            mongo["shared"]["manifests"].update_one(
                {"_id": ObjectId(address[-24:])}, {"$set": {"state": state}}
            )
            assert (await http.get(address)).status_code == status


# -- bytes that went bad


async def damage(mongo: Mongo, address: str, start: int, change: dict[str, Any]) -> None:
    key = {"_id": object_id(address[-24:], start)}
    found = await asyncio.to_thread(mongo["shared"]["chunks"].update_one, key, change)
    assert found.matched_count == 1


@pytest.mark.parametrize("start", [0, 2 * CELL, 5 * CELL])
async def test_damaged_bytes_are_never_served(
    http: httpx.AsyncClient, url: str, mongo: Mongo, start: int
) -> None:
    _, piece = cells(DATA, CELL)[start // CELL]
    flipped = bytes([piece[0] ^ 1]) + piece[1:]
    await damage(mongo, url, start, {"$set": {"data": flipped}})
    received = b""
    with pytest.raises((httpx.RemoteProtocolError, httpx.HTTPStatusError)):  # noqa: PT012
        async with http.stream("GET", url) as response:
            response.raise_for_status()
            async for data in response.aiter_raw():
                received += data
    assert received == DATA[:start]
    # A range that does not touch them is served.
    beside = (start + CELL) % (5 * CELL)
    response = await http.get(url, headers={"Range": f"bytes={beside}-{beside + 9}"})
    assert response.content == DATA[beside : beside + 10]


async def test_a_lost_piece_is_a_fault_and_no_hole(
    http: httpx.AsyncClient, url: str, mongo: Mongo
) -> None:
    mongo["shared"]["chunks"].delete_one({"_id": object_id(url[-24:], CELL)})
    with pytest.raises((httpx.RemoteProtocolError, httpx.HTTPStatusError)):  # noqa: PT012
        async with http.stream("GET", url) as response:
            response.raise_for_status()
            await response.aread()
