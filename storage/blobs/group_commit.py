"""Group commit: one sync for everything that waits at the moment when it begins."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from lading.together import Together


class GroupCommit:
    """Calls `sync` for many callers at once; at most one call of it is under way."""

    def __init__(self, sync: Callable[[], Awaitable[None]]) -> None:
        self._sync = sync
        self._together = Together(self._for_all)

    async def __call__(self) -> None:
        """Return when a sync is over that began after this call; raises what that one raises."""
        await self._together(None)

    async def _for_all(self, callers: list[None]) -> list[None]:
        await self._sync()
        return callers
