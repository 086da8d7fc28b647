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
from tests.support.users import shown, user
from tests.support.wire import Wire, cells, channel, dial

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


def check_part(
    response: httpx.Response, start: int, end: int, total: int | str, status: int = 206
) -> None:
    assert response.status_code == status
    assert response.content == DATA[start:end]
    assert response.headers["content-range"] == f"bytes {start}-{end - 1}/{total}"
    assert response.headers["cache-control"] == "no-store"
    assert "etag" not in response.headers


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("0-99", 0, 100),
        ("500-1500", 500, 1501),
        ("3072-4095", 3072, 4096),
        ("0-", 0, 2 * CELL),
        ("100-", 100, 2 * CELL),
        ("2000-2100", 2000, 2 * CELL),
        ("3500-", 3500, 4 * CELL),
        ("2048-2049,3072-3073", 3072, 3074),
        (f"-{SIZE}", 0, 2 * CELL),
    ],
)
async def test_a_range_is_answered_as_far_as_it_is_stored(
    server: Process, http: httpx.AsyncClient, asked: str, start: int, end: int
) -> None:
    async with channel(server) as wire:
        address = await unfinished(wire, SIZE, 0, 1, 3)
        response = await http.get(address, headers={"Range": f"bytes={asked}"})
        check_part(response, start, end, SIZE)


@pytest.mark.parametrize("asked", ["2048-", "2100-2200", "-1", "2048-2049,5000-", "4096-9999999"])
async def test_a_range_of_which_nothing_is_stored(
    server: Process, http: httpx.AsyncClient, asked: str
) -> None:
    async with channel(server) as wire:
        address = await unfinished(wire, SIZE, 0, 1, 3)
        response = await http.get(address, headers={"Range": f"bytes={asked}"})
        assert response.status_code == 416
        assert response.headers["content-range"] == f"bytes */{SIZE}"
        assert response.json()["missing"] == [[2 * CELL, 3 * CELL], [4 * CELL, SIZE]]
        assert response.json()["upload_size"] == 3 * CELL


@pytest.mark.parametrize("size", [SIZE, None])
async def test_head_tells_what_is_known(
    server: Process, http: httpx.AsyncClient, size: int | None
) -> None:
    async with channel(server) as wire:
        address = await unfinished(wire, size, 0)
        for headers in ({}, {"Range": "bytes=5000-"}):
            response = await http.head(address, headers=headers)
            assert response.status_code == 200
            assert response.headers["accept-ranges"] == "bytes"
            assert response.headers["content-type"] == "application/octet-stream"
            assert response.headers.get("content-length") == (size and str(size))


async def test_a_recording_can_be_played_while_it_is_made(
    server: Process, http: httpx.AsyncClient
) -> None:
    async with channel(server) as wire:
        address = await unfinished(wire, None, 0, 1)
        for asked, start in (("100-", 100), ("0-", 0), ("0-999999", 0)):
            response = await http.get(address, headers={"Range": f"bytes={asked}"})
            check_part(response, start, 2 * CELL, "*")
        for asked in (f"{2 * CELL}-", "-100"):
            response = await http.get(address, headers={"Range": f"bytes={asked}"})
            assert response.status_code == 416, "its last bytes are not there to be had yet"
            assert response.headers["content-range"] == "bytes */*"
            assert response.json()["upload_size"] == 2 * CELL
            assert response.json()["missing"] == []
            assert "size" not in response.json()


# -- waiting for what comes


async def store(wire: Wire, *numbers: int) -> None:
    for number in numbers:
        start, piece = cells(DATA, CELL)[number]
        await wire.chunk(1, start, piece)
    await wire.stored(len(numbers))


