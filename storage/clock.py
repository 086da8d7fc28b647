"""The time, as the database has it, and whether uploads may be judged by their age.

Server processes and janitors on many machines compare times that the others wrote, so all of them
go by one clock: that of the database. It is read now and then, and carried on in between by the
steady clock of the process, so that a wrong or jumping system clock harms no upload.

The database's clock may be set, too, by a day where a wrong one is corrected; that of the embedded
database is the machine's. Forward, it makes every upload look old at once. Therefore:

- A process that has looked before compares with its steady clock, and notices. Before it takes the
  new time over, it lets every upload under way live for its full time from then on.
- Others may not have looked yet, and write old times until they do. So whoever noticed is
  *unsettled* for three looks, in which all others notice; meanwhile it expires nothing.
- Who begins after the step cannot compare. But every settled process leaves a mark of its last look
  in the database. If that is long ago, no process has run since, or the clock was set a moment ago:
  it cannot be told which, so who begins is unsettled, too. By the end of that those who know better
  have set the uploads right.

Source: page 5 of the design, "clock off by ±1 h, ±1 day"; `docs/decisions/0026`.
"""

from __future__ import annotations

import asyncio
import math
import time
from datetime import UTC

from lading.storage.collections.manifests import Manifests
from lading.storage.database import Database, persist

SYNC_SECONDS = 60.0
"""How often the database is asked; between, steady clocks drift apart by a millisecond or so."""

LOOKS = 3
"""In the time of so many looks every process that lives has looked."""

STEP_SECONDS = 5.0
"""A clock that is ahead of the steady one by more than this was set."""

MARK = {"_id": "clock"}


def _steady() -> float:
    """Seconds that nobody can set. Those count in which the machine slept, where it tells them."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class DatabaseClock:
    """Call it for the time in Unix seconds. `sync` must have been awaited once before.

    `upload_ttl` is for how long uploads live, in seconds.
    """

    def __init__(self, database: Database, upload_ttl: float = 24 * 3600.0) -> None:
        self._database = database
        self._manifests = Manifests(database)
        self._ttl = upload_ttl
        self._offset = time.time() - _steady()
        self._has_looked = False
        self._settled_at = -math.inf

    def __call__(self) -> float:
        return _steady() + self._offset

    @property
    def settled(self) -> bool:
        """Whether what looks old is old."""
        return _steady() >= self._settled_at

    async def sync(self) -> None:
        """Read the database's clock; raises Unavailable."""
        asked = _steady()
        moment = await persist(self._database.now, seconds=0)
        if moment is None:
            return
        answered = _steady()
        if self._has_looked and answered - asked > STEP_SECONDS:
            return  # when in that time it was read nobody knows
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
        """Whether the last mark is long ago. A step of less ends no upload that is connected."""
        found = await self._database.read(lambda: self._database.marks.find_one(MARK))
        return found is not None and now - found["at"] > max(LOOKS * SYNC_SECONDS, self._ttl / 4)

    def _unsettle(self) -> None:
        self._settled_at = _steady() + LOOKS * SYNC_SECONDS

    async def settle(self) -> None:
        """Wait until it is settled, some minutes at most; raises Unavailable."""
        while not self.settled:
            await asyncio.sleep(min(SYNC_SECONDS, max(0.0, self._settled_at - _steady())))
            await self.sync()

    async def keep(self) -> None:
        """Read it again every minute, for as long as the task lives."""
        while True:
            await asyncio.sleep(SYNC_SECONDS)
            try:
                await self.sync()
            except Exception:  # noqa: S112 - the last offset is good for a long while
                continue
