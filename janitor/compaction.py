"""Gives space back to the disk: compacts the database's files when much of them is unused.

Only for the embedded database, which Lading owns. Compaction moves blocks and costs reads and
writes, so it runs only while nothing arrives, and seldom. Uploads that begin meanwhile are taken.
Source: docs/decisions/0036.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable

import structlog

from lading.storage.blobs.base import Check
from lading.storage.database import Space

log = structlog.get_logger()

LEAST = 512 * 2**20
"""Fewer reusable bytes than this are left for the next uploads."""

PART = 0.25
"""Nor is it worth it if less than this part of the files is reusable."""

QUIET_SECONDS = 300.0
"""For so long nothing must have arrived."""

PAUSE_SECONDS = 3600.0
"""The least time between two compactions, whatever the first one achieved."""

LOOK_SECONDS = 5.0
"""How often the lease is checked while the database compacts."""


class Compactor:
    """Compacts when it is due. `arrived_since` says whether bytes arrived after a time."""

    def __init__(
        self,
        space: Callable[[], Awaitable[Space | None]],
        compact: Callable[[], Awaitable[None]],
        arrived_since: Callable[[float], Awaitable[bool]],
        *,
        clock: Callable[[], float],
        least: int = LEAST,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._space = space
        self._compact = compact
        self._arrived_since = arrived_since
        self._clock = clock
        self._least = least
        self._look_seconds = look_seconds
        self._next = -math.inf

    async def run_if_due(self, check: Check) -> bool:
        """Compact if much can be given back and nothing arrives; raises what `check` raises."""
        now = self._clock()
        if now < self._next:
            return False
        space = await self._space()
        if space is None or space.reusable < max(self._least, PART * space.files):
            return False
        if await self._arrived_since(now - QUIET_SECONDS):
            return False
        self._next = now + PAUSE_SECONDS
        await check()
        work = asyncio.ensure_future(self._compact())
        try:
            while not (await asyncio.wait({work}, timeout=self._look_seconds))[0]:
                await check()
            await work
        finally:
            work.cancel()
        after = await self._space()
        freed = 0 if after is None else max(0, space.files - after.files)
        log.info("database-compacted", freed=freed, reusable_before=space.reusable)
        return True
