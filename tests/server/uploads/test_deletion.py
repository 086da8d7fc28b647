"""Deleting what has many pieces: it is gone and its quota is free when that is answered, and nobody
waits for the bytes, not even a server that ends.
"""

from __future__ import annotations

import asyncio
import time

import pytest

from lading.janitor.sweep import DELETED_AT_ONCE
from lading.protocol.digests import crc32c
from lading.protocol.errors import NotFound, Unavailable
from lading.protocol.manifest import Manifest
from lading.protocol.spec import UploadSpec
from lading.server.limits import UploadLimits
from lading.storage.blobs.mongo import MongoBlobs
from lading.storage.database import Database
from tests.support.parts import ANN, CELL, TOMBSTONE_TTL, Parts
from tests.support.servers import until

CELLS = 2 * DELETED_AT_ONCE + 1
PIECE = b"x" * CELL


@pytest.fixture
def parts(database: Database) -> Parts:
    """One process, whose delete calls do not wait long for the bytes."""
    return Parts(database, limits=UploadLimits(deletion_seconds=0.01))


@pytest.fixture(params=[False, True], ids=["upload", "file"])
async def large(request: pytest.FixtureRequest, parts: Parts) -> str:
    """An upload or a file of many pieces; its id."""
    upload = await parts.uploads.create(ANN, UploadSpec(name="a.bin", size=CELLS * CELL))
    checksum = crc32c(PIECE)
    writing = (parts.uploads.write(upload, n * CELL, PIECE, checksum) for n in range(CELLS))
    await asyncio.gather(*writing)
    if request.param:
        await parts.uploads.finish(ANN, upload.manifest.id)
    return upload.manifest.id


class Deleting:
    """Lets one batch be deleted, then holds them back until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened = asyncio.Event()
        self.asked = 0
        delete = MongoBlobs.delete

        async def held(
            blobs: MongoBlobs, manifest: Manifest, most: int, before: int | None = None
        ) -> int:
            self.asked += 1
            if self.asked > 1:
                await self.opened.wait()
            return await delete(blobs, manifest, most, before)

        monkeypatch.setattr(MongoBlobs, "delete", held)


async def test_it_is_answered_before_the_bytes_are_gone(
    parts: Parts, large: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleting = Deleting(monkeypatch)
    await parts.uploads.delete(ANN, large)
    with pytest.raises(NotFound):
        await parts.uploads.get(ANN, large)
    assert await parts.usage("ann") == (0, 0)
    assert await parts.recount("ann") is None, "that is no drift"
    assert await parts.pieces(large) == CELLS - DELETED_AT_ONCE
    await until(lambda: deleting.asked == 2)
    deleting.opened.set()
    deadline = time.monotonic() + 10
    while await parts.pieces(large):
        assert time.monotonic() < deadline, "the bytes do not go"
        await asyncio.sleep(0.01)
    await parts.uploads.settle()
    await parts.sweeper.sweep()
    assert await parts.usage("ann") == (0, 0)
    assert await parts.audit() == []


async def test_a_server_that_ends_leaves_the_rest_to_the_janitor(
    parts: Parts, large: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        deleting = Deleting(patch)
        await parts.uploads.delete(ANN, large)
        await until(lambda: deleting.asked == 2)
        async with asyncio.timeout(5):
            await parts.uploads.settle()
    assert await parts.pieces(large) == CELLS - DELETED_AT_ONCE
    await parts.sweeper.sweep()
    assert await parts.pieces(large) == 0
    assert await parts.usage("ann") == (0, 0)
    parts.clock.now += TOMBSTONE_TTL
    await parts.sweeper.sweep()
    assert await parts.manifests.get(large) is None
    assert (await parts.quotas.account("ann")).leaving == frozenset()


async def test_what_fails_after_it_is_dead_is_no_error(
    parts: Parts, large: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def down(*_: object) -> int:
        raise Unavailable

    with monkeypatch.context() as patch:
        patch.setattr(MongoBlobs, "delete", down)
        await parts.uploads.delete(ANN, large)
        await parts.uploads.settle()
    await parts.sweeper.sweep()
    assert await parts.pieces(large) == 0
    assert await parts.usage("ann") == (0, 0)


async def test_most_bytes_are_gone_when_it_is_answered(
    database: Database, parts: Parts, large: str
) -> None:
    await Parts(database, parts.clock).uploads.delete(ANN, large)
    assert await parts.pieces(large) == 0
