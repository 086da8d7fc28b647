"""The time, as the database has it, and whether uploads may be judged by their age.

Server processes and janitors on many machines compare times that others wrote, so all of them use
one clock: that of the database. Each process reads it once a minute. In between it adds what its
own steady clock measured, so a system clock that is wrong or jumps harms no upload.

The database's clock may be set, too: by a day where a wrong one is corrected, and the clock of the
embedded database is the machine's. Set forward, it makes every upload look old at once. Therefore:

- A process that has looked before compares with its steady clock, and notices the step. Before it
  adopts the new time, it extends every upload under way to its full lifetime from then on.
- Other processes may not have looked yet, and write old times until they do. So a process that
  noticed is *unsettled* for three looks, in which all others notice; meanwhile it expires nothing.
- A process that starts after the step cannot compare. But every settled process leaves a mark of
  its last look in the database. If that mark is old, either no process has run since, or the clock
  was set a moment ago. The process cannot tell which, so it is unsettled, too. By the end of that
  time the processes that noticed have extended the uploads.

Source: page 5 of the design, "clock off by ±1 h, ±1 day"; `docs/decisions/0026`.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from typing import Protocol

from lading.storage.collections.manifests import Manifests
from lading.storage.database import Database, persist

SYNC_SECONDS = 60.0
"""How often the database's clock is read. Steady clocks drift by about 1 ms a minute."""

LOOKS = 3
"""Within the time of so many looks every living process has looked."""

STEP_SECONDS = 5.0
"""A clock that is ahead of the steady one by more than this was set."""

MARK = {"_id": "clock"}


def steady_seconds() -> float:
    """Seconds that nobody can set. Time in which the machine slept counts, where it is known."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class Clock(Protocol):
    """Call it for the time in Unix seconds."""

    def __call__(self) -> float:
        """Now, in Unix seconds."""
        ...

    @property
    def settled(self) -> bool:
        """Whether an upload that looks old is old. While it is False, nothing may be expired."""
        ...

    async def settle(self) -> None:
        """Wait until it is settled; raises Unavailable."""
        ...

    async def keep(self) -> None:
        """Do what keeps it right, for as long as the task lives."""
        ...


@dataclass(frozen=True, slots=True)
class PlainClock:
    """A clock that only reads another one, such as `time.time`; it is always settled."""

    read: Callable[[], float] = time.time

    def __call__(self) -> float:
        return self.read()

    @property
    def settled(self) -> bool:
        return True

    async def settle(self) -> None:
        return None

    async def keep(self) -> None:
        return None


class DatabaseClock:
    """The clock of the database. `sync` must have been awaited once before it is called.

    `upload_ttl` is how long an idle upload lives, in seconds. `steady` is a clock nobody can set.
    Every `sync_seconds` the database is asked again.
    """

    def __init__(
        self,
        database: Database,
        upload_ttl: float = 24 * 3600.0,
        steady: Callable[[], float] = steady_seconds,
        sync_seconds: float = SYNC_SECONDS,
    ) -> None:
        self._database = database
        self._manifests = Manifests(database)
        self._ttl = upload_ttl
        self._sync_seconds = sync_seconds
        self._steady = steady
        self._offset = time.time() - steady()
        self._has_looked = False
        self._settled_at = -math.inf

    def __call__(self) -> float:
        return self._steady() + self._offset

    @property
    def settled(self) -> bool:
        """Whether an upload that looks old is old."""
        return self._steady() >= self._settled_at

    async def sync(self) -> None:
        """Read the database's clock; raises Unavailable."""
        asked = self._steady()
        moment = await persist(self._database.now, seconds=0)
        if moment is None:
            return
        answered = self._steady()
        if self._has_looked and answered - asked > STEP_SECONDS:
            return  # it is not known when in that time it was read
        now = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        if not self._has_looked:
            if await self._is_stale(now):
                self._unsettle()
        elif now - (answered + self._offset) > STEP_SECONDS:
            self._unsettle()
            await self._manifests.renew(now + self._ttl)
        self._has_looked = True
        self._offset = now - (asked + answered) / 2
        if self.settled:
            change = {"$set": {"at": now}}
            await persist(lambda: self._database.marks.update_one(MARK, change, upsert=True), 0)

    async def _is_stale(self, now: float) -> bool:
        """Whether the last mark is old. A smaller step ends no upload that is connected."""
        found = await self._database.read(lambda: self._database.marks.find_one(MARK))
        return found is not None and now - found["at"] > max(
            LOOKS * self._sync_seconds, self._ttl / 4
        )

    def _unsettle(self) -> None:
        self._settled_at = self._steady() + LOOKS * self._sync_seconds

    async def settle(self) -> None:
        """Wait until it is settled, some minutes at most; raises Unavailable."""
        while not self.settled:
            await asyncio.sleep(
                min(self._sync_seconds, max(0.0, self._settled_at - self._steady()))
            )
            await self.sync()

    async def keep(self) -> None:
        """Read it again every minute, for as long as the task lives."""
        while True:
            await asyncio.sleep(self._sync_seconds)
            try:
                await self.sync()
            except Exception:  # noqa: S112 - the last offset is good for a long while
                continue
