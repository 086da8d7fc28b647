"""Expiry end to end: a server whose uploads may stand still for a moment only.

What stands still answers `gone`, is emptied, gives its quota back and is forgotten; what moves,
however slowly, lives.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import httpx
import msgpack
import pytest
from bson import ObjectId

from tests.conftest import Mongo
from tests.support.servers import Process, process
from tests.support.users import refusal
from tests.support.wire import CHUNK, RESUME, Wire, channel, checksum

TTL = 3.0
CELL = 16 * 1024
QUOTA = 30 * CELL


@pytest.fixture(scope="module")
def brief(mongod: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    url = mongod.replace("/?", "/brief?")
    chosen = {"upload_ttl": TTL, "tombstone_ttl": TTL, "default_quota": QUOTA, "chunk_size": CELL}
    with process(tmp_path_factory.mktemp("brief"), url, **chosen) as running:
        yield running


@pytest.fixture
async def http(brief: Process) -> AsyncIterator[httpx.AsyncClient]:
    async with brief.http() as client:
        yield client


@pytest.fixture
async def wire(brief: Process) -> AsyncIterator[Wire]:
    async with channel(brief) as found:
        yield found


async def until_so(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until `condition` holds, by asking."""
    deadline = time.monotonic() + 20
    while not await condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


async def usage(http: httpx.AsyncClient) -> tuple[int, int]:
    found = (await http.get("/v1/usage")).json()
    return found["used"], found["reserved"]


def piece(cell: int) -> bytes:
    return bytes([cell]) * CELL


async def test_what_stands_still_goes_and_what_moves_stays(
    http: httpx.AsyncClient, wire: Wire, mongo: Mongo
) -> None:
    used, _ = await usage(http)
    stalled = await wire.create(1, 12 * CELL)
    await wire.chunk(1, 0, piece(0))
    await wire.stored(1)
    live = await wire.create(2, 10 * CELL)
    assert await usage(http) == (used, 22 * CELL)
    full = await http.post("/v1/uploads", json={"name": "a", "size": QUOTA})
    assert refusal(full) == (507, "quota-exceeded")

    began = time.monotonic()
    for cell in range(10):
        # By a connection of its own: bytes keep all alive that is open where they arrive.
        answer = await http.put(
            f"/v1/uploads/{live['id']}/chunks/{cell * CELL}", content=piece(cell)
        )
        assert answer.status_code == 200, answer.text
        await asyncio.sleep(TTL / 4)
    assert time.monotonic() - began > 2 * TTL
    assert (await http.post(f"/v1/uploads/{live['id']}/finish", json={})).status_code == 200

    id_ = ObjectId(stalled["id"])
    assert mongo["brief"]["chunks"].count_documents({"upload_id": id_}) == 0
    assert await usage(http) == (used + 10 * CELL, 0)
    assert (await http.get(f"/v1/files/{live['id']}")).content == b"".join(map(piece, range(10)))


async def test_it_answers_gone_everywhere_and_then_is_forgotten(
    http: httpx.AsyncClient, wire: Wire, mongo: Mongo
) -> None:
    stalled = (await http.post("/v1/uploads", json={"name": "a", "size": 2 * CELL})).json()["_id"]
    where = f"/v1/uploads/{stalled}"
    await http.put(f"{where}/chunks/0", content=piece(0))

    async def is_gone() -> bool:
        return (await http.get(where)).status_code == 410

    await until_so(is_gone)
    answers = [
        await http.get(where),
        await http.get(f"/v1/files/{stalled}"),
        await http.get(f"/v1/manifests/{stalled}"),
        await http.put(f"{where}/chunks/{CELL}", content=piece(1)),
        await http.post(f"{where}/finish", json={}),
        await http.delete(where),
    ]
    assert {refusal(answer) for answer in answers} == {(410, "gone")}
    await wire.send(RESUME, 1, stalled)
    assert (await wire.problem(1))["code"] == "gone"
    listed = (await http.get("/v1/uploads")).json()["uploads"]
    assert stalled not in [each["_id"] for each in listed]

    async def is_forgotten() -> bool:
        return (await http.get(where)).status_code == 404

    await until_so(is_forgotten)
    await wire.send(RESUME, 1, stalled)
    assert (await wire.problem(1))["code"] == "not-found"
    assert mongo["brief"]["manifests"].count_documents({"_id": ObjectId(stalled)}) == 0
    assert mongo["brief"]["chunks"].count_documents({"upload_id": ObjectId(stalled)}) == 0


