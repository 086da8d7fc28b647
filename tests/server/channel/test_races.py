"""What happens on several connections and two server processes in the same moment.

Each race is run a few times here; `tests/faults/` runs them by the thousand.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from bson import ObjectId

from tests.conftest import Kept, Mongo
from tests.support.servers import Process, inside, until
from tests.support.wire import (
    ABORT,
    CHUNK,
    CLOSED,
    COMPLETE,
    FINISH,
    PROBLEM,
    REFUSED,
    STORED,
    Message,
    Wire,
    cells,
    channel,
    checksum,
)

CELL = 4096
ROUNDS = 12


@asynccontextmanager
async def crowd(count: int, *servers: Process) -> AsyncIterator[list[Wire]]:
    """So many connections, to the servers in turn."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(channel(server))
            for server in itertools.islice(itertools.cycle(servers), count)
        ]


async def open_everywhere(wires: list[Wire], ref: int, size: int | None) -> str:
    """One upload, open on all of them under the same ref."""
    upload = await wires[0].create(ref, size, chunk_size=CELL)
    for wire in wires[1:]:
        await wire.resume(ref, upload["id"])
    return str(upload["id"])


async def at_once(wires: list[Wire], *items: object) -> list[Message]:
    """Send one message on all connections at once; the answer to each."""
    await asyncio.gather(*(wire.send(*items) for wire in wires))
    return await asyncio.gather(*(wire.receive() for wire in wires))


async def test_the_same_piece_twice_at_once(
    server: Process, other_server: Process, mongo: Mongo
) -> None:
    async with crowd(4, server, other_server) as wires:
        for ref in range(ROUNDS):
            data = os.urandom(CELL)
            upload_id = await open_everywhere(wires, ref, CELL)
            answers = await at_once(wires, CHUNK, ref, 0, checksum(data), data)
            assert [answer[:3] for answer in answers] == [[STORED, ref, [[0, CELL]]]] * 4
            query = {"upload_id": ObjectId(upload_id)}
            assert mongo["shared"]["chunks"].count_documents(query) == 1
            files = [await wire.finish(ref) for wire in wires]
            assert files == [files[0]] * 4
            assert files[0]["crc32c"] == checksum(data)


async def test_different_pieces_at_one_place_at_once(
    server: Process, other_server: Process, http: httpx.AsyncClient
) -> None:
    async with crowd(4, server, other_server) as wires:
        for ref in range(ROUNDS):
            await open_everywhere(wires, ref, CELL)
            rivals = [os.urandom(CELL) for _ in wires]
            for wire, data in zip(wires, rivals, strict=True):
                await wire.chunk(ref, 0, data)
            answers = [await wire.receive() for wire in wires]
            winners = [n for n, answer in enumerate(answers) if answer[0] == STORED]
            assert len(winners) == 1
            for number, answer in enumerate(answers):
                if number not in winners:
                    assert answer[:3] == [REFUSED, ref, 0]
                    assert answer[3]["code"] == "chunk-conflict"
            file = await wires[0].finish(ref)
            assert (await http.get(file["url"])).content == rivals[winners[0]]


async def test_finish_eight_times_at_once(server: Process, other_server: Process) -> None:
    data = os.urandom(3 * CELL)
    async with crowd(8, server, other_server) as wires:
        for ref in range(ROUNDS):
            await open_everywhere(wires, ref, len(data))
            for start, piece in cells(data, CELL):
                await wires[0].chunk(ref, start, piece)
            await wires[0].stored(3)
            answers = await at_once(wires, FINISH, ref, {})
            assert answers == [answers[0]] * 8
            assert answers[0][0] == COMPLETE
            assert answers[0][2]["crc32c"] == checksum(data)


async def test_finish_against_abort(
    server: Process, other_server: Process, http: httpx.AsyncClient, kept: Kept
) -> None:
    data = os.urandom(2 * CELL)
    async with crowd(4, server, other_server) as wires:
        for ref in range(ROUNDS):
            upload_id = await open_everywhere(wires, ref, len(data))
            for start, piece in cells(data, CELL):
                await wires[0].chunk(ref, start, piece)
            await wires[0].stored(2)
            finishing, aborting = wires[:2], wires[2:]
            ends = await asyncio.gather(
                at_once(finishing, FINISH, ref, {}), at_once(aborting, ABORT, ref)
            )
            # A deletion holds, whether it came before the end or after it.
            assert ends[1] == [[CLOSED, ref]] * 2
            for answer in ends[0]:
                assert answer[0] == COMPLETE or answer[2]["code"] == "not-found"
            assert (await http.get(f"/v1/files/{upload_id}")).status_code == 404
    await until(lambda: kept() == (0, 0))


async def test_pieces_against_abort_leave_nothing(
    tmp_path: Path, database_url: str, mongo: Mongo
) -> None:
    soon: dict[str, Any] = {"tombstone_ttl": "3s", "janitor_interval": "100ms"}
    async with (
        inside(tmp_path / "one", database_url, **soon) as one,
        inside(tmp_path / "two", database_url, **soon) as two,
    ):
        async with channel(one) as first, channel(two) as second, channel(two) as third:
            for ref in range(ROUNDS):
                await open_everywhere([first, second, third], ref, 40 * CELL)
                for number in range(40):
                    wire = (first, second)[number % 2]
                    await wire.chunk(ref, number * CELL, bytes(CELL))
                    if number == 20:
                        await third.send(ABORT, ref)
                assert await third.expect(CLOSED) == [ref]
                for wire in (first, second):
                    await wire.send(ABORT, ref)
                    while (await wire.receive())[0] != CLOSED:
                        pass
        # What was on its way when the upload died is cleared with its tombstone.
        database = mongo[one.services.database.chunks.database.name]
        collections = [database["manifests"], database["chunks"]]
        await until(lambda: not any(each.count_documents({}) for each in collections), 30)


@pytest.mark.parametrize("rounds", [3])
async def test_pieces_of_an_unknown_length_meet_at_one_end(
    server: Process, other_server: Process, rounds: int
) -> None:
    async with crowd(4, server, other_server) as wires:
        for ref in range(rounds):
            await open_everywhere(wires, ref, None)
            end = 0
            for size in (10, 20, 30):
                # All of them go on where the file ends now, each with its own bytes.
                for number, wire in enumerate(wires):
                    await wire.chunk(ref, end, bytes([number]) * size)
                answers = [await wire.receive() for wire in wires]
                assert [a[0] for a in answers].count(STORED) == 1
                end += size
            await wires[0].send(FINISH, ref, {"size": end})
            answer = await wires[0].receive()
            assert answer[0] == COMPLETE
            for wire in wires[1:]:
                await wire.send(FINISH, ref, {"size": end + 1})
                answer = await wire.receive()
                assert answer[0] == PROBLEM
                assert answer[2]["code"] == "invalid-argument"
