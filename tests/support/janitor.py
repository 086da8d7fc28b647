"""A database with uploads in every state, made by storage's own means, and a clock to move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lading.janitor.sweep import Sweeper
from lading.janitor.verify import Auditor, Finding
from lading.protocol.digests import crc32c
from lading.protocol.manifest import Manifest, Piece, State, prove
from lading.storage.blobs.base import Blobs
from lading.storage.collections.manifests import new_id
from lading.storage.database import Database
from lading.storage.free_space import FreeSpace
from lading.storage.open import assemble_storage
from tests.support.clock import Clock

HOUR = 3600.0
TTL = 24 * HOUR
TOMBSTONE_TTL = 2 * HOUR
CELL = 4096


class Scene:
    """The parts that work on one database."""

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self.database = database
        self.clock = clock or Clock()
        storage = assemble_storage(database, self.clock, FreeSpace(database))
        self.manifests = storage.manifests
        self.chunks = storage.chunks
        self.quotas = storage.quotas
        self.storage = storage
        self.blobs: Mapping[str, Blobs] = storage.blobs

    def sweeper(self, **options: Any) -> Sweeper:
        usual: dict[str, Any] = {"clock": self.clock, "tombstone_ttl": TOMBSTONE_TTL}
        return Sweeper(
            self.manifests, self.blobs, self.quotas, self.storage.grants, **(usual | options)
        )

    def auditor(self) -> Auditor:
        return Auditor(self.manifests, self.chunks, self.blobs, self.quotas, self.clock)

    async def audit(self, *, read: bool = True) -> list[Finding]:
        return [finding async for finding in self.auditor().findings(read=read)]

    # -- the life of an upload

    async def begin(self, cells: int = 2, *, stored: int | None = None, **changes: Any) -> Manifest:
        """An upload of so many cells, all of them stored unless `stored` says how many."""
        now = self.clock()
        plain = Manifest(
            id=new_id(now),
            user_id="ann",
            name="film.mp4",
            size=cells * CELL,
            chunk_size=CELL,
            created_at=now,
            updated_at=now,
            expires_at=now + TTL,
        )
        manifest = replace(plain, **changes)
        await self.quotas.reserve(manifest.user_id, manifest.id, manifest.size or 0)
        await self.manifests.create(manifest)
        for cell in range(cells if stored is None else stored):
            await self.store(manifest, cell)
        return manifest

    async def store(self, manifest: Manifest, cell: int) -> None:
        """Write a piece, whatever the upload's state: as one does that comes late."""
        data = bytes([cell % 256]) * CELL
        piece = Piece(cell * CELL, CELL, crc32c(data))
        await self.storage.contents.write(manifest, piece, data)

    async def publish(self, manifest: Manifest) -> Manifest:
        assert manifest.size is not None
        pieces = [piece async for piece in self.chunks.pieces(manifest.id)]
        published = await self.manifests.finish(
            manifest.id,
            now=self.clock(),
            size=manifest.size,
            crc32c=prove(pieces, manifest.size),
            sha256=None,
            mime="video/mp4",
        )
        assert published is not None
        return published

    async def finished(self, cells: int = 2, **changes: Any) -> Manifest:
        """A file."""
        manifest = await self.publish(await self.begin(cells, **changes))
        assert manifest.size is not None
        await self.quotas.keep(manifest.user_id, manifest.id, manifest.size)
        return manifest

    async def mark_deleted(self, manifest: Manifest) -> Manifest:
        """Delete an upload or file as its owner does; its bytes and its quota are still there."""
        marked = await self.manifests.mark_deleted(
            manifest.id,
            now=self.clock(),
            becomes=State.DELETED,
            until=self.clock() + TOMBSTONE_TTL,
            only=(State.UPLOADING, State.READY),
        )
        assert marked is not None
        return marked

    async def touch(self, manifest: Manifest) -> Manifest | None:
        now = self.clock()
        return await self.manifests.touch(
            manifest.id, now=now, expires_at=now + TTL, upload_size=CELL
        )

    # -- what is there

    async def states(self) -> dict[str, str]:
        """The state of every manifest, with a mark on tombstones that are emptied."""
        found = {each.id: each async for each in self.manifests.every()}
        return {
            key: f"{each.state}{' and emptied' if each.emptied else ''}"
            for key, each in found.items()
        }

    async def pieces(self, manifest: Manifest) -> int:
        return len([piece async for piece in self.chunks.pieces(manifest.id)])

    async def usage(self, user_id: str = "ann") -> tuple[int, int]:
        """Bytes used and reserved."""
        account = await self.quotas.account(user_id)
        assert account.reserved == sum(account.open.values())
        return account.used, account.reserved

    async def everything(self) -> dict[str, Any]:
        """All documents of all collections, bytes left out."""
        found: dict[str, Any] = {}
        for name in ("manifests", "chunks", "quotas", "leases"):
            collection = getattr(self.database, name)
            documents = await collection.find({}, {"data": 0}).sort("_id", 1).to_list(None)
            found[name] = documents
        return found
