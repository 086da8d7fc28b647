"""What stands behind the server and the maintenance commands alike: the database and its parts.

It owns the putting together of the storage rooms from the settings. It refuses to know HTTP.
"""

from __future__ import annotations

import asyncio
import math
import os
import secrets
import socket
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import structlog

from lading.janitor.loop import JanitorLoop
from lading.janitor.sweep import Check, Report, Sweeper, always
from lading.janitor.verify import Auditor, recount
from lading.protocol.errors import LadingError, StorageFull
from lading.server.settings import Settings
from lading.storage.blobs.base import Blobs
from lading.storage.blobs.mongo import MongoBlobs
from lading.storage.clock import DatabaseClock
from lading.storage.collections.chunks import Chunks
from lading.storage.collections.grants import Grants
from lading.storage.collections.leases import Leases
from lading.storage.collections.manifests import Manifests
from lading.storage.collections.quotas import Quotas
from lading.storage.collections.tags import Tags
from lading.storage.database import Database, connect

log = structlog.get_logger()

RECOUNT_SECONDS = 3600.0
"""How often the accounts are recounted: only a crash at a bad moment leaves them off."""

LOOK_SECONDS = 1.0
"""How often the free space of the database's disk is looked at."""


@dataclass(frozen=True, slots=True)
class Store:
    """The collections, and those who work on them."""

    database: Database
    clock: Callable[[], float]
    manifests: Manifests
    chunks: Chunks
    blobs: Mapping[str, Blobs]
    quotas: Quotas
    leases: Leases
    grants: Grants
    tags: Tags
    sweeper: Sweeper
    free_space: FreeSpace

    def auditor(self) -> Auditor:
        """One audit of everything stored."""
        return Auditor(self.manifests, self.chunks, self.blobs, self.quotas, self.clock)

    async def reconcile(self, check: Check = always) -> list[str]:
        """Recount every account and set it right; gives what was found."""
        found = []
        for user_id in await self.quotas.users():
            await check()
            now = self.clock()
            drift = await recount(self.manifests, self.quotas, user_id, now=now, correct=True)
            if drift is not None:
                found.append(f"{drift.id}: {drift.detail}")
        return found


class FreeSpace:
    """Whether the database's disk has room: below the floor nothing new is taken.

    When a disk is full mongod aborts and does not start again until there is room, so the server
    stops before that. Source: page 5 of the design, "disk full".
    """

    def __init__(self, database: Database, floor: int) -> None:
        self._database = database
        self._floor = floor
        self._free: int | None = None

    async def look(self) -> None:
        """Ask how much room there is."""
        self._free = await self._database.free_space()

    async def watch(self) -> None:
        """Look again every second, for as long as the task lives."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except LadingError:
                continue  # a database that is down is told of by every other operation

    def check(self) -> None:
        """Raise StorageFull unless there was room at the last look."""
        if self._free is not None and self._free < self._floor:
            raise StorageFull(
                f"The disk of the database has {self._free} bytes left, the server keeps "
                f"{self._floor} free; try again when there is room.",
                free=self._free,
            )


def janitor(store: Store, interval: float) -> JanitorLoop:
    """The janitor of this process: it sweeps while no other process does, and recounts."""

    counted = -math.inf

    async def work(check: Check) -> Report:
        nonlocal counted
        report = await store.sweeper.sweep(check=check)
        if store.sweeper.settled() and store.clock() - counted >= RECOUNT_SECONDS:
            counted = store.clock()
            for drift in await store.reconcile(check):
                log.warning("quota-drift", account=drift)
        return report

    return JanitorLoop(
        store.leases,
        work,
        holder=f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}",
        interval=interval,
        clock=store.clock,
    )


async def open_store(
    settings: Settings, stack: AsyncExitStack, *, url: str | None = None, client: Any = None
) -> Store:
    """Connect, make what is missing, and put the parts together."""
    database = Database(client if client is not None else connect(url or ""))
    stack.push_async_callback(database.close)
    await database.prepare()
    clock = DatabaseClock(database, settings.upload_ttl)
    await clock.sync()
    room = FreeSpace(database, settings.free_space_floor)
    await room.look()
    chunks, manifests = Chunks(database), Manifests(database)
    mongo = MongoBlobs(chunks)
    blobs: dict[str, Blobs] = {mongo.name: mongo}
    quotas = Quotas(database, settings.default_quota)
    sweeper = Sweeper(
        manifests,
        blobs,
        quotas,
        clock=clock,
        tombstone_ttl=settings.tombstone_ttl,
        pace=settings.janitor_pace,
        settled=lambda: clock.settled,
    )
    return Store(
        database,
        clock,
        manifests,
        chunks,
        blobs,
        quotas,
        Leases(database),
        Grants(database),
        Tags(database),
        sweeper,
        room,
    )
