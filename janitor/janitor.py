"""The janitor on one storage: its sweeper, its audit, its recounts, and the loop of a process."""

from __future__ import annotations

import math
from collections.abc import Callable

import structlog

from lading.janitor.compaction import Compactor
from lading.janitor.holding import holder_name
from lading.janitor.loop import JanitorLoop
from lading.janitor.lost_parts import LostParts
from lading.janitor.sweep import Report, Sweeper, always
from lading.janitor.verify import Auditor, recount
from lading.storage.blobs.base import Check
from lading.storage.open import Storage

log = structlog.get_logger()

RECOUNT_SECONDS = 3600.0
"""How often accounts are recounted, and lost parts looked for: only a crash at a bad moment leaves
one wrong, or parts."""


class Janitor:
    """Keeps a storage clean. `tombstone_ttl` and `pace` are in seconds, see `Sweeper`."""

    def __init__(self, storage: Storage, *, tombstone_ttl: float, pace: float = 0.0) -> None:
        self._storage = storage
        self.sweeper = Sweeper(
            storage.manifests,
            storage.blobs,
            storage.quotas,
            storage.grants,
            clock=storage.clock,
            tombstone_ttl=tombstone_ttl,
            pace=pace,
            settled=lambda: storage.clock.settled,
        )

    def auditor(self) -> Auditor:
        """One audit of everything stored."""
        storage = self._storage
        return Auditor(
            storage.manifests, storage.chunks, storage.blobs, storage.quotas, storage.clock
        )

    async def reconcile(self, check: Check = always) -> list[str]:
        """Recount every account and correct it; returns what was found."""
        found, storage = [], self._storage
        for user_id in await storage.quotas.users():
            await check()
            now = storage.clock()
            drift = await recount(storage.manifests, storage.quotas, user_id, now=now, correct=True)
            if drift is not None:
                found.append(f"{drift.id}: {drift.detail}")
        return found

    def loop(
        self,
        interval: float,
        *,
        compact: bool = False,
        observe: Callable[[dict[str, int]], None] | None = None,
    ) -> JanitorLoop:
        """The loop of this process: it sweeps while no other process does, and recounts.

        With `compact` it also gives space of the database back to the disk.
        """
        storage = self._storage
        compactor = Compactor(
            storage.database.space,
            storage.database.compact,
            storage.manifests.arrived_since,
            clock=storage.clock,
        )
        lost_parts = LostParts(storage.manifests, storage.blobs, storage.clock)
        counted, clock = -math.inf, self._storage.clock

        async def work(check: Check) -> Report:
            nonlocal counted
            report = await self.sweeper.sweep(check=check)
            if clock.settled and clock() - counted >= RECOUNT_SECONDS:
                counted = clock()
                for drift in await self.reconcile(check):
                    log.warning("quota-drift", account=drift)
                if aborted := await lost_parts.abort(check):
                    log.info("s3-parts-aborted", objects=aborted)
            if compact and clock.settled:
                await compactor.run_if_due(check)
            return report

        return JanitorLoop(
            self._storage.leases,
            work,
            holder=holder_name(),
            interval=interval,
            clock=clock,
            observe=observe,
        )
