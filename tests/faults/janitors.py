"""Two janitors in two processes, and what becomes of the lease when its holder dies or stands
still.

A janitor that was stopped in the middle of a sweep holds a list of uploads to expire; when it wakes
and another has the lease, it must let them be.
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
from tests.faults.janitor_process import MARK
from tests.faults.processes import START_SECONDS, clean_environment, kill, start
from tests.faults.vault import Vault, eventually
from tests.support.servers import until

UPLOADS, PIECES = 12, 2
MANY = 30
"""Uploads enough for a sweep to be in the middle of when it is struck."""

DONE_SECONDS = 20.0

LEASE_SECONDS = 1.0
"""Where the holder is lost, so that many trials fit into an hour. Where none is, the lease must
outlive every pause of the machine: who loses it does not report what was done."""

LONG_LEASE_SECONDS = 60.0


class Janitor:
    """One process; its answers are read from the file that it writes to."""

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
        """What it says to the oldest question that is not answered yet."""

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

    vault: Vault
    url: str
    folder: Path
    janitors: list[Janitor]
    numbers: count[int]
    lease_seconds: float

    async def hire(self) -> Janitor:
        """One more janitor."""
        name = f"janitor{next(self.numbers)}"
        janitor = Janitor(self.folder, self.url, name, self.lease_seconds)
        self.janitors.append(janitor)
        await janitor.ready()
        return janitor

    async def begin(self, uploads: int) -> list[str]:
        """Nothing but so many expired uploads, and no lease; their ids."""
        await self.vault.clear()
        await self.vault.database.leases.delete_many({})
        return await self.vault.plant(uploads, PIECES)


@asynccontextmanager
async def world(
    base: Base, folder: Path, lease_seconds: float = LEASE_SECONDS
) -> AsyncIterator[Pair]:
    url = base.database(folder.name)
    async with Vault(url) as vault:
        pair = Pair(vault, url, folder, [], count(1), lease_seconds)
        try:
            await pair.hire()
            await pair.hire()
            yield pair
        finally:
            for janitor in pair.janitors:
                janitor.end()


async def together(pair: Pair, trial: Trial) -> None:
    """Both sweep at once, twice: what they did adds up to what there was to do."""
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
    assert await pair.vault.states() == {}
    assert await pair.vault.count() == 0
    await pair.vault.sound()


async def holder_lost(pair: Pair, trial: Trial) -> None:
    """The holder is killed, or stopped, in the middle of a sweep."""
    ids = await pair.begin(MANY)
    holder, heir = pair.janitors[-2:]
    holder.ask("sweep")
    wanted = trial.random.randint(1, MANY - 5)
    await eventually(lambda: dead_at_least(pair, wanted))
    if trial.number % 2:
        holder.end()
        pair.janitors.remove(holder)
        await finish(pair, heir)
        await pair.hire()
    else:
        await stopped(pair, holder, heir, ids)


async def dead_at_least(pair: Pair, wanted: int) -> bool:
    return sum(state != "uploading" for state in (await pair.vault.states()).values()) >= wanted


async def stopped(pair: Pair, holder: Janitor, heir: Janitor, ids: list[str]) -> None:
    holder.child.send_signal(signal.SIGSTOP)
    before = await pair.vault.states()
    left = sum(state == "uploading" for state in before.values())
    try:
        await take_over(heir)
    finally:
        holder.child.send_signal(signal.SIGCONT)
    report = await holder.answer()
    after = await pair.vault.states()
    changed = [each for each in ids if before[each] != after[each]]
    if left:
        assert report is None, f"the one that woke went on: {report}"
        # The deed that it stood still in is brought to its end; it means the same done twice.
        assert len(changed) <= 1, f"the one that woke went on with {changed}"
    await finish(pair, heir)


async def take_over(heir: Janitor) -> None:
    """Ask for the lease until it is to be had."""
    async with asyncio.timeout(LEASE_SECONDS + 5):
        held = False
        while not held:
            heir.ask("hold")
            held = await heir.answer()
            await asyncio.sleep(0.02)


async def finish(pair: Pair, heir: Janitor) -> None:
    """The other one does what is left, as soon as the lease is over."""

    async def swept() -> bool:
        heir.ask("sweep")
        await heir.answer()
        return await pair.vault.states() == {}

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
    world=partial(world, lease_seconds=LONG_LEASE_SECONDS),
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
    world=world,
    trial=holder_lost,
)
