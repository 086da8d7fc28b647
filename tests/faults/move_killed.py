"""A file moves by `lading move`, and the command is killed at every step.

A server is read all the time. Afterwards the same command, or the server beside it, moves the file
to its end: it is whole, at one home, and when it is deleted nothing is left at any.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

from tests.faults.every_step import Context, EveryStep, at_step, steps_in, trial_of
from tests.faults.fault import Base, Fault
from tests.faults.lanes import VICTIM, Lane, lanes
from tests.faults.processes import command
from tests.faults.setups import CHUNK

KILLED = -9

TRIALS = 200

AT_ONCE = 3

WAYS = tuple(itertools.permutations(("mongo", "file", "s3"), 2))


@asynccontextmanager
async def setup(base: Base, folder: Path) -> AsyncIterator[Context[tuple[str, str]]]:
    async with lanes(base, folder, AT_ONCE, home="mongo", chunk=CHUNK) as made:
        yield Context(made, EveryStep(WAYS, TRIALS))


async def strike(lane: Lane, way: tuple[str, str], random: Random, last: int) -> int:
    """Kill a move at its step `last` and check what follows; returns how many steps it had.

    In every fourth trial the command is run again, else the server goes on.
    """
    source, target = (lane.homes[kind] for kind in way)
    data = random.randbytes(3 * CHUNK - random.randrange(CHUNK))
    log = lane.log()
    with at_step(way, log):
        file_id = await lane.upload(data)
        await lane.bring(file_id, source)
        dying = VICTIM.format(log=str(log), last=last, moment=random.uniform(0, 0.01))
        async with lane.reading(file_id, data):
            with lane.holding():
                await asyncio.to_thread(log.touch)
                await move(lane, file_id, target, before=dying)
                await lane.end_claim(file_id)
                if random.random() < 0.25 or not await lane.is_on_its_way(file_id):
                    await move(lane, file_id, target)
            await lane.check_lives_at(file_id, target)
        await lane.delete(file_id)
        await lane.check_nothing_left()
        await lane.setup.inspector.clear()
    return len(steps_in(log))


async def move(lane: Lane, file_id: str, target: str, *, before: str = "") -> None:
    """`lading move` as a process of its own."""
    done = await command("move", "--to", target, file_id, before=before, **lane.settings)
    assert done.returncode in (0, KILLED), done.stdout + done.stderr


FAULT = Fault(
    name="move-killed",
    title="`lading move` killed at every step",
    how="SIGKILL before or during each write of the database, change of the directory and request "
    "that changes the bucket, between MongoDB, a directory and SeaweedFS, each way",
    holds="the file is read all the time and whole, ends at one home, nothing is left elsewhere",
    trials=TRIALS,
    quick=24,
    few=2,
    setup=setup,
    trial=trial_of(strike),
    at_once=AT_ONCE,
    seconds=600.0,
)
