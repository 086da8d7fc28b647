"""Finish against abort against janitor, all at once, by two server processes and a third one.

The upload has expired by the database's clock, and is whole but for a piece that is on its way at
the same moment. Whoever comes first, one end is reached, everyone was told the truth about it,
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
from tests.faults.worlds import CHUNK, World, serving
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
"""Each begins up to so many seconds after the barrier, so that each is first now and then; FINISH
has more to do than the others."""

DEAD = ("deleted", "expired")

TOMBSTONE_SECONDS = 3600.0
"""How long tombstones are kept: by then no piece of the upload can still be on its way."""


@dataclass
class Stage:
    """Two servers, and three connections to them."""

    world: World
    finisher: Wire
    aborter: Wire
    writer: Wire


@asynccontextmanager
async def world(base: Base, folder: Path) -> AsyncIterator[Stage]:
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
        yield Stage(made, *wires)


async def trial(stage: Stage, trial: Trial) -> None:
    random, vault = trial.random, stage.world.vault
    data = random.randbytes(random.randint(1, 6 * CHUNK))
    upload_id, last = await prepare(stage, data, f"end-{trial.number}", random)
    aborts, writes = random.random() < 0.7, random.random() < 0.7
    told, aborted, report, _ = await asyncio.gather(
        finish(stage.finisher, random),
        abort(stage.aborter, random) if aborts else nothing(),
        sweep(stage, random),
        write(stage.writer, last, random) if writes else nothing(),
    )
    state = (await vault.states())[upload_id]
    check(state, str(told), aborted=aborted is not None, expired=bool(report.expired))
    if state == "ready":
        await vault.whole(stage.world.server, upload_id, data)
    else:
        await two_sweeps(stage, upload_id)
    await stage.world.sound()
    await vault.clear()
    for wire in (stage.finisher, stage.writer, stage.aborter):
        await wire.send(DETACH, REF)
        await answer(wire, CLOSED)


async def prepare(
    stage: Stage, data: bytes, name: str, random: Random
) -> tuple[str, tuple[int, bytes]]:
    """An upload that is open on all three connections, and has expired; its id, and the last piece,
    which in half of the trials is not there yet."""
    upload = await stage.finisher.create(REF, len(data), name=name)
    pieces = cells(data, CHUNK)
    there = pieces if random.random() < 0.5 else pieces[:-1]
    for start, piece in there:
        await stage.finisher.chunk(REF, start, piece)
        await stage.finisher.stored(1)
    for wire in (stage.aborter, stage.writer):
        await wire.resume(REF, upload["id"])
    await let_expire(stage, upload["id"])
    return upload["id"], pieces[-1]


async def let_expire(stage: Stage, upload_id: str) -> None:
    """Let its time be over, as if it had passed."""
    past = datetime.now(UTC) - timedelta(hours=1)
    await stage.world.vault.database.manifests.update_one(
        {"_id": ObjectId(upload_id)}, {"$set": {"expires_at": past}}
    )


# -- those who meet


async def nothing() -> None:
    return None


async def answer(wire: Wire, *numbers: int) -> Message:
    """The next message with one of these numbers; news of what ended elsewhere is passed over."""
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


async def sweep(stage: Stage, random: Random) -> Report:
    await asyncio.sleep(random.uniform(0, DELAY))
    return await stage.world.vault.sweeper(tombstone_ttl=TOMBSTONE_SECONDS).sweep()


async def write(wire: Wire, piece: tuple[int, bytes], random: Random) -> None:
    await asyncio.sleep(random.uniform(0, DELAY))
    await wire.chunk(REF, *piece)
    await answer(wire, STORED, REFUSED)


# -- what must hold


def check(state: str, told: str, *, aborted: bool, expired: bool) -> None:
    """Everyone was told the truth."""
    assert told in ("complete", "incomplete", "gone", "not-found"), told
    if state == "ready":
        assert told == "complete"
        assert not aborted, "ABORT was answered, and the file is there"
        assert not expired, "the janitor expired a finished file"
    elif state in DEAD:
        assert aborted or expired, "it died of nothing"
        assert aborted or told != "complete", "a finished file is gone"
    else:
        assert (state, told) == ("uploading", "incomplete")
        assert not aborted
        assert not expired


async def two_sweeps(stage: Stage, upload_id: str) -> None:
    """After them nothing is left of what is dead."""
    vault = stage.world.vault
    for _ in range(2):
        await let_expire(stage, upload_id)
        await vault.sweeper(tombstone_ttl=TOMBSTONE_SECONDS).sweep()
    assert await vault.states() == {}
    assert await vault.count() == 0, "orphans"


FAULT = Fault(
    name="endings",
    title="finish against abort against janitor",
    how="at once by two server processes and a janitor's, with a piece on its way, on an expired "
    "upload; each up to 40 ms late",
    holds="one outcome and nobody was told another, no orphan after two sweeps, quota exact",
    trials=500,
    quick=50,
    few=5,
    world=world,
    trial=trial,
)
