"""A server's parts without the server, by a clock that a test moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lading.imaging.made import Maker
from lading.janitor.verify import Finding, recount
from lading.protocol.errors import RequestTimeout
from lading.server.access.principal import Principal
from lading.server.assembly import assemble
from lading.server.limits import UploadLimits
from lading.server.net.byte_budget import ByteBudget
from lading.server.settings import Settings, load
from lading.storage.blobs.base import Blobs
from lading.storage.blobs.s3_client import AWS, S3Options
from lading.storage.database import Database
from lading.storage.free_space import FreeSpace
from lading.storage.homes import MONGO
from lading.storage.open import assemble_storage
from tests.support.clock import Clock
from tests.support.usual_home import usual_home

TTL = 86_400.0
TOMBSTONE_TTL = 3600.0
CELL = 1024

PLENTY = ByteBudget(2**30)
"""A budget that no body of a test uses up."""

ANN = Principal("ann")
BOB = Principal("bob")


def settings(**changes: Any) -> Settings:
    usual = {
        "chunk_size": CELL,
        "upload_ttl": TTL,
        "tombstone_ttl": TOMBSTONE_TTL,
        "janitor_pace": 0,
    }
    return load(data=Path("unused"), **(usual | changes))


_assembled: list[Parts] = []


async def close_homes() -> None:
    """Close what the parts that a test assembled hold open."""
    while _assembled:
        await _assembled.pop().storage.blobs.close()
    await asyncio.sleep(0)  # a transport is closed by the loop, in its next round


@dataclass
class Parts:
    """What one process has, put together as the server does it."""

    database: Database
    clock: Clock = field(default_factory=Clock)
    chosen: Settings = field(default_factory=settings)
    limits: UploadLimits = field(default_factory=UploadLimits)
    s3: S3Options = AWS
    maker: Maker | None = None

    def __post_init__(self) -> None:
        quota = self.chosen.default_quota
        free_space = FreeSpace(self.database)
        if self.chosen.blobs == MONGO:
            home = usual_home(self.database.manifests.database.name)
            self.chosen = self.chosen.model_copy(update={"blobs": home})
        self.storage = assemble_storage(
            self.database,
            self.clock,
            free_space,
            home=self.chosen.blobs,
            s3=self.s3,
            default_quota=quota,
        )
        _assembled.append(self)
        self.manifests = self.storage.manifests
        self.chunks = self.storage.chunks
        self.quotas = self.storage.quotas
        self.blobs: Mapping[str, Blobs] = self.storage.blobs
        assembly = assemble(self.storage, self.chosen, self.limits, self.maker)
        self.janitor = assembly.janitor
        self.sweeper = assembly.janitor.sweeper
        self.uploads = assembly.uploads
        self.appends = assembly.appends
        self.concatenation = assembly.concatenation
        self.library = assembly.library
        self.users = assembly.users

    async def audit(self) -> list[Finding]:
        """All that is wrong with what is stored."""
        return [finding async for finding in self.janitor.auditor().findings()]

    async def recount(self, user_id: str) -> Finding | None:
        """Recount an account and correct it; what was wrong with it."""
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


async def body(data: bytes, part: int = 100, *, breaks: bool = False) -> AsyncIterator[bytes]:
    """A body that comes in parts, and may break off at its end."""
    for start in range(0, len(data), part):
        yield data[start : start + part]
    if breaks:
        raise RequestTimeout("The connection ended before the body did.")
