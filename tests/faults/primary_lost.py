"""The primary of a set of three is killed, or stopped so that its connections hang."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.faults.fault import Base, Fault, Trial
from tests.faults.processes import Mongod
from tests.faults.proxy import at, whole
from tests.faults.replicaset import QUICK, USUAL, ReplicaSet
from tests.faults.setups import CHUNK, Setup, serving
from tests.faults.uploader import Uploader

LONGEST_PAUSE_SECONDS = 30.0
"""The longest pause of an upload, from one acknowledgement to the next."""

CELLS = 16


@dataclass
class Replicated:
    """A setup on a replica set."""

    setup: Setup
    replicas: ReplicaSet


@asynccontextmanager
async def setup(_base: Base, folder: Path) -> AsyncIterator[Replicated]:
    async with AsyncExitStack() as stack:
        replicas = await stack.enter_async_context(ReplicaSet(folder))
        url = replicas.url.replace("/?", "/lading?")
        yield Replicated(await stack.enter_async_context(serving(url, folder)), replicas)


async def killed(made: Replicated, trial: Trial) -> None:
    victim = await ready(made, trial)
    uploaders = await upload(made, trial, victim.kill)
    await victim.start()
    await check(made, uploaders)


async def stopped(made: Replicated, trial: Trial) -> None:
    victim = await ready(made, trial)
    try:
        uploaders = await upload(made, trial, victim.pause)
    finally:
        victim.unpause()
    await check(made, uploaders)


async def ready(made: Replicated, trial: Trial) -> Mongod:
    """Every fifth trial uses MongoDB's timeouts, the others shorter ones; returns the primary."""
    await made.replicas.set_patience(USUAL if trial.number % 5 == 4 else QUICK)
    return await made.replicas.primary()


async def upload(made: Replicated, trial: Trial, strike: Callable[[], None]) -> list[Uploader]:
    """Two uploads, and the fault when a random byte of them has gone by."""
    random, setup = trial.random, made.setup
    files = [random.randbytes(random.randint(CHUNK, CELLS * CHUNK)) for _ in range(2)]
    uploaders = [
        Uploader(data, f"primary-{trial.number}-{place}", random)
        for place, data in enumerate(files)
    ]
    struck = asyncio.Event()

    def begin() -> None:
        strike()
        struck.set()

    setup.proxy.usual = (at(random.randrange(sum(map(len, files))), begin), whole)
    await asyncio.gather(
        *(each.run(lambda: setup.proxied, seconds=90, patience=60) for each in uploaders)
    )
    assert struck.is_set()
    for uploader in uploaders:
        silence = uploader.longest_silence
        assert silence <= LONGEST_PAUSE_SECONDS, f"an upload paused for {silence:.1f} s"
    return uploaders


async def check(made: Replicated, uploaders: list[Uploader]) -> None:
    """When the lost member is back: nothing that was acknowledged was rolled back."""
    await made.replicas.heal()
    for uploader in uploaders:
        await made.setup.inspector.check_acknowledged(uploader.id, uploader.acknowledged)
        await made.setup.inspector.check_file(made.setup.server, uploader.id, uploader.data)
    await made.setup.check_nothing_left(crashed=True)
    await made.setup.inspector.clear()


KILLED = Fault(
    name="primary-killed",
    title="primary of a 3-node set killed",
    how="SIGKILL of the primary while two uploads store pieces; four of five trials with an "
    "election timeout of 2 s, the fifth with MongoDB's own 10 s",
    holds="none lost, the uploads go on within 30 s",
    trials=50,
    quick=4,
    few=1,
    setup=setup,
    trial=killed,
)

STOPPED = Fault(
    name="primary-stopped",
    title="primary of a 3-node set stopped",
    how="SIGSTOP of the primary while two uploads store pieces, SIGCONT when they are finished; "
    "elections as above; the set's parameters and settings are those of operations.md",
    holds="none lost, the uploads go on within 30 s",
    trials=50,
    quick=4,
    few=1,
    setup=setup,
    trial=stopped,
)
