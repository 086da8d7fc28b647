"""One janitor at work among many processes.

A lease says who sweeps, and for how long. A janitor that was paused past its lease does nothing
when it wakes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from lading.janitor.holding import Holding
from lading.janitor.sweep import Lost, Report
from lading.protocol.errors import LadingError
from lading.storage.blobs.base import Check
from lading.storage.collections.leases import Leases

log = structlog.get_logger()

LEASE_SECONDS = 30.0
NAME = "janitor"

Sweep = Callable[[Check], Awaitable[Report]]


class JanitorLoop:
    """Sweeps every `interval` seconds while this process holds the lease.

    `observe` hears of each sweep.
    """

    def __init__(
        self,
        leases: Leases,
        sweep: Sweep,
        *,
        holder: str,
        interval: float,
        lease_seconds: float = LEASE_SECONDS,
        clock: Callable[[], float],
        steady: Callable[[], float] = time.monotonic,
        observe: Callable[[dict[str, int]], None] | None = None,
    ) -> None:
        self._holding = Holding(
            leases, NAME, holder=holder, seconds=lease_seconds, clock=clock, steady=steady
        )
        self._sweep = sweep
        self._holder = holder
        self._interval = interval
        self._observe = observe

    async def run(self) -> None:
        """Work until cancelled, then let another janitor begin at once."""
        try:
            while True:
                try:
                    await self.once()
                except LadingError as error:
                    log.warning("janitor-failed", error=str(error))
                except Exception:
                    log.exception("janitor-failed")
                await asyncio.sleep(self._interval)
        finally:
            await self._holding.release()

    async def once(self) -> Report | None:
        """One sweep, if this process is the one to do it; None when another is."""
        if not await self._holding.take():
            return None
        try:
            report = await self._sweep(self.check)
        except Lost:
            log.warning("janitor-lost-lease", holder=self._holder)
            return None
        if self._observe is not None:
            self._observe(report.as_dict())
        if any(report.as_dict().values()):
            log.info("janitor-swept", **report.as_dict())
        return report

    async def check(self) -> None:
        """Raise Lost unless the lease is still held, renewing it in its second half."""
        await self._holding.check()
