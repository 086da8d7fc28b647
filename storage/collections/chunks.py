"""The `chunks` collection: one document for each stored piece, which is the commit of the piece.

The identity of a piece is its upload's id and its place, 20 bytes. The index alone answers what is
stored. A driver that keeps bytes here hands them in as `data`, others leave them out.

The collection is sharded on hashed `upload_id` (`docs/decisions/0031`), so every filter names it,
also where `_id` alone would do. Source: page 2 of the design, "The data".
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from lading.protocol.digests import crc32c
from lading.protocol.errors import ChunkConflict, Unavailable
from lading.protocol.manifest import Piece, Range, joined
from lading.storage.collections.inserts import Inserts
from lading.storage.database import Database, persist

_INDEXED = {"_id": 0, "slice_start": 1, "size": 1, "crc32c": 1}
"""With `_id` left out the answer comes from the index `pieces` and no document is read."""

_PLACED = {"_id": 0, "slice_start": 1, "size": 1}

LISTED_AT_ONCE = 5_000
"""Pieces that are read from the index in one go: as documents of the driver they take 2 MB."""

PATIENCE, PAUSE = 250, 0.02
"""A place that is taken but not yet readable is tried so often, with so many seconds between."""


def object_id(upload_id: str, slice_start: int) -> bytes:
    """The identity of a piece: the upload's 12 bytes, then its place as 8 bytes big-endian."""
    return ObjectId(upload_id).binary + slice_start.to_bytes(8, "big")


def conflict(stored: Piece) -> ChunkConflict:
    """The refusal of a piece because another one is stored at its place."""
    return ChunkConflict(
        f"A piece of {stored.size} bytes with CRC-32C {stored.crc32c} is stored at "
        f"{stored.slice_start}; ask what is missing and continue from there."
    )


