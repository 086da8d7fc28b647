"""Bytes in MongoDB: the piece's document carries them, so one insert stores and commits.

The limits are MongoDB's: a document holds at most 16 MiB. With `chunks` sharded on hashed
`upload_id`, the pieces of one file are on one shard, and every operation here names the upload.
"""

from __future__ import annotations

from lading.protocol.manifest import Piece
from lading.storage.blobs.base import Traits, verify
from lading.storage.collections.chunks import Chunks


class MongoBlobs:
    """The driver that keeps bytes in the `chunks` collection itself."""

    name = "mongo"
    traits = Traits(durable=True, ranges_while_uploading=True)

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = chunks

    async def write(self, upload_id: str, piece: Piece, data: bytes) -> bool:
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
