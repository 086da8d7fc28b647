"""A server's parts without the server: uploads and the janitor on one database, by a clock to turn.

It owns their putting together, as `server/store.py` and `server/app.py` do it. It refuses to know
what is asked of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lading.janitor.sweep import Sweeper
from lading.janitor.verify import Auditor, Finding, recount
from lading.server.access.principal import Principal
from lading.server.settings import Settings, load
from lading.server.uploads.files import Library
from lading.server.uploads.uploads import Uploads
from lading.storage.blobs.base import Blobs
from lading.storage.blobs.mongo import MongoBlobs
from lading.storage.collections.chunks import Chunks
from lading.storage.collections.grants import Grants
from lading.storage.collections.manifests import Manifests
from lading.storage.collections.quotas import Quotas
from lading.storage.collections.tags import Tags
from lading.storage.database import Database

NOW = 1_790_000_000.0
TTL = 86_400.0
TOMBSTONE_TTL = 3600.0
CELL = 1024

ANN = Principal("ann")
BOB = Principal("bob")


@dataclass
class Clock:
    """A clock that moves when it is told to."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now


def settings(**changes: Any) -> Settings:
    usual = {"chunk_size": CELL, "upload_ttl": TTL, "tombstone_ttl": TOMBSTONE_TTL}
    return load(data=Path("unused"), **(usual | changes))


@dataclass
class Parts:
    """What one process has."""

    database: Database
    clock: Clock = field(default_factory=Clock)
    chosen: Settings = field(default_factory=settings)

    def __post_init__(self) -> None:
        self.manifests = Manifests(self.database)
        self.chunks = Chunks(self.database)
        self.quotas = Quotas(self.database, self.chosen.default_quota)
        mongo = MongoBlobs(self.chunks)
        self.blobs: Mapping[str, Blobs] = {mongo.name: mongo}
        tags = Tags(self.database)
        self.sweeper = Sweeper(
            self.manifests,
            self.blobs,
            self.quotas,
            clock=self.clock,
            tombstone_ttl=self.chosen.tombstone_ttl,
        )
        self.uploads = Uploads(
            self.chosen,
            self.manifests,
            self.chunks,
            self.blobs,
            quotas=self.quotas,
            grants=Grants(self.database),
            tags=tags,
            sweeper=self.sweeper,
            clock=self.clock,
        )
        self.library = Library(self.uploads, self.manifests, tags, self.clock)

    async def audit(self) -> list[Finding]:
        """All that is wrong with what is stored."""
        auditor = Auditor(self.manifests, self.chunks, self.blobs, self.quotas, self.clock)
        return [finding async for finding in auditor.findings()]

    async def recount(self, user_id: str) -> Finding | None:
        """Recount an account and set it right; what was wrong with it."""
        now = self.clock()
        return await recount(self.manifests, self.quotas, user_id, now=now, correct=True)

    async def pieces(self, upload_id: str) -> int:
        """How many pieces are stored."""
        return len([piece async for piece in self.chunks.pieces(upload_id)])

    async def usage(self, user_id: str) -> tuple[int, int]:
        """Bytes used and reserved."""
        account = await self.quotas.account(user_id)
        assert account.reserved == sum(account.open.values())
        return account.used, account.reserved
