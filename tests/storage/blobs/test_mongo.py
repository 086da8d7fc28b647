"""The driver that keeps bytes in MongoDB, under the contract of all drivers."""

from __future__ import annotations

import pytest
from bson import ObjectId

from lading.storage.blobs.base import Ingest, Traits
from lading.storage.blobs.mongo import MongoBlobs
from lading.storage.collections.chunks import Chunks, object_id
from lading.storage.collections.pictures import Pictures
from lading.storage.database import Database
from tests.storage.blobs.contract import Contract, Rig
from tests.support.blobs import WRAPPED, wrap
from tests.support.database_faults import break_chunks


class MongoRig:
    farthest = 2**53 - 1

    def __init__(self, database: Database, wrapped: str) -> None:
        self._pieces = database.chunks
        self.commits = break_chunks(database)
        self.chunks = Chunks(database)
        self.pictures = Pictures(database)
        self._shown = database.pictures
        self.blobs: Ingest = wrap(MongoBlobs(self.chunks, self.pictures), wrapped)

    async def damage(self, upload_id: str, slice_start: int) -> None:
        data = await self._stored(upload_id, slice_start)
        await self._put(upload_id, slice_start, bytes([data[0] ^ 1]) + data[1:])

    async def lose(self, upload_id: str, slice_start: int) -> None:
        data = await self._stored(upload_id, slice_start)
        await self._put(upload_id, slice_start, data[:-1])

    async def bytes_kept(self, upload_id: str) -> int:
        query = {"upload_id": ObjectId(upload_id)}
        return sum([len(document.get("data", b"")) async for document in self._pieces.find(query)])

    async def pictures_kept(self, upload_id: str) -> int:
        return int(await self._shown.count_documents({"upload_id": ObjectId(upload_id)}))

    async def _stored(self, upload_id: str, slice_start: int) -> bytes:
        found = await self._pieces.find_one({"_id": object_id(upload_id, slice_start)})
        assert found is not None
        return bytes(found["data"])

    async def _put(self, upload_id: str, slice_start: int, data: bytes) -> None:
        key = {"_id": object_id(upload_id, slice_start)}
        await self._pieces.update_one(key, {"$set": {"data": data}})


@pytest.fixture(params=WRAPPED)
def rig(database: Database, request: pytest.FixtureRequest) -> Rig:
    return MongoRig(database, request.param)


class TestMongoBlobs(Contract):
    """All that the contract asks for."""


def test_the_driver_has_the_name_that_manifests_hold_and_says_what_it_can_do() -> None:
    assert MongoBlobs.name == "mongo"
    assert MongoBlobs.traits == Traits(durable=True, ranges_while_uploading=True)
