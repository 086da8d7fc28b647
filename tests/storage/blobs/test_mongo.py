"""The driver that keeps bytes in MongoDB, under the contract of all drivers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from bson import ObjectId

from lading.storage.blobs.mongo import LARGE, WRITES_AT_ONCE, MongoBlobs
from lading.storage.collections.chunks import Chunks, object_id
from lading.storage.collections.manifests import new_id
from lading.storage.database import Database
from tests.storage.blobs.contract import Contract, Rig, piece
from tests.support.database_faults import break_chunks
from tests.support.servers import until


class MongoRig:
    def __init__(self, database: Database) -> None:
        self._pieces = database.chunks
        self.commits = break_chunks(database)
        self.chunks = Chunks(database)
        self.blobs = MongoBlobs(self.chunks)

    async def damage(self, upload_id: str, slice_start: int) -> None:
        _, data = await self._stored(upload_id, slice_start)
        await self._put(upload_id, slice_start, bytes([data[0] ^ 1]) + data[1:])

    async def lose(self, upload_id: str, slice_start: int) -> None:
        _, data = await self._stored(upload_id, slice_start)
        await self._put(upload_id, slice_start, data[:-1])

    async def bytes_kept(self, upload_id: str) -> int:
        query = {"upload_id": ObjectId(upload_id)}
        return sum([len(document["data"]) async for document in self._pieces.find(query)])

    async def _stored(self, upload_id: str, slice_start: int) -> tuple[object, bytes]:
        found = await self.chunks.data(upload_id, slice_start)
        assert found is not None
        return found

    async def _put(self, upload_id: str, slice_start: int, data: bytes) -> None:
        key = {"_id": object_id(upload_id, slice_start)}
        await self._pieces.update_one(key, {"$set": {"data": data}})


@pytest.fixture
def rig(database: Database) -> Rig:
    return MongoRig(database)


class TestMongoBlobs(Contract):
    """All that the contract asks for."""


def test_the_driver_has_the_name_that_manifests_hold() -> None:
    assert MongoBlobs.name == "mongo"


class Slow:
    """Stands before a collection; inserts wait until they are let through."""

    def __init__(self, collection: Any) -> None:
        self._collection = collection
        self.begun = 0
        self.free = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._collection, name)

    async def insert_one(self, document: dict[str, Any]) -> Any:
        self.begun += 1
        await self.free.wait()
        return await self._collection.insert_one(document)


@pytest.mark.parametrize(("size", "at_once"), [(LARGE, WRITES_AT_ONCE), (LARGE - 1, 20)])
async def test_large_pieces_wait_for_each_other_and_small_ones_do_not(
    database: Database, size: int, at_once: int
) -> None:
    database.chunks = slow = Slow(database.chunks)
    blobs, data, ids = MongoBlobs(Chunks(database)), bytes(size), [new_id() for _ in range(20)]
    writes = asyncio.gather(*[blobs.write(each, piece(0, data), data) for each in ids])
    await until(lambda: slow.begun == at_once)
    await asyncio.sleep(0)
    assert slow.begun == at_once
    slow.free.set()
    assert await writes == [True] * 20