@pytest.mark.parametrize("elsewhere", [False, True], ids=["same process", "another process"])
@pytest.mark.parametrize("asked", [{"Prefer": "wait=30"}, {"Sec-Fetch-Dest": "video"}], ids=str)
async def test_a_range_is_waited_for(
    users_server: Process, other_users_server: Process, elsewhere: bool, asked: dict[str, str]
) -> None:
    reading = other_users_server if elsewhere else users_server
    ann = user("ann")
    async with dial(users_server) as wire, reading.http() as http:
        await wire.hello(ann)
        address = await unfinished(wire, SIZE, 0)
        headers = {"Range": f"bytes={CELL}-", **shown(ann), **asked}
        waiting = asyncio.ensure_future(http.get(address, headers=headers))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await store(wire, 3)  # another one than the one that is waited for
        await store(wire, 1)
        response = await waiting
        check_part(response, CELL, 2 * CELL, SIZE)
        applied = "wait=30" if "Prefer" in asked else None
        assert response.headers.get("preference-applied") == applied


async def test_a_wait_ends_with_the_upload(server: Process, http: httpx.AsyncClient) -> None:
    async with channel(server) as wire:
        address = await unfinished(wire, None, 0)
        headers = {"Range": f"bytes={CELL}-", "Prefer": "wait=30"}
        first, second = (asyncio.ensure_future(http.get(address, headers=headers)) for _ in "ab")
        await asyncio.sleep(0.1)
        await wire.finish(1, size=CELL)
        for response in (await first, await second):
            assert response.status_code == 416
            assert response.headers["content-range"] == f"bytes */{CELL}"
    async with channel(server) as wire:
        address = await unfinished(wire, SIZE, 0)
        waiting = asyncio.ensure_future(http.get(address, headers=headers))
        await asyncio.sleep(0.1)
        await http.delete(address)
        assert (await waiting).status_code == 404


async def test_a_wait_is_no_longer_than_asked_for(server: Process, http: httpx.AsyncClient) -> None:
    async with channel(server) as wire:
        address = await unfinished(wire, SIZE, 0)
        for wait in ("wait=0", "wait=1"):
            headers = {"Range": f"bytes={CELL}-", "Prefer": wait}
            response = await http.get(address, headers=headers)
            assert response.status_code == 416
            assert response.headers["preference-applied"] == wait


@pytest.mark.parametrize("size", [SIZE, None])
@pytest.mark.parametrize("fields", [{}, {"Range": "bytes=0-9", "If-Range": '"tag"'}], ids=str)
async def test_the_whole_file_is_sent_as_it_arrives(
    server: Process, http: httpx.AsyncClient, size: int | None, fields: dict[str, str]
) -> None:
    async with channel(server) as wire:
        address = await unfinished(wire, size, 0, 2)
        received = b""
        async with http.stream("GET", address, headers=fields) as response:
            assert response.status_code == 200
            assert response.headers.get("content-length") == (size and str(size))
            parts = response.aiter_raw()
            while len(received) < CELL:
                received += await anext(parts)
            for numbers in ((1,), (3,), (5, 4)):
                await store(wire, *numbers)
            if size is None:
                await wire.finish(1, size=SIZE)
            async for data in parts:
                received += data
        assert received == DATA


async def test_a_recording_is_one_stream_for_a_player(
    server: Process, http: httpx.AsyncClient
) -> None:
    """It would take the end of a range of an unknown total for the end of the film."""
    async with channel(server) as wire:
        address = await unfinished(wire, None, 0)
        for path, fields in ((address, {"Sec-Fetch-Dest": "video"}), (f"{address}?play=1", {})):
            headers = {"Range": "bytes=0-", **fields}
            async with http.stream("GET", path, headers=headers) as response:
                assert response.status_code == 200
                assert "content-length" not in response.headers


async def test_a_body_of_an_upload_that_ends_does_not_look_whole(
    server: Process, http: httpx.AsyncClient
) -> None:
    for size in (SIZE, None):
        async with channel(server) as wire:
            address = await unfinished(wire, size, 0)
            received = b""
            # The break may come at any read of the body.
            with pytest.raises(httpx.RemoteProtocolError):  # noqa: PT012
                async with http.stream("GET", address) as response:
                    async for data in response.aiter_raw():
                        received += data
                        await http.delete(address)
            assert received == DATA[:CELL]


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
    # It is refused at once, or breaks off at any read of the body.
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
    # It is refused at once, or breaks off at any read of the body.
    with pytest.raises((httpx.RemoteProtocolError, httpx.HTTPStatusError)):  # noqa: PT012
        async with http.stream("GET", url) as response:
            response.raise_for_status()
            await response.aread()
