"""Bytes in MongoDB: the piece's document carries them, so one insert stores and commits.

The limits are MongoDB's: a document holds at most 16 MiB. With `chunks` sharded on hashed
`upload_id`, the pieces of one file are on one shard, and every operation here names the upload.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from lading.protocol.errors import Internal
from lading.protocol.manifest import MAX_INTEGER, Manifest, Piece
from lading.storage.blobs.base import Check, Pieces, Traits, moved, verify
from lading.storage.collections.chunks import Chunks
from lading.storage.collections.pictures import Pictures

STRIPPED_AT_ONCE = 64
"""Pieces whose bytes are deleted in one batch, so that uploads beside it are not held up."""


class MongoBlobs:
    """The driver that keeps bytes in the `chunks` collection itself."""

    name = "mongo"
    traits = Traits(durable=True, ranges_while_uploading=True)

    def __init__(self, chunks: Chunks, pictures: Pictures) -> None:
        self._chunks = chunks
        self._pictures = pictures

    async def write(self, upload_id: str, piece: Piece, data: bytes) -> bool:
        return await self._chunks.write(upload_id, piece, data)

    async def read(self, upload_id: str, pieces: Sequence[Piece]) -> bytes:
        found = []
        for piece, each in zip(pieces, await self._chunks.data(upload_id, pieces), strict=True):
            if each is None:
                raise moved(upload_id, piece.slice_start)
            found.append(each)
        data = found[0] if len(found) == 1 else b"".join(found)
        verify(upload_id, pieces, data)
        return data

    async def delete(self, manifest: Manifest, most: int, before: int | None = None) -> int:
        deleted = await self._chunks.delete(manifest.id, most, before)
        if before is None and deleted < most:
            await self._pictures.delete(manifest.id)
        return deleted

    async def remove(self, upload_id: str, place: int) -> None:
        await self._chunks.remove(upload_id, place)

    async def join(self, upload_id: str, chain: list[Piece]) -> bool:
        return await self._chunks.join(upload_id, chain, keeps_data=True)

    async def place(self, manifest: Manifest) -> None:
        """Nothing to do: the documents are in their place."""

    async def take(self, manifest: Manifest, pieces: Pieces) -> None:
        zero = manifest.attempt * (MAX_INTEGER + 1)
        async for piece, data in pieces:
            placed = piece._replace(slice_start=zero + piece.slice_start)
            if not await self._chunks.put_data(manifest.id, placed, data):
                raise Internal(f"The piece of {manifest.id} at {piece.slice_start} is not listed.")

    async def put_picture(self, upload_id: str, name: str, data: bytes) -> None:
        await self._pictures.put(upload_id, name, data)

    async def picture(self, upload_id: str, name: str) -> bytes | None:
        return await self._pictures.get(upload_id, name)

    async def drop(self, manifest: Manifest, check: Check) -> None:
        await self._pictures.delete(manifest.id)
        while await self._chunks.strip(manifest.id, STRIPPED_AT_ONCE) == STRIPPED_AT_ONCE:
            await check()

    async def uploads(self) -> AsyncIterator[str]:
        async for upload_id in self._chunks.uploads():
            if await self._chunks.has_data(upload_id):
                yield upload_id

    def pictured(self) -> AsyncIterator[str]:
        return self._pictures.uploads()
