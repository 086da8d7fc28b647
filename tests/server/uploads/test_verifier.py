"""FINISH while it verifies: what is read back lives meanwhile, and takes no more memory for being
asked for many times at once. Who goes away does not stop what is being published.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from functools import partial

import pytest

from lading.protocol.digests import crc32c
from lading.protocol.manifest import Manifest, Piece, State
from lading.protocol.spec import UploadSpec
from lading.server.limits import UploadLimits
from lading.server.uploads import OpenUpload
from lading.storage.blobs.mongo import MongoBlobs
from lading.storage.collections.quotas import Quotas
from lading.storage.database import Database
from tests.support.parts import ANN, CELL, Parts, settings
from tests.support.servers import until

PIECE = bytes(range(256)) * (CELL // 256)
CELLS = 3
SHA256 = hashlib.sha256(CELLS * PIECE).hexdigest()
TTL = 0.4
VERIFIED = UploadLimits().verified_at_once


class Reading:
    """Holds back every piece on its way out of the store until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened = asyncio.Event()
        self.waiting = self.read = self.most = 0
        read = MongoBlobs.read

        async def held(blobs: MongoBlobs, upload_id: str, pieces: Sequence[Piece]) -> bytes:
            self.read += len(pieces)
            self.waiting += 1
            self.most = max(self.most, self.waiting)
            try:
                await self.opened.wait()
                return await read(blobs, upload_id, pieces)
            finally:
                self.waiting -= 1

        monkeypatch.setattr(MongoBlobs, "read", held)


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Reading:
    return Reading(monkeypatch)


async def whole(parts: Parts, cells: int = CELLS) -> OpenUpload:
    """An upload of which all is stored."""
    upload = await parts.uploads.create(ANN, UploadSpec(name="a.bin", size=cells * CELL))
    for cell in range(cells):
        await parts.uploads.write(upload, cell * CELL, PIECE, crc32c(PIECE))
    return upload


def _lives_until(upload: OpenUpload, moment: float) -> bool:
    return upload.manifest.expires_at == pytest.approx(moment, abs=0.001)  # the database's steps


async def live_on(parts: Parts, uploads: list[OpenUpload]) -> None:
    """Let a time pass in which uploads that nobody keeps alive would be gone, and look at it."""
    for _ in range(5):
        parts.clock.now += TTL / 2
        late = parts.clock.now + TTL
        for upload in uploads:
            await until(partial(_lives_until, upload, late))
        assert (await parts.sweeper.sweep()).expired == 0


async def test_what_is_verified_for_longer_than_it_lives_stays_alive(
    database: Database, reading: Reading
) -> None:
    parts = Parts(database, chosen=settings(upload_ttl=TTL))
    upload = await whole(parts)
    finishing = asyncio.create_task(parts.uploads.finish(ANN, upload.manifest.id, sha256=SHA256))
    await until(lambda: reading.waiting)
    await live_on(parts, [upload])
    reading.opened.set()
    assert (await finishing).state is State.READY


async def test_one_upload_is_read_back_once_however_often_it_is_finished(
    parts: Parts, reading: Reading
) -> None:
    upload = await whole(parts)

    def finish() -> asyncio.Task[Manifest]:
        return asyncio.create_task(parts.uploads.finish(ANN, upload.manifest.id, sha256=SHA256))

    finishing = [finish() for _ in range(50)]
    await until(lambda: reading.waiting)
    # The one that verifies goes away, and one that waits: the others do not mind.
    for gone in (finishing.pop(0), finishing.pop(20)):
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
    reading.opened.set()
    for file in await asyncio.gather(*finishing):
        assert (file.state, file.sha256) == (State.READY, SHA256)
    assert reading.read <= 2 * (CELLS + 1), "by the one that went away, and by one more"
    assert await parts.usage("ann") == (CELLS * CELL, 0)


async def test_few_uploads_are_read_back_at_once_and_those_that_wait_stay_alive(
    database: Database, reading: Reading
) -> None:
    parts = Parts(database, chosen=settings(upload_ttl=TTL))
    uploads = await asyncio.gather(*(whole(parts) for _ in range(3 * VERIFIED)))
    finishing = [
        asyncio.create_task(parts.uploads.finish(ANN, upload.manifest.id, sha256=SHA256))
        for upload in uploads
    ]
    await until(lambda: reading.waiting == VERIFIED)
    await live_on(parts, uploads)
    assert reading.most == VERIFIED
    reading.opened.set()
    assert {file.state for file in await asyncio.gather(*finishing)} == {State.READY}


async def test_a_large_upload_blocks_no_other(database: Database, reading: Reading) -> None:
    parts = Parts(database, limits=UploadLimits(verification_turn=CELL))
    # So many turns that the small one comes to its own meanwhile, though it has yet to ask for it.
    cells = 50
    digest = hashlib.sha256(cells * PIECE).hexdigest()
    large = [await whole(parts, cells) for _ in range(VERIFIED)]
    small = await parts.uploads.create(ANN, UploadSpec(name="b.bin", size=1))
    await parts.uploads.write(small, 0, b"x", crc32c(b"x"))
    ended: list[str] = []

    async def finish(upload: OpenUpload) -> None:
        sha256 = None if upload is small else digest
        ended.append((await parts.uploads.finish(ANN, upload.manifest.id, sha256=sha256)).id)

    finishing = [asyncio.create_task(finish(upload)) for upload in large]
    await until(lambda: reading.waiting == VERIFIED)
    finishing.append(asyncio.create_task(finish(small)))
    await until(small.finishing.locked)
    reading.opened.set()
    await asyncio.gather(*finishing)
    assert ended[0] == small.manifest.id


async def test_who_goes_away_does_not_stop_what_is_being_published(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await whole(parts)
    keep, charging, opened = Quotas.keep, asyncio.Event(), asyncio.Event()

    async def held(quotas: Quotas, user_id: str, upload_id: str, size: int) -> None:
        charging.set()
        await opened.wait()
        await keep(quotas, user_id, upload_id, size)

    monkeypatch.setattr(Quotas, "keep", held)
    finishing = asyncio.create_task(parts.uploads.finish(ANN, upload.manifest.id))
    await charging.wait()
    finishing.cancel()
    await asyncio.gather(finishing, return_exceptions=True)
    assert finishing.cancelled()
    opened.set()
    await parts.uploads.settle()
    assert await parts.usage("ann") == (CELLS * CELL, 0)
    assert upload.manifest.state is State.READY