async def hear_of_the_end(
    server: Process, mongo: Mongo, size: int | None, *, forgotten: bool
) -> None:
    manifests, chunks = mongo["brief"]["manifests"], mongo["brief"]["chunks"]
    async with channel(server) as wire:
        upload_id = ObjectId((await wire.create(1, size))["id"])

        async def is_over() -> bool:
            found = manifests.find_one({"_id": upload_id})
            return found is None if forgotten else bool(found and found.get("emptied"))

        await until_so(is_over)
        code = "not-found" if forgotten else "gone"
        await wire.chunk(1, 0, piece(0))
        assert (await wire.refused(1, 0))["code"] == code
        assert (await wire.problem(1))["code"] == code
        assert chunks.count_documents({"upload_id": upload_id}) == 0
        await wire.create(1, CELL)  # the reference is free again


async def test_who_still_has_it_open_hears_it_and_nothing_is_stored(
    brief: Process, mongo: Mongo
) -> None:
    await asyncio.gather(
        *(
            hear_of_the_end(brief, mongo, size, forgotten=forgotten)
            for size in (2 * CELL, None)
            for forgotten in (False, True)
        )
    )


# -- slower than the time to live


async def trickle(data: bytes) -> AsyncIterator[bytes]:
    """The data in small parts, for twice as long as an upload may stand still."""
    parts = 40
    size = -(-len(data) // parts)
    for start in range(0, len(data), size):
        yield data[start : start + size]
        await asyncio.sleep(2 * TTL / parts)


async def send_a_message(server: Process, http: httpx.AsyncClient) -> None:
    async with channel(server) as wire:
        await wire.create(1, CELL)
        await wire.create(2, CELL)
        message = msgpack.packb([CHUNK, 1, 0, checksum(piece(7)), piece(7)])
        await wire.socket.send(trickle(message))
        # What waited behind it lives as well.
        await wire.chunk(2, 0, piece(2))
        stored, _ = await wire.stored(2)
        assert stored == {(1, 0, CELL), (2, 0, CELL)}
        assert (await wire.finish(1))["size"] == CELL
        assert (await wire.finish(2))["size"] == CELL


async def put_a_piece(server: Process, http: httpx.AsyncClient) -> None:
    upload = (await http.post("/v1/uploads", json={"name": "a", "size": CELL})).json()["_id"]
    answer = await http.put(f"/v1/uploads/{upload}/chunks/0", content=trickle(piece(7)))
    assert answer.status_code == 200, answer.text
    assert (await http.post(f"/v1/uploads/{upload}/finish", json={})).status_code == 200


async def post_a_file(server: Process, http: httpx.AsyncClient) -> None:
    headers = {"Content-Length": str(CELL)}
    answer = await http.post("/v1/files?name=a", content=trickle(piece(7)), headers=headers)
    assert answer.status_code == 201, answer.text
    assert (await http.get(f"/v1/files/{answer.json()['_id']}")).content == piece(7)


async def post_a_file_of_unknown_length(server: Process, http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/files?name=a", content=trickle(piece(7)))
    assert answer.status_code == 201, answer.text


async def post_a_form(server: Process, http: httpx.AsyncClient) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n'
    answer = await http.post(
        "/v1/files",
        content=trickle(head + piece(7) + b"\r\n--x--\r\n"),
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    assert answer.status_code == 201, answer.text


async def test_what_takes_longer_than_that_to_arrive_lives(
    brief: Process, http: httpx.AsyncClient
) -> None:
    ways = (
        send_a_message,
        put_a_piece,
        post_a_file,
        post_a_file_of_unknown_length,
        post_a_form,
    )
    await asyncio.gather(*(way(brief, http) for way in ways))
