"""The time, as the database has it.

Server processes and janitors on many machines compare times that the others wrote, so all of them
go by one clock: that of the database. It is read now and then, and carried on in between by the
steady clock of the process, so that a wrong or jumping system clock harms no upload.
Source: page 5 of the design, "clock off by ±1 h, ±1 day".
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC

from storage.database import Database, persist

SYNC_SECONDS = 60.0
"""How often the database is asked; between, steady clocks drift apart by a millisecond or so."""


class DatabaseClock:
    """Call it for the time in Unix seconds. `sync` must have been awaited once before."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._offset = time.time() - time.monotonic()

    def __call__(self) -> float:
        return time.monotonic() + self._offset

    async def sync(self) -> None:
        """Read the database's clock; raises Unavailable."""
        before = time.monotonic()
        moment = await persist(self._database.now, seconds=0)
        if moment is not None:
            middle = (before + time.monotonic()) / 2
            aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            self._offset = aware.timestamp() - middle

    async def keep(self) -> None:
        """Read it again every minute, for as long as the task lives."""
        while True:
            await asyncio.sleep(SYNC_SECONDS)
            try:
                await self.sync()
            except Exception:  # noqa: S112 - the last offset is good for a long while
                continue
