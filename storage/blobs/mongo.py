"""Bytes in MongoDB: the piece's document carries them, so one insert stores and commits.

The limits are MongoDB's: a document holds at most 16 MiB. Sharding `chunks` on hashed `_id`
spreads one file's bytes over all shards, and every query here carries the key.
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext

from lading.protocol.manifest import Piece
from lading.storage.blobs.base import verify
from lading.storage.collections.chunks import Chunks

WRITES_AT_ONCE = 8
"""Large pieces that are being inserted at the same time. PyMongo makes a copy of each, and more at
once are no faster: they are for the same disk."""

LARGE = 256 * 1024
"""Smaller pieces do not wait: their copies are small, and a database may be far away."""


class MongoBlobs:
    """The driver that keeps bytes in the `chunks` collection itself."""

    name = "mongo"

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = chunks
        self._writing = asyncio.Semaphore(WRITES_AT_ONCE)

    async def write(self, upload_id: str, piece: Piece, data: bytes) -> bool:
        async with self._writing if piece.size >= LARGE else nullcontext():
            return await self._chunks.write(upload_id, piece, data)

    async def read(self, upload_id: str, slice_start: int) -> tuple[Piece, bytes] | None:
        found = await self._chunks.data(upload_id, slice_start)
        if found is not None:
            verify(upload_id, *found)
        return found

    async def delete(self, upload_id: str, most: int, before: int | None = None) -> int:
        return await self._chunks.delete(upload_id, most, before)

    async def remove(self, upload_id: str, slice_start: int) -> None:
        await self._chunks.remove(upload_id, slice_start)
