"""Group commit: one sync for everything that waits at the moment when it begins."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class GroupCommit:
    """Calls `sync` for many callers at once; at most one call of it is under way."""

    def __init__(self, sync: Callable[[], Awaitable[None]]) -> None:
        self._sync = sync
        self._present: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None

    async def __call__(self) -> None:
        """Return when a sync is over that began after this call; raises what that one raises."""
        if self._next is None:
            self._next = asyncio.create_task(self._round(self._present))
        await asyncio.shield(self._next)

    async def _round(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        self._present, self._next = self._next, None
        await self._sync()
