"""The same message at once: a piece on eight sockets, FINISH on eight sockets, two servers.

In a third of the trials half of the sockets send other bytes for the same place: then one version
wins, and all answers agree which.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.fault import Base, Fault, Trial
from tests.faults.setups import CHUNK, Setup, two_servers
from tests.support.wire import (
    CLOSED,
    COMPLETE,
    DETACH,
    FINISH,
    REFUSED,
    STORED,
    VERIFYING,
    WINDOW,
    Message,
    Wire,
    cells,
    channel,
    checksum,
)

SOCKETS = 8
REF = 3


@dataclass
class Connections:
    """Two servers, and half of the connections to each."""

    setup: Setup
    wires: list[Wire]


@asynccontextmanager
async def setup(base: Base, folder: Path) -> AsyncIterator[Connections]:
    async with AsyncExitStack() as stack:
        made = await stack.enter_async_context(two_servers(base, folder))
        servers = made.servers.running
        wires = [
            await stack.enter_async_context(channel(servers[number % 2], close_timeout=1))
            for number in range(SOCKETS)
        ]
        yield Connections(made, wires)


async def trial(connections: Connections, trial: Trial) -> None:
    random, wires = trial.random, list(connections.wires)
    random.shuffle(wires)
    data = random.randbytes(random.randint(1, 3 * CHUNK))
    rival = random.randbytes(len(data)) if random.random() < 1 / 3 else data
    upload = await wires[0].create(REF, len(data), name=f"duplicates-{trial.number}")
    for wire in wires[1:]:
        await wire.resume(REF, upload["id"])
    kept = b""
    for place, (start, piece) in enumerate(cells(data, CHUNK)):
        other = cells(rival, CHUNK)[place][1]
        versions = [piece if number % 2 else other for number in range(SOCKETS)]
        kept += await same_piece(wires, start, versions)
    await finish_all(wires, kept)
    await connections.setup.inspector.check_file(connections.setup.server, upload["id"], kept)
    for wire in wires:
        await wire.send(DETACH, REF)
        await wire.expect(CLOSED)


async def same_piece(wires: list[Wire], start: int, versions: list[bytes]) -> bytes:
    """Every socket sends its version of a piece; returns the version that all answers agree on."""
    together = zip(wires, versions, strict=True)
    await asyncio.gather(*(wire.chunk(REF, start, version) for wire, version in together))
    answers = await asyncio.gather(*(answer(wire) for wire in wires))
    winners = set()
    for message, version in zip(answers, versions, strict=True):
        if message[0] == STORED:
            assert message[1:3] == [REF, [[start, len(version)]]]
            winners.add(version)
        else:
            assert message[:3] == [REFUSED, REF, start]
            assert message[3]["code"] == "chunk-conflict"
    (winner,) = winners
    for message, version in zip(answers, versions, strict=True):
        assert (message[0] == STORED) == (version == winner), "not all agree who won"
    return winner


async def answer(wire: Wire) -> Message:
    """The next message that answers something."""
    while (message := await wire.receive())[0] not in (STORED, REFUSED, COMPLETE):
        assert message[0] in (VERIFYING, WINDOW), message
    return message


async def finish_all(wires: list[Wire], data: bytes) -> None:
    """FINISH on every socket: the same file for all."""
    await asyncio.gather(*(wire.send(FINISH, REF, {}) for wire in wires))
    files: list[dict[str, Any]] = await asyncio.gather(*(wire.complete(REF) for wire in wires))
    assert all(file == files[0] for file in files), "one FINISH has another answer"
    assert (files[0]["size"], files[0]["crc32c"]) == (len(data), checksum(data))


async def settle(connections: Connections) -> None:
    await connections.setup.check_nothing_left()
    await connections.setup.inspector.clear()


FAULT = Fault(
    name="duplicates",
    title="same piece twice at once; FINISH eight times at once",
    how="eight sockets, half of them to each of two server processes; in a third of the trials "
    "with two versions of the bytes",
    holds="one wins, all agree",
    trials=1000,
    quick=100,
    few=5,
    setup=setup,
    trial=trial,
    settle=settle,
)
