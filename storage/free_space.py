"""Whether the database's disk has free space: below the floor nothing new is taken.

When a disk is full mongod aborts and does not start again until there is space, so the server stops
before that. What MongoDB could reuse inside its own files is not counted: its journal and its
checkpoints need space outside of them. Source: page 5 of the design, "disk full".
"""

from __future__ import annotations

import asyncio

from lading.protocol.errors import LadingError, StorageFull
from lading.storage.database import Database

LOOK_SECONDS = 1.0
"""How often the free space is read."""


class FreeSpace:
    """The free space at the last look. `floor` is in bytes."""

    def __init__(
        self, database: Database, floor: int = 0, *, look_seconds: float = LOOK_SECONDS
    ) -> None:
        self._database = database
        self._floor = floor
        self._look_seconds = look_seconds
        self._free: int | None = None

    async def look(self) -> None:
        """Read how much space is free; raises Unavailable."""
        self._free = await self._database.free_space()

    async def watch(self) -> None:
        """Look again and again, for as long as the task lives."""
        while True:
            await asyncio.sleep(self._look_seconds)
            try:
                await self.look()
            except LadingError:
                continue  # every other operation reports a database that is down

    def check(self) -> None:
        """Raise StorageFull unless there was enough space at the last look."""
        if self._free is not None and self._free < self._floor:
            raise StorageFull(
                f"The disk of the database has {self._free} bytes left, the server keeps "
                f"{self._floor} free; try again when there is more.",
                free=self._free,
            )
