"""What is looked up when somebody asks for the metrics: the database, the disks, the backlog.

It is the same whichever process answers. What cannot be found out is left out, and never guessed:
a user of a foreign MongoDB may not be allowed to ask for its memory. Beside it stands what each
process has open, which every process writes down once a second.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from lading.protocol.errors import LadingError
from lading.server.metrics.meters import Meters
from lading.server.net.byte_budget import ByteBudget
from lading.storage.collections.outbox import MOST_COUNTED, Backlog
from lading.storage.database import Health
from lading.storage.open import Storage
from lading.version import VERSION

NOTE_SECONDS = 1.0
"""How often a process writes down what it has open."""

LOOK_SECONDS = 5.0
"""What was looked up is good for so long, however many ask."""


@dataclass(frozen=True, slots=True)
class Open:
    """What one process has open: HTTP connections and channels, and children for images.

    `imaging_peak` is the most bytes that one of these children has had so far.
    """

    http: int
    channels: int
    imaging_peak: int = 0
    streams: int = 0
    """Streams of events; they are among the connections."""


@dataclass(slots=True)
class Looked:
    """What was found in the database, None where nothing was."""

    backlog: Backlog | None = None
    deliveries: Backlog | None = None
    disabled: int | None = None
    """Webhooks that get nothing until somebody enables them."""
    trashed: int | None = None
    """Files in the trash."""
    health: Health | None = None
    at: float = field(default=-LOOK_SECONDS)


class State(Collector):
    """Looks, and yields what it found. `opened` returns what this process has open."""

    def __init__(
        self,
        meters: Meters,
        storage: Storage,
        budget: ByteBudget,
        opened: Callable[[], Open],
        *,
        max_connections: int,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._meters = meters
        self._storage = storage
        self._budget = budget
        self._opened = opened
        self._max_connections = max_connections
        self._steady = steady
        self._looked = Looked()
        self._turn = asyncio.Lock()

    async def keep(self) -> None:
        """Write down what this process has open, again and again, for as long as the task lives."""
        while True:
            self.note()
            await asyncio.sleep(NOTE_SECONDS)

    def note(self) -> None:
        """Write down what this process has open."""
        meters, budget, opened = self._meters, self._budget, self._opened()
        meters.connections.labels("http").set(opened.http)
        meters.connections.labels("websocket").set(opened.channels)
        meters.budget.set(budget.total)
        meters.budget_used.set(budget.total - budget.free)
        meters.budget_waiting.set(budget.waiting)
        meters.pressed.set(budget.pressed())
        meters.memory.set(_resident())
        meters.imaging_peak.set(opened.imaging_peak)
        meters.streams.set(opened.streams)

    async def look(self) -> None:
        """Look again where the last look is old. Never fails."""
        self.note()
        async with self._turn:
            if self._steady() - self._looked.at < LOOK_SECONDS:
                return
            found = Looked(at=self._steady())
            try:
                found.health = await self._storage.database.health()
                now = self._storage.clock()
                found.backlog = await self._storage.outbox.backlog(now)
                found.deliveries = await self._storage.deliveries.backlog(now)
                webhooks = await self._storage.webhooks.all()
                found.disabled = sum(not each.enabled for each in webhooks)
                found.trashed = await self._storage.manifests.count_trashed(MOST_COUNTED)
            except LadingError:
                pass  # `lading_database_up` says it
            self._looked = found

    def collect(self) -> Iterator[Metric]:
        """Everything that was found, for the library."""
        yield _gauge("info", "The version of this server.", 1, version=VERSION)
        yield _gauge("connections_limit", "LADING_MAX_CONNECTIONS.", self._max_connections)
        yield from self._database()
        yield from self._backlog()
        yield from self._webhooks()
        yield from self._trash()
        yield from self._disks()

    def _database(self) -> Iterator[Metric]:
        health = self._looked.health
        yield _gauge("database_up", "Whether the database answers.", health is not None)
        if health is None:
            return
        if health.memory is not None:
            text = "Resident memory of the database."
            yield _gauge("database_resident_memory_bytes", text, health.memory)
        if health.majority_lag is not None:
            text = "Seconds by which most nodes of the replica set are behind the primary."
            yield _gauge("database_majority_lag_seconds", text, health.majority_lag)

    def _backlog(self) -> Iterator[Metric]:
        backlog = self._looked.backlog
        if backlog is not None:
            text = "Files and tombstones with steps left, at most 10000."
            yield _gauge("outbox_backlog", text, backlog.left)
            text = "Seconds since the last change of the oldest of them."
            yield _gauge("outbox_oldest_age_seconds", text, backlog.age)

    def _webhooks(self) -> Iterator[Metric]:
        pending, disabled = self._looked.deliveries, self._looked.disabled
        if pending is not None and disabled is not None:
            text = "Deliveries to webhooks that are pending, at most 10000."
            yield _gauge("webhook_backlog", text, pending.left)
            text = "Seconds since the event of the oldest of them."
            yield _gauge("webhook_oldest_age_seconds", text, pending.age)
            yield _gauge("webhooks_disabled", "Webhooks that are disabled.", disabled)

    def _trash(self) -> Iterator[Metric]:
        if self._looked.trashed is not None:
            yield _gauge("trash_files", "Files in the trash, at most 10000.", self._looked.trashed)

    def _disks(self) -> Iterator[Metric]:
        space = self._storage.free_space
        text = "Bytes left on the disks."
        free = GaugeMetricFamily("lading_free_space_bytes", text, labels=["disk"])
        if space.database is not None:
            free.add_metric(["database"], space.database.free)
        if space.directory_free is not None:
            free.add_metric(["directory"], space.directory_free)
        yield free
        text = "Below this much nothing new is taken."
        yield _gauge("free_space_floor_bytes", text, space.floor)
        if space.database is not None:
            text = "Bytes inside the files of the database that it can use again."
            yield _gauge("reusable_space_bytes", text, space.database.reusable)


def _gauge(name: str, text: str, value: float, **labels: str) -> Metric:
    family = GaugeMetricFamily(f"lading_{name}", text, labels=list(labels))
    family.add_metric(list(labels.values()), value)
    return family


def _resident() -> int:
    """The resident memory of this process in bytes; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
