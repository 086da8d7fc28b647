"""Quota race: twenty creations at once, by two server processes, for an account with space for
three.

Most come over WebSocket, some as small files over HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.faults.fault import Base, Fault, Trial
from tests.faults.inspector import USER
from tests.faults.setups import Setup, two_servers
from tests.support.wire import ABORT, CLOSED, CREATE, OPENED, PROBLEM, WINDOW, Wire, channel

CREATIONS = 20
FITTING = 3
REF = 1


@dataclass
class Connections:
    """Two servers, with connections and HTTP clients alternating between them."""

    setup: Setup
    wires: list[Wire]
    clients: list[httpx.AsyncClient]


@asynccontextmanager
async def setup(base: Base, folder: Path) -> AsyncIterator[Connections]:
    async with AsyncExitStack() as stack:
        made = await stack.enter_async_context(two_servers(base, folder))
        servers = made.servers.running
        wires = [
            await stack.enter_async_context(channel(servers[number % 2], close_timeout=1))
            for number in range(CREATIONS)
        ]
        clients = [await stack.enter_async_context(server.http()) for server in servers]
        yield Connections(made, wires, clients)


async def trial(connections: Connections, trial: Trial) -> None:
    random, inspector = trial.random, connections.setup.inspector
    size = random.randint(1, 5000)
    by_http = random.choice((0, 0, 4))
    stored = random.choice((0, random.randint(1, 5000)))
    if stored:
        answer = await connections.clients[0].post("/v1/files?name=before", content=bytes(stored))
        assert answer.status_code == 201
    quota = stored + FITTING * size + random.randrange(size)
    limit = {"quota": quota}
    (await connections.clients[1].put(f"/v1/users/{USER}/quota", json=limit)).raise_for_status()
    wires = random.sample(connections.wires, CREATIONS - by_http)
    codes = await asyncio.gather(
        *(create(wire, size) for wire in wires),
        *(post(connections.clients[number % 2], size) for number in range(by_http)),
    )
    assert sorted(codes) == sorted(["quota-exceeded"] * (CREATIONS - FITTING) + ["taken"] * 3)
    account = await inspector.quotas.account(USER)
    assert account.used + account.reserved == stored + FITTING * size
    assert account.used + account.reserved <= quota
    await connections.setup.check_nothing_left()
    await asyncio.gather(*(abort(wire) for wire in wires))
    account = await inspector.quotas.account(USER)
    files = codes[len(wires) :].count("taken")
    assert (account.reserved, account.used) == (0, stored + size * files)
    await inspector.clear()


async def create(wire: Wire, size: int) -> str:
    """CREATE; `taken`, or the code of the refusal."""
    await wire.send(CREATE, REF, {"name": "race", "size": size})
    while (message := await wire.receive())[0] == WINDOW:
        pass
    assert message[0] in (OPENED, PROBLEM), message
    return "taken" if message[0] == OPENED else str(message[2]["code"])


async def post(client: httpx.AsyncClient, size: int) -> str:
    """A whole small file; `taken`, or the code of the refusal."""
    answer = await client.post("/v1/files?name=race", content=bytes(size))
    assert answer.status_code in (201, 507), answer.text
    return "taken" if answer.status_code == 201 else str(answer.json()["code"])


async def abort(wire: Wire) -> None:
    await wire.send(ABORT, REF)
    while (message := await wire.receive())[0] != CLOSED:
        assert message[0] in (WINDOW, PROBLEM), message


FAULT = Fault(
    name="quota-race",
    title="quota race",
    how="20 creations at once by two server processes, with room for three",
    holds="exactly three, never over, given back to the byte",
    trials=500,
    quick=50,
    few=4,
    setup=setup,
    trial=trial,
)
