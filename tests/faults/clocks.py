"""Clocks off by an hour or a day: servers whose system clock is wrong, or jumps while they run.

The database's clock is right, and everything uses it: uploads live for a minute here, and five
janitors look for expired ones all the time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bson import ObjectId

from lading.storage.collections.manifests import new_id
from tests.faults.fault import Base, Fault, Trial
from tests.faults.inspector import USER, eventually
from tests.faults.processes import command
from tests.faults.setups import CHUNK, Setup, serving, some_bytes
from tests.support.wire import cells, channel

HOUR, DAY = 3600, 86_400

LIVES_SECONDS = 60
SWEPT_SECONDS = 0.05

SOON, EARLY, LATE = 0.6, 0.3, 3.0
"""An upload that expires so soon is alive a little earlier, and dead a little later (seconds)."""

WRONG = """
import time
right, begin = time.time, time.monotonic()
def wrong():
    return right() + ({off} if time.monotonic() - begin < {jumps} else {then})
time.time = wrong
time.time_ns = lambda: int(wrong() * 1e9)
"""
"""The system clock is `off` by so many seconds, and by `then` from `jumps` on."""


def wrong(off: int, then: int | None = None, jumps: float = 0.0) -> str:
    """The program that makes the clock of a process wrong."""
    return WRONG.format(off=off, jumps=jumps, then=off if then is None else then)


CLOCKS = (wrong(HOUR), wrong(-HOUR), wrong(DAY), wrong(-DAY), wrong(DAY, then=-DAY, jumps=4.0))


@dataclass
class Clocks:
    """Servers with wrong clocks, and who held the janitor's lease when the batch began."""

    setup: Setup
    lease: tuple[str, int] | None = None

    async def holder(self) -> tuple[str, int] | None:
        """Who holds the janitor's lease, and how often it has changed hands."""
        found = await self.setup.inspector.database.leases.find_one({})
        return None if found is None else (found["holder"], found["fence"])

    async def contest(self) -> None:
        """Let any of the janitors take the lease."""
        await self.setup.inspector.database.leases.delete_many({})
        await eventually(self.holder)
        self.lease = await self.holder()


@asynccontextmanager
async def setup(base: Base, folder: Path) -> AsyncIterator[Clocks]:
    url = base.database(folder.name)
    lives = {"upload_ttl": LIVES_SECONDS, "janitor_interval": SWEPT_SECONDS}
    async with serving(url, folder, before=CLOCKS, **lives) as made:
        clocks = Clocks(made)
        await clocks.contest()
        yield clocks


async def trial(clocks: Clocks, trial: Trial) -> None:
    await asyncio.gather(live(clocks.setup, trial), dying(clocks.setup, trial))


async def live(setup: Setup, trial: Trial) -> None:
    """An upload that continues on changing servers never expires, and reports the right expiry."""
    random = trial.random
    data = some_bytes(random, cells=6)
    servers = setup.servers.running
    async with channel(random.choice(servers)) as wire:
        upload_id = (await wire.create(0, len(data), name=f"clock-{trial.number}"))["id"]
    for start, piece in cells(data, CHUNK):
        async with channel(random.choice(servers)) as wire:
            upload = await wire.resume(0, upload_id)
            left = upload["expires_at"] - time.time()
            assert abs(left - LIVES_SECONDS) < LATE, f"it is to live for {left:.0f} s"
            await wire.chunk(0, start, piece)
            await wire.stored(1)
        await asyncio.sleep(random.uniform(0, 0.2))
    async with channel(random.choice(servers)) as wire:
        await wire.resume(0, upload_id)
        await wire.finish(0)
    await setup.inspector.check_file(random.choice(servers), upload_id, data)


async def dying(setup: Setup, trial: Trial) -> None:
    """An upload that nobody touches is expired at its time, and not before."""
    async with channel(trial.random.choice(setup.servers.running)) as wire:
        upload_id = (await wire.create(0, CHUNK, name=f"dying-{trial.number}"))["id"]
    moment = datetime.now(UTC) + timedelta(seconds=SOON)
    change = {"$set": {"expires_at": moment}}
    await setup.inspector.database.manifests.update_one({"_id": ObjectId(upload_id)}, change)
    while True:
        state = (await setup.inspector.states())[upload_id]
        # Only now: to look takes a while, too.
        if datetime.now(UTC) >= moment - timedelta(seconds=EARLY):
            break
        assert state == "uploading", "expired before its time"
        await asyncio.sleep(SWEPT_SECONDS)

    async def expired() -> bool:
        return (await setup.inspector.states())[upload_id] == "expired"

    await eventually(expired, SOON + LATE)


async def settle(clocks: Clocks) -> None:
    """The lease stayed where it was, and no reservation that was just made is taken for an old
    one."""
    inspector = clocks.setup.inspector
    assert await clocks.holder() == clocks.lease, "the lease changed hands"
    fresh = new_id(inspector.clock())
    await inspector.quotas.reserve(USER, fresh, 1000)
    where = {"database_url": clocks.setup.servers.url, "data": clocks.setup.server.data}
    swept = await command("janitor", "sweep", before=wrong(DAY), **where)
    assert swept.returncode == 0, swept.stderr
    assert fresh in (await inspector.quotas.account(USER)).open, "a reservation was taken away"
    await inspector.quotas.release(USER, fresh)
    await inspector.check_nothing_left()
    await inspector.clear()
    await clocks.contest()


FAULT = Fault(
    name="clocks",
    title="clock off by ±1 h, ±1 day",
    how="five server processes whose system clock is wrong, one of which jumps by two days; a "
    "janitor in each",
    holds="no live upload expired, dead ones expire in time, one janitor at a time",
    trials=200,
    quick=20,
    few=3,
    setup=setup,
    trial=trial,
    settle=settle,
    at_once=5,
)
