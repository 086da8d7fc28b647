"""Pieces that follow CREATE at once: before WELCOME, before OPENED, in one flight with HELLO."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import msgpack
import pytest

from lading.server.channel.connection import Channel
from lading.storage.collections.manifests import Manifests
from tests.support.gate import Stall
from tests.support.servers import Inside, Process, inside, until
from tests.support.users import client
from tests.support.wire import (
    CHUNK,
    CREATE,
    FINISH,
    HELLO,
    OPENED,
    REFUSED,
    WELCOME,
    Wire,
    cells,
    channel,
    checksum,
    dial,
)

MIB = 2**20
USUAL = "lading.v1.early-1048576-16777216"
"""What a server with the default settings agrees to."""

OFFERED = [USUAL, "lading.v1"]


@pytest.fixture
async def running(tmp_path: Path, database_url: str) -> AsyncIterator[Inside]:
    async with inside(tmp_path, database_url) as server:
        yield server


async def all_at_once(
    wire: Wire, token: str | None, data: bytes, ref: int = 1, **fields: object
) -> None:
    """HELLO, CREATE, all pieces and FINISH, without a pause."""
    await wire.send(HELLO, {"token": token})
    await whole(wire, data, ref, **fields)


async def whole(wire: Wire, data: bytes, ref: int, **fields: object) -> None:
    await pieces(wire, data, ref, **fields)
    await wire.send(FINISH, ref, {})


async def pieces(wire: Wire, data: bytes, ref: int, **fields: object) -> None:
    await wire.send(CREATE, ref, {"name": "a.bin", "size": len(data), **fields})
    for start, piece in cells(data, MIB):
        await wire.send(CHUNK, ref, start, checksum(piece), piece)


# -- what is agreed


@pytest.mark.parametrize(
    ("offered", "agreed"),
    [
        (["lading.v1", USUAL], USUAL),
        (["lading.v1.early-1048576-65536", "lading.v1"], "lading.v1.early-1048576-65536"),
        (["lading.v1.early-4194304-16777216", USUAL, "lading.v1"], USUAL),
        (["lading.v1.early-1048576-16777217", "lading.v1"], "lading.v1"),
        (["lading.v1.early-1048576-", "lading.v1"], "lading.v1"),
        (["lading.v1.early-01048576-65536", "lading.v1"], "lading.v1.early-01048576-65536"),
        (["lading.v1"], "lading.v1"),
    ],
)
async def test_the_first_offer_that_fits_the_server_is_agreed(
    server: Process, offered: list[str], agreed: str
) -> None:
    async with dial(server, subprotocols=offered) as wire:
        assert wire.socket.subprotocol == agreed


async def test_a_server_with_other_cells_does_not_agree(tmp_path: Path, database_url: str) -> None:
    async with (
        inside(tmp_path, database_url, chunk_size=2 * MIB) as other,
        dial(other, subprotocols=OFFERED) as wire,
    ):
        assert wire.socket.subprotocol == "lading.v1"


# -- what comes early


async def test_a_whole_file_follows_hello_in_one_flight(server: Process) -> None:
    data = Random(1).randbytes(5 * MIB + 7)
    async with dial(server, subprotocols=OFFERED) as wire:
        await all_at_once(wire, server.token, data)
        await wire.expect(WELCOME)
        assert (await wire.opened(1))["missing"] == [[0, len(data)]]
        await wire.stored(6)
        file = await wire.complete(1)
    async with client(server, server.token) as http:
        assert (await http.get(file["url"])).content == data


async def test_pieces_wait_in_memory_of_the_budget_until_their_upload_is_open(
    running: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    stall = Stall(monkeypatch, Manifests, "create")
    budget = running.services.budget
    data = Random(2).randbytes(3 * MIB)
    async with channel(running, subprotocols=OFFERED) as wire:
        await whole(wire, data, 1)
        await until(lambda: budget.total - budget.free >= 3 * 4 * MIB)
        stall.opened.set()
        assert (await wire.receive())[0] == OPENED
        await wire.stored(3)
        assert (await wire.complete(1))["size"] == len(data)
    assert budget.free == budget.total


async def test_a_piece_is_stored_whose_upload_was_opened_while_something_was_being_sent(
    running: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    stall, sends = Stall(monkeypatch, Manifests, "create"), Stall(monkeypatch, Channel, "_send")
    sends.opened.set()
    async with channel(running, subprotocols=OFFERED) as wire:
        (served,) = running.services.channels
        assert isinstance(served, Channel)
        await wire.send(CREATE, 1, {"name": "a.bin", "size": 5})
        await until(lambda: stall.waiting == 1)
        sends.opened.clear()
        served.press(pressed=True)  # as any message does, it holds the turn while it is sent
        await until(lambda: sends.waiting)
        await wire.send(CHUNK, 1, 0, checksum(b"hello"), b"hello")
        await until(lambda: not served.idle and served._receiver.in_flight == 5)
        stall.opened.set()
        await until(lambda: served._requests._uploads)
        sends.opened.set()
        await wire.opened(1)
        assert await wire.stored(1) == ({(1, 0, 5)}, 5)
    assert running.services.budget.free == running.services.budget.total


async def test_a_piece_takes_the_share_of_the_cells_that_its_upload_has(running: Inside) -> None:
    budget, cell = running.services.budget, MIB // 8
    data = bytes(cell)
    message = msgpack.packb((CHUNK, 1, 0, checksum(data), data))
    arrived = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield message[:90_000]
        await arrived.wait()
        yield message[90_000:]

    async with channel(running, subprotocols=OFFERED) as wire:
        await wire.create(1, cell, chunk_size=cell)
        sending = asyncio.ensure_future(wire.socket.send(slowly()))
        await until(lambda: budget.free < budget.total)
        assert budget.total - budget.free == 4 * (cell + 64 * 1024)
        arrived.set()
        await sending
        await wire.stored(1)


async def test_a_sha256_is_computed_over_early_pieces_too(running: Inside) -> None:
    data = Random(3).randbytes(2 * MIB)
    async with channel(running, subprotocols=OFFERED) as wire:
        await whole(wire, data, 1, sha256="0" * 64)
        await wire.opened(1)
        await wire.stored(2)
        assert (await wire.problem(1))["code"] == "checksum-mismatch"


# -- what goes wrong


async def test_where_the_upload_is_refused_each_of_its_pieces_is(
    tmp_path: Path, database_url: str
) -> None:
    data = Random(4).randbytes(3 * MIB)
    async with (
        inside(tmp_path, database_url, default_quota=MIB) as running,
        dial(running, subprotocols=OFFERED) as wire,
    ):
        await wire.send(HELLO, {"token": running.token})
        await pieces(wire, data, 1)
        await wire.expect(WELCOME)
        why = await wire.problem(1)
        assert why["code"] == "quota-exceeded"
        # A piece that came after that has no upload, one that came before has its refusal.
        left = {0, MIB, 2 * MIB}
        while left:
            number, _, *rest = await wire.receive()
            left.remove(rest[0] if number == REFUSED else rest[0].get("slice_start"))
        # All credit is back, and the `ref` is free.
        small = data[:1000]
        await whole(wire, small, 1)
        while (await wire.receive())[0] != OPENED:
            pass
        await wire.stored(1)
        assert (await wire.complete(1))["size"] == len(small)
        assert running.services.budget.free == running.services.budget.total


async def test_a_wrong_token_ends_it_and_stores_nothing(running: Inside) -> None:
    async with dial(running, subprotocols=OFFERED) as wire:
        await all_at_once(wire, "wrong", bytes(MIB))
        assert (await wire.closing()).code == 4401
    budget = running.services.budget
    await until(lambda: budget.free == budget.total)
    async with client(running, running.token) as http:
        assert (await http.get("/v1/uploads")).json()["uploads"] == []


async def test_a_client_that_leaves_before_opened_keeps_no_memory(
    running: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    stall = Stall(monkeypatch, Manifests, "create")
    budget = running.services.budget
    async with channel(running, subprotocols=OFFERED) as wire:
        await pieces(wire, bytes(2 * MIB), 1)
        await until(lambda: budget.total - budget.free >= 2 * 4 * MIB)
        wire.socket.transport.abort()
    await until(lambda: not running.services.channels)
    stall.opened.set()
    # What was received of an upload that could be opened is stored, without an answer.
    await until(lambda: budget.free == budget.total)
    async with client(running, running.token) as http:
        (left,) = (await http.get("/v1/uploads")).json()["uploads"]
    assert left["upload_size"] == 2 * MIB