class Chunks:
    """The pieces of all uploads. `slice_start` is a place here, see `contents.py`."""

    def __init__(
        self, database: Database, *, page_size: int = LISTED_AT_ONCE, patience: int = PATIENCE
    ) -> None:
        """`page_size` is in pieces; `patience` is how often a taken place is tried again."""
        self._page_size = page_size
        self._patience = patience
        self._read = database.read
        self._collection = database.chunks
        self._inserts = Inserts(database.chunks)

    async def write(self, upload_id: str, piece: Piece, data: bytes | None = None) -> bool:
        """Commit a piece; durable on return. False when the very same piece was there before.

        Raises ChunkConflict when another piece begins at this place.
        """
        document: dict[str, Any] = {
            "_id": object_id(upload_id, piece.slice_start),
            "upload_id": ObjectId(upload_id),
            "slice_start": piece.slice_start,
            "size": piece.size,
            "crc32c": piece.crc32c,
        }
        if data is not None:
            document["data"] = data
        size = 0 if data is None else len(data)
        for _ in range(self._patience):
            try:
                await persist(lambda: self._inserts.insert(document, size))
            except DuplicateKeyError:
                stored = await self.at(upload_id, piece.slice_start)
            else:
                return True
            if stored == piece:
                return False
            if stored is not None:
                raise conflict(stored)
            # Either most nodes do not have the other writer's piece yet, or it is being deleted.
            await asyncio.sleep(PAUSE)
        raise Unavailable("Another writer's piece at this place did not settle; try again.")

    async def at(self, upload_id: str, slice_start: int) -> Piece | None:
        """The piece that begins at `slice_start`."""
        query = {"upload_id": ObjectId(upload_id), "slice_start": slice_start}
        return _piece(await self._read(lambda: self._collection.find_one(query, _INDEXED)))

    async def before(self, upload_id: str, offset: int) -> Piece | None:
        """The last piece that begins before `offset`."""
        query = {"upload_id": ObjectId(upload_id), "slice_start": {"$lt": offset}}
        sort = [("slice_start", -1)]
        return _piece(
            await self._read(lambda: self._collection.find_one(query, _INDEXED, sort=sort))
        )

    async def data(self, upload_id: str, pieces: Sequence[Piece]) -> list[bytes | None]:
        """The bytes of pieces; None for one that has none here, or is not listed like this."""
        keys = [object_id(upload_id, piece.slice_start) for piece in pieces]
        these = {"upload_id": ObjectId(upload_id), "_id": {"$in": keys}}
        found = await self._read(lambda: self._collection.find(these).to_list(len(keys)))
        kept = {_piece(each): bytes(each["data"]) for each in found if "data" in each}
        return [kept.get(piece) for piece in pieces]

    async def put_data(self, upload_id: str, piece: Piece, data: bytes) -> bool:
        """Keep the bytes of a piece that is listed already; False when it is not."""
        listed, change = _listed(upload_id, piece), {"$set": {"data": data}}
        result = await persist(lambda: self._collection.update_one(listed, change))
        return bool(result.matched_count)

    async def strip(self, upload_id: str, most: int) -> int:
        """Delete the bytes of up to `most` pieces and leave them listed; returns how many."""
        query = {"upload_id": ObjectId(upload_id), "data": {"$exists": True}}
        found = await self._read(
            lambda: self._collection.find(query, {"_id": 1}).limit(most).to_list(most)
        )
        if found:
            keys = [document["_id"] for document in found]
            these = {"upload_id": ObjectId(upload_id), "_id": {"$in": keys}}
            change = {"$unset": {"data": ""}}
            await persist(lambda: self._collection.update_many(these, change))
        return len(found)

    async def has_data(self, upload_id: str) -> bool:
        """Whether the bytes of any piece of an upload are kept here."""
        query = {"upload_id": ObjectId(upload_id), "data": {"$exists": True}}
        return await self._read(lambda: self._collection.find_one(query, {"_id": 1})) is not None

    async def pieces(
        self, upload_id: str, start: int = 0, end: int | None = None, at_once: int | None = None
    ) -> AsyncGenerator[Piece, None]:
        """The pieces that begin in `[start, end)`, by place, from the index alone.

        `at_once` are read from the index in one go, for callers that go slowly through them.
        """
        position, most = start, at_once or self._page_size
        while True:
            page = await self._page(upload_id, position, end, _INDEXED, most)
            for found in page:
                yield Piece(found["slice_start"], found["size"], found["crc32c"])
            if len(page) < most:
                return
            position = page[-1]["slice_start"] + 1

    async def runs(self, upload_id: str, start: int = 0, end: int | None = None) -> list[Range]:
        """The bytes that the pieces in `[start, end)` cover, joined where one follows another.

        The same as from `pieces`, in a fraction of the time: there may be hundreds of thousands.
        """
        found: list[Range] = []
        position, first, last = start, start, start
        while True:
            page = await self._page(upload_id, position, end, _PLACED, self._page_size)
            for document in page:
                place = document["slice_start"]
                if place < last:
                    continue  # joined into an earlier one
                if place != last:
                    if last > first:
                        found.append((first, last))
                    first = place
                last = place + document["size"]
            if len(page) < self._page_size:
                return [*found, (first, last)] if last > first else found
            position = page[-1]["slice_start"] + 1

    async def _page(
        self, upload_id: str, start: int, end: int | None, fields: dict[str, int], most: int
    ) -> list[dict[str, int]]:
        place = {"$gte": start} if end is None else {"$gte": start, "$lt": end}
        query = {"upload_id": ObjectId(upload_id), "slice_start": place}
        found: list[dict[str, int]] = await self._read(
            lambda: (
                self._collection.find(query, fields)
                .sort("slice_start", 1)
                .limit(most)
                .to_list(most)
            )
        )
        return found

    async def uploads(self) -> AsyncIterator[str]:
        """The ids of all uploads that have pieces, one jump in the index for each."""
        last: ObjectId | None = None
        while True:
            query = {} if last is None else {"upload_id": {"$gt": last}}
            document = await self._first(query)
            if document is None:
                return
            last = document["upload_id"]
            yield str(last)

    async def _first(self, query: dict[str, Any]) -> dict[str, Any] | None:
        found: dict[str, Any] | None = await self._read(
            lambda: self._collection.find_one(
                query, {"_id": 0, "upload_id": 1}, sort=[("upload_id", 1)]
            )
        )
        return found

    async def delete(self, upload_id: str, most: int, before: int | None = None) -> int:
        """Delete up to `most` pieces of an upload; returns how many there were.

        With `before` only those that begin before that place.
        """
        query: dict[str, Any] = {"upload_id": ObjectId(upload_id)}
        if before is not None:
            query["slice_start"] = {"$lt": before}
        found = await self._read(
            lambda: self._collection.find(query, _INDEXED).limit(most).to_list(most)
        )
        if found:
            keys = [object_id(upload_id, document["slice_start"]) for document in found]
            these = {"upload_id": ObjectId(upload_id), "_id": {"$in": keys}}
            await persist(lambda: self._collection.delete_many(these))
        return len(found)

    async def join(self, upload_id: str, chain: list[Piece], *, keeps_data: bool) -> bool:
        """Let the first of a chain's pieces hold all of it, then delete the others.

        From the first write on the others are void: they begin inside an earlier piece. So a crash
        in between loses nothing, and whoever lists pieces passes over void ones. With `keeps_data`
        the documents hold the bytes. False, and nothing is changed, when the first piece is not
        what `chain` says any more, its bytes are damaged, or they moved meanwhile.
        """
        whole = joined(chain)
        change: dict[str, Any] = {"size": whole.size, "crc32c": whole.crc32c}
        if keeps_data:
            data = b"".join([each or b"" for each in await self.data(upload_id, chain)])
            if len(data) != whole.size or crc32c(data) != whole.crc32c:
                return False
            change["data"] = data
        first = {**_listed(upload_id, chain[0]), "data": {"$exists": keeps_data}}
        result = await persist(lambda: self._collection.update_one(first, {"$set": change}))
        if not result.matched_count:
            return False
        place = {"$gt": whole.slice_start, "$lt": whole.end}
        void = {"upload_id": ObjectId(upload_id), "slice_start": place}
        await persist(lambda: self._collection.delete_many(void))
        return True

    async def remove(self, upload_id: str, slice_start: int) -> None:
        """Delete the piece that begins at `slice_start`, if there is one."""
        key = _key(upload_id, slice_start)
        await persist(lambda: self._collection.delete_one(key))


def _key(upload_id: str, slice_start: int) -> dict[str, Any]:
    return {"upload_id": ObjectId(upload_id), "_id": object_id(upload_id, slice_start)}


def _listed(upload_id: str, piece: Piece) -> dict[str, Any]:
    """The condition that a piece is listed as it is given."""
    return {**_key(upload_id, piece.slice_start), "size": piece.size, "crc32c": piece.crc32c}


def _piece(document: dict[str, Any] | None) -> Piece | None:
    if document is None:
        return None
    return Piece(document["slice_start"], document["size"], document["crc32c"])
