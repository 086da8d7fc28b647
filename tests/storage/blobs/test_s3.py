"""The home in a bucket, under the contract of all homes and against a real SeaweedFS."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from lading.storage.blobs.base import Blobs
from lading.storage.blobs.s3 import S3Blobs
from lading.storage.blobs.s3_client import S3Error
from lading.storage.collections.chunks import Chunks
from lading.storage.database import Database
from tests.storage.blobs.contract import HomeContract, HomeRig
from tests.support.blobs import WRAPPED, wrap
from tests.support.seaweedfs import SeaweedFS


class S3Rig:
    def __init__(self, database: Database, seaweed: SeaweedFS, home: str, wrapped: str) -> None:
        self.chunks = Chunks(database)
        self.driver = S3Blobs(home, self.chunks, seaweed.options(), pauses=(0.0,))
        self.blobs: Blobs = wrap(self.driver, wrapped)

    async def damage(self, upload_id: str, slice_start: int) -> None:
        data = bytearray(await self._stored(upload_id))
        data[slice_start] ^= 1
        await self._put(upload_id, bytes(data))

    async def lose(self, upload_id: str, slice_start: int) -> None:
        piece = await self.chunks.at(upload_id, slice_start)
        assert piece is not None
        await self._put(upload_id, (await self._stored(upload_id))[: piece.end - 1])

    async def bytes_kept(self, upload_id: str) -> int:
        try:
            answer = await self.driver.client.call("head_object", Key=self.driver.key(upload_id))
        except S3Error as error:
            if error.absent:
                return 0
            raise
        size: int = answer["ContentLength"]
        return size

    async def _stored(self, upload_id: str) -> bytes:
        return await self.driver.client.read(self.driver.key(upload_id), 0, 2**40)

    async def _put(self, upload_id: str, data: bytes) -> None:
        await self.driver.client.call("put_object", Key=self.driver.key(upload_id), Body=data)


@pytest.fixture(params=WRAPPED)
async def rig(
    database: Database, seaweed: SeaweedFS, s3_home: str, request: pytest.FixtureRequest
) -> AsyncIterator[HomeRig]:
    rig = S3Rig(database, seaweed, s3_home, request.param)
    yield rig
    await rig.driver.close()


class TestS3Blobs(HomeContract):
    """All that the contract asks for."""
