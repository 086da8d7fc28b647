"""Two janitors in two processes, and what happens to the lease when its holder dies or is stopped.

A janitor that was stopped in the middle of a sweep holds a list of uploads to expire; when it
continues and another janitor has the lease, it must not expire them.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from tests.faults.fault import Base, Fault, Trial
from tests.faults.inspector import Inspector, eventually
from tests.faults.janitor_process import MARK
from tests.faults.processes import START_SECONDS, clean_environment, kill
from tests.support.children import start
from tests.support.servers import until

UPLOADS, PIECES = 12, 2
MANY = 30
"""Enough uploads for a sweep to be in the middle when its process is killed."""

DONE_SECONDS = 20.0

LEASE_SECONDS = 1.0
"""Short where the holder is lost, so that many trials fit into an hour. Elsewhere the lease must
outlive every pause of the machine: a janitor that loses it does not report its work."""

LONG_LEASE_SECONDS = 60.0


class Janitor:
    """One process; its answers are read from its output file."""

    def __init__(self, folder: Path, url: str, name: str, lease_seconds: float) -> None:
        self._output = folder / f"{name}.output"
        module = "tests.faults.janitor_process"
        program = [sys.executable, "-m", module, url, name, str(lease_seconds)]
        self.child = start(program, self._output, clean_environment(), stdin=subprocess.PIPE)
        self._answered = 0

    async def ready(self) -> None:
        assert await self.answer(START_SECONDS) == "ready"

    def ask(self, word: str) -> None:
        assert self.child.stdin is not None
        self.child.stdin.write(f"{word}\n".encode())
        self.child.stdin.flush()

    async def answer(self, seconds: float = DONE_SECONDS) -> Any:
        """The answer to the oldest open question."""

        def answers() -> list[str]:
            lines = self._output.read_text().split("\n")[:-1]
            return [line.removeprefix(MARK) for line in lines if line.startswith(MARK)]

        await until(lambda: len(answers()) > self._answered, seconds)
        self._answered += 1
        return json.loads(answers()[self._answered - 1])

    def end(self) -> None:
        kill(self.child)
        assert self.child.stdin is not None
        self.child.stdin.close()


@dataclass
class Pair:
    """The database, and two janitors on it."""

    inspector: Inspector
    url: str
    folder: Path
    janitors: list[Janitor]
    numbers: count[int]
    lease_seconds: float

    async def start_one(self) -> Janitor:
        """One more janitor."""
        name = f"janitor{next(self.numbers)}"
        janitor = Janitor(self.folder, self.url, name, self.lease_seconds)
        self.janitors.append(janitor)
        await janitor.ready()
        return janitor

    async def begin(self, uploads: int) -> list[str]:
        """Clear everything, and make `uploads` expired uploads; returns their ids."""
        await self.inspector.clear()
        await self.inspector.database.leases.delete_many({})
        return await self.inspector.plant(uploads, PIECES)


@asynccontextmanager
async def setup(
    base: Base, folder: Path, lease_seconds: float = LEASE_SECONDS
) -> AsyncIterator[Pair]:
    url = base.database(folder.name)
    async with Inspector(url) as inspector:
        pair = Pair(inspector, url, folder, [], count(1), lease_seconds)
        try:
            await pair.start_one()
            await pair.start_one()
            yield pair
        finally:
            for janitor in pair.janitors:
                janitor.end()


async def together(pair: Pair, trial: Trial) -> None:
    """Both sweep at once, twice: together they did exactly what was due."""
    uploads = trial.random.randint(1, UPLOADS)
    await pair.begin(uploads)
    sums = dict.fromkeys(("expired", "emptied", "purged", "pieces", "failed"), 0)
    for _ in range(2):
        for janitor in pair.janitors:
            janitor.ask("sweep")
        for report in [await janitor.answer() for janitor in pair.janitors]:
            for name, number in (report or {}).items():
                sums[name] += number
    assert sums == {
        "expired": uploads,
        "emptied": uploads,
        "purged": uploads,
        "pieces": uploads * PIECES,
        "failed": 0,
    }
    await all_gone(pair)


async def all_gone(pair: Pair) -> None:
    assert await pair.inspector.states() == {}
    assert await pair.inspector.count() == 0
    await pair.inspector.check_nothing_left()


async def holder_lost(pair: Pair, trial: Trial) -> None:
    """The holder is killed, or stopped, in the middle of a sweep."""
    ids = await pair.begin(MANY)
    holder, successor = pair.janitors[-2:]
    holder.ask("sweep")
    wanted = trial.random.randint(1, MANY - 5)
    await eventually(lambda: dead_at_least(pair, wanted))
    if trial.number % 2:
        holder.end()
        pair.janitors.remove(holder)
        await finish(pair, successor)
        await pair.start_one()
    else:
        await stopped(pair, holder, successor, ids)


async def dead_at_least(pair: Pair, wanted: int) -> bool:
    return sum(state != "uploading" for state in (await pair.inspector.states()).values()) >= wanted


async def stopped(pair: Pair, holder: Janitor, successor: Janitor, ids: list[str]) -> None:
    holder.child.send_signal(signal.SIGSTOP)
    before = await pair.inspector.states()
    left = sum(state == "uploading" for state in before.values())
    try:
        await take_over(successor)
    finally:
        holder.child.send_signal(signal.SIGCONT)
    report = await holder.answer()
    after = await pair.inspector.states()
    changed = [each for each in ids if before[each] != after[each]]
    if left:
        assert report is None, f"the stopped janitor continued: {report}"
        # It completes the step in which it was stopped; that step is the same when done twice.
        assert len(changed) <= 1, f"the stopped janitor continued with {changed}"
    await finish(pair, successor)


async def take_over(successor: Janitor) -> None:
    """Ask for the lease until it is free."""
    async with asyncio.timeout(LEASE_SECONDS + 5):
        held = False
        while not held:
            successor.ask("hold")
            held = await successor.answer()
            await asyncio.sleep(0.02)


async def finish(pair: Pair, successor: Janitor) -> None:
    """The other janitor does the rest as soon as the lease is over."""

    async def swept() -> bool:
        successor.ask("sweep")
        await successor.answer()
        return await pair.inspector.states() == {}

    await eventually(swept, LEASE_SECONDS + 10)
    await all_gone(pair)


TOGETHER = Fault(
    name="janitors",
    title="two janitors",
    how="two processes are told to sweep at the same moment, twice",
    holds="no double work: what both report adds up to what there was to do",
    trials=100,
    quick=20,
    few=2,
    setup=partial(setup, lease_seconds=LONG_LEASE_SECONDS),
    trial=together,
)

HOLDER_LOST = Fault(
    name="lease-holder",
    title="janitor killed, stopped",
    how="SIGKILL or SIGSTOP in the middle of a sweep; a lease of 1 s",
    holds="the other takes over, the one that wakes does nothing more, quota exact",
    trials=100,
    quick=10,
    few=2,
    setup=setup,
    trial=holder_lost,
)
