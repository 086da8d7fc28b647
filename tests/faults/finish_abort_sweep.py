"""FINISH, ABORT and a sweep at the same moment, by two server processes and a janitor's.

The upload has expired by the database's clock. All its pieces are stored, except one that is on its
way at the same moment. Whichever comes first, there is one outcome, every answer agrees with it,
nothing is left over after two sweeps, and the account is exact.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from bson import ObjectId

from lading.janitor.sweep import Report
from tests.faults.fault import Base, Fault, Trial
from tests.faults.setups import CHUNK, Setup, serving
from tests.support.wire import (
    ABORT,
    CLOSED,
    COMPLETE,
    DETACH,
    FINISH,
    PROBLEM,
    REFUSED,
    STORED,
    WINDOW,
    Message,
    Wire,
    cells,
    channel,
)

REF = 5
FINISH_DELAY, DELAY = 0.01, 0.04
"""Each begins up to so many seconds after the barrier, so that each is first sometimes; FINISH has
more work than the others."""

DEAD = ("deleted", "expired")

TOMBSTONE_SECONDS = 3600.0
"""How long tombstones are kept: by then no piece of the upload can still be on its way."""


@dataclass
class Connections:
    """Two servers, and three connections to them."""

    setup: Setup
    finisher: Wire
    aborter: Wire
    writer: Wire


@asynccontextmanager
async def setup(base: Base, folder: Path) -> AsyncIterator[Connections]:
    url = base.database(folder.name)
    async with AsyncExitStack() as stack:
        made = await stack.enter_async_context(
            serving(url, folder, before=("", ""), tombstone_ttl=TOMBSTONE_SECONDS)
        )
        first, second = made.servers.running
        wires = [
            await stack.enter_async_context(channel(server, close_timeout=1))
            for server in (first, second, first)
        ]
        yield Connections(made, *wires)


async def trial(connections: Connections, trial: Trial) -> None:
    random, inspector = trial.random, connections.setup.inspector
    data = random.randbytes(random.randint(1, 6 * CHUNK))
    upload_id, last = await prepare(connections, data, f"end-{trial.number}", random)
    aborts, writes = random.random() < 0.7, random.random() < 0.7
    answered, aborted, report, _ = await asyncio.gather(
        finish(connections.finisher, random),
        abort(connections.aborter, random) if aborts else nothing(),
        sweep(connections, random),
        write(connections.writer, last, random) if writes else nothing(),
    )
    state = (await inspector.states())[upload_id]
    check(state, str(answered), aborted=aborted is not None, expired=bool(report.expired))
    if state == "ready":
        await inspector.check_file(connections.setup.server, upload_id, data)
    else:
        await two_sweeps(connections, upload_id)
    await connections.setup.check_nothing_left()
    await inspector.clear()
    for wire in (connections.finisher, connections.writer, connections.aborter):
        await wire.send(DETACH, REF)
        await answer(wire, CLOSED)


async def prepare(
    connections: Connections, data: bytes, name: str, random: Random
) -> tuple[str, tuple[int, bytes]]:
    """An upload that is open on all three connections, and has expired; its id, and the last piece,
    which in half of the trials is not there yet."""
    upload = await connections.finisher.create(REF, len(data), name=name)
    pieces = cells(data, CHUNK)
    there = pieces if random.random() < 0.5 else pieces[:-1]
    for start, piece in there:
        await connections.finisher.chunk(REF, start, piece)
        await connections.finisher.stored(1)
    for wire in (connections.aborter, connections.writer):
        await wire.resume(REF, upload["id"])
    await let_expire(connections, upload["id"])
    return upload["id"], pieces[-1]


async def let_expire(connections: Connections, upload_id: str) -> None:
    """Set its expiry into the past."""
    past = datetime.now(UTC) - timedelta(hours=1)
    await connections.setup.inspector.database.manifests.update_one(
        {"_id": ObjectId(upload_id)}, {"$set": {"expires_at": past}}
    )


# -- what happens at once


async def nothing() -> None:
    return None


async def answer(wire: Wire, *numbers: int) -> Message:
    """The next message with one of these numbers; skips PROBLEMs about an upload that ended."""
    while (message := await wire.receive())[0] not in numbers:
        assert message[0] in (PROBLEM, WINDOW), message
    return message


async def finish(wire: Wire, random: Random) -> str:
    """FINISH; `complete`, or the code of its refusal."""
    await asyncio.sleep(random.uniform(0, FINISH_DELAY))
    await wire.send(FINISH, REF, {})
    number, _, about = await answer(wire, COMPLETE, PROBLEM)
    return "complete" if number == COMPLETE else str(about["code"])


async def abort(wire: Wire, random: Random) -> bool:
    await asyncio.sleep(random.uniform(0, DELAY))
    await wire.send(ABORT, REF)
    await answer(wire, CLOSED)
    return True


async def sweep(connections: Connections, random: Random) -> Report:
    await asyncio.sleep(random.uniform(0, DELAY))
    return await connections.setup.inspector.sweeper(tombstone_ttl=TOMBSTONE_SECONDS).sweep()


async def write(wire: Wire, piece: tuple[int, bytes], random: Random) -> None:
    await asyncio.sleep(random.uniform(0, DELAY))
    await wire.chunk(REF, *piece)
    await answer(wire, STORED, REFUSED)


# -- what must hold


def check(state: str, answered: str, *, aborted: bool, expired: bool) -> None:
    """Every answer agrees with the outcome."""
    assert answered in ("complete", "incomplete", "gone", "not-found"), answered
    if state == "ready":
        assert answered == "complete"
        assert not aborted, "ABORT was answered, and the file is there"
        assert not expired, "the janitor expired a finished file"
    elif state in DEAD:
        assert aborted or expired, "it ended without a reason"
        assert aborted or answered != "complete", "a finished file is gone"
    else:
        assert (state, answered) == ("uploading", "incomplete")
        assert not aborted
        assert not expired


async def two_sweeps(connections: Connections, upload_id: str) -> None:
    """After them nothing is left of the upload."""
    inspector = connections.setup.inspector
    for _ in range(2):
        await let_expire(connections, upload_id)
        await inspector.sweeper(tombstone_ttl=TOMBSTONE_SECONDS).sweep()
    assert await inspector.states() == {}
    assert await inspector.count() == 0, "orphans"


FAULT = Fault(
    name="finish-abort-sweep",
    title="finish against abort against janitor",
    how="at once by two server processes and a janitor's, with a piece on its way, on an expired "
    "upload; each up to 40 ms late",
    holds="one outcome and nobody was told another, no orphan after two sweeps, quota exact",
    trials=500,
    quick=50,
    few=5,
    setup=setup,
    trial=trial,
)
