"""One janitor at work among many processes.

A lease says who sweeps, and for how long. A janitor that was paused past its lease does nothing
when it wakes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from lading.janitor.sweep import Lost, Report
from lading.protocol.errors import LadingError
from lading.storage.blobs.base import Check
from lading.storage.collections.leases import Lease, Leases

log = structlog.get_logger()

LEASE_SECONDS = 30.0
NAME = "janitor"

Sweep = Callable[[Check], Awaitable[Report]]


class JanitorLoop:
    """Sweeps every `interval` seconds while this process holds the lease."""

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
    ) -> None:
        self._leases = leases
        self._sweep = sweep
        self._holder = holder
        self._interval = interval
        self._seconds = lease_seconds
        self._clock = clock
        self._steady = steady
        self._lease: Lease | None = None
        self._until = 0.0

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
            if self._lease is not None:
                with suppress(LadingError):
                    await asyncio.shield(self._leases.release(self._lease))

    async def once(self) -> Report | None:
        """One sweep, if this process is the one to do it; None when another is."""
        if not await self._hold():
            return None
        try:
            report = await self._sweep(self.check)
        except Lost:
            log.warning("janitor-lost-lease", holder=self._holder)
            return None
        if any(report.as_dict().values()):
            log.info("janitor-swept", **report.as_dict())
        return report

    async def _hold(self) -> bool:
        if self._lease is not None and await self._renew():
            return True
        asked = self._steady()
        now = self._clock()
        self._lease = await self._leases.acquire(
            NAME, self._holder, now=now, until=now + self._seconds
        )
        self._until = asked + self._seconds
        return self._lease is not None

    async def _renew(self) -> bool:
        assert self._lease is not None
        asked = self._steady()
        if not await self._leases.renew(self._lease, until=self._clock() + self._seconds):
            self._lease = None
            return False
        self._until = asked + self._seconds
        return True

    async def check(self) -> None:
        """Raise Lost unless the lease is still held, renewing it in its second half."""
        if self._until - self._steady() > self._seconds / 2:
            return
        if self._lease is None or not await self._renew():
            raise Lost
