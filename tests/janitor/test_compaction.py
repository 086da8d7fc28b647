"""When the embedded database is compacted, and what it gives back."""

from __future__ import annotations

import asyncio
import os

import pytest

from lading.janitor.compaction import LEAST, PAUSE_SECONDS, QUIET_SECONDS, Compactor
from lading.janitor.sweep import Lost, always
from lading.protocol.manifest import Piece
from lading.protocol.spec import UploadSpec
from lading.storage.collections.chunks import Chunks
from lading.storage.collections.manifests import new_id
from lading.storage.database import Database, Space
from tests.support.clock import Clock
from tests.support.parts import ANN, CELL, Parts


class Disk:
    """A database whose files are as unused as is said."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.now = Space(0, LEAST, 2 * LEAST)
        self.arrived = -1e9
        self.compacted = 0
        self.work = asyncio.Event()
        self.work.set()
        self.compactor = Compactor(
            self.space, self.compact, self.arrived_since, clock=self.clock, look_seconds=0.001
        )

    async def space(self) -> Space | None:
        return self.now

    async def compact(self) -> None:
        self.compacted += 1
        await self.work.wait()

    async def arrived_since(self, then: float) -> bool:
        return self.arrived > then

    async def run(self) -> bool:
        return await self.compactor.run_if_due(always)


@pytest.mark.parametrize(
    ("reusable", "files", "due"),
    [
        (LEAST, 4 * LEAST, True),
        (LEAST - 1, LEAST, False),
        (LEAST, 4 * LEAST + 4, False),
        (0, 0, False),
    ],
)
async def test_much_must_be_reusable(reusable: int, files: int, due: bool) -> None:
    disk = Disk()
    disk.now = Space(0, reusable, files)
    assert await disk.run() is due
    assert disk.compacted == due


async def test_nothing_may_arrive() -> None:
    disk = Disk()
    disk.arrived = disk.clock()
    assert not await disk.run()
    disk.clock.now += QUIET_SECONDS
    assert await disk.run()


async def test_it_is_seldom_even_if_it_achieved_nothing() -> None:
    disk = Disk()
    assert await disk.run()
    disk.clock.now += PAUSE_SECONDS - 1
    assert not await disk.run()
    disk.clock.now += 1
    assert await disk.run()
    assert disk.compacted == 2


async def test_the_lease_is_checked_meanwhile_and_ends_it() -> None:
    disk, checks = Disk(), 0
    disk.work.clear()

    async def check() -> None:
        nonlocal checks
        checks += 1
        if checks == 3:
            raise Lost

    with pytest.raises(Lost):
        await disk.compactor.run_if_due(check)
    assert (checks, disk.compacted) == (3, 1)


async def test_an_unfinished_upload_that_moves_is_activity(database: Database) -> None:
    parts = Parts(database, Clock())
    upload = await parts.uploads.create(ANN, UploadSpec(name="a", size=CELL))
    now = upload.manifest.updated_at
    assert await parts.manifests.arrived_since(now - 1)
    assert not await parts.manifests.arrived_since(now)
    await parts.uploads.abort(ANN, upload.manifest.id)
    assert not await parts.manifests.arrived_since(now - 1)


async def test_a_real_database_gives_space_back(database: Database) -> None:
    chunks, size = Chunks(database), 2**20
    uploads = [new_id(), new_id()]
    for upload_id in uploads:
        for start in range(0, 24 * size, size):
            await chunks.write(upload_id, Piece(start, size, 0), os.urandom(size))
    await database.client.admin.command("fsync")
    while await chunks.delete(uploads[0], 64):
        pass
    await database.client.admin.command("fsync")
    before = await database.space()
    assert before is not None
    await database.compact()
    after = await database.space()
    assert after is not None
    assert after.files < before.files - 16 * size
    assert len([piece async for piece in chunks.pieces(uploads[1])]) == 24
