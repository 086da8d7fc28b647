"""From a deleted upload or file to its bytes being gone.

It owns who waits for that, and for how long. It refuses to know how bytes are deleted: the sweeper
does it, here as in the janitor, which goes on with what was broken off.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from lading.janitor.sweep import Sweeper
from lading.protocol.errors import LadingError
from lading.protocol.manifest import Manifest
from lading.server.background import Tasks, ignore_result

DELETING_SECONDS = 5.0
"""Who deletes something waits for so long at most until its bytes are gone; its quota is free."""


class Deletion:
    """Deletes the bytes of what is dead already, so nothing that fails here is an error."""

    def __init__(self, sweeper: Sweeper) -> None:
        self._sweeper = sweeper
        self._tasks = Tasks()
        self._turn = asyncio.Lock()

    async def empty(self, tombstone: Manifest) -> None:
        """Give its quota back and delete its bytes; those of a very large one go by and by."""
        with suppress(LadingError):
            if await self._sweeper.begin_to_empty(tombstone):
                return
        rest = self._tasks.spawn(self._rest(tombstone))
        rest.add_done_callback(ignore_result)
        await asyncio.wait([rest], timeout=DELETING_SECONDS)

    async def _rest(self, tombstone: Manifest) -> None:
        """Delete the bytes of a large one, one such at a time."""
        async with self._turn:
            await self._sweeper.empty(tombstone)

    async def stop(self) -> None:
        """Leave the rest to the janitor."""
        self._tasks.cancel()
        await self._tasks.settle()
