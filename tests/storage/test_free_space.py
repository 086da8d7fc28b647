"""Free space on the disks of the database and of a directory."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from lading.protocol.errors import StorageFull, Unavailable
from lading.protocol.manifest import Piece
from lading.storage.collections.chunks import Chunks
from lading.storage.collections.manifests import new_id
from lading.storage.database import Database, Space
from lading.storage.free_space import FreeSpace
from tests.support.servers import until

FLOOR = 1000


class Disk(Database):
    """A database whose disk is as full as is said."""

    free: int | None = FLOOR
    reusable = 0
    down = False
    looks = 0

    async def space(self) -> Space | None:
        self.looks += 1
        if self.down:
            raise Unavailable
        return None if self.free is None else Space(self.free, self.reusable)


@pytest.fixture
def disk(database: Database) -> Disk:
    return Disk(database.client)


@pytest.mark.parametrize(
    ("free", "reusable", "is_enough"),
    [
        (FLOOR + 1, 0, True),
        (FLOOR, 0, True),
        (FLOOR - 1, 0, False),
        (FLOOR - 1, 1, True),
        (FLOOR // 2, FLOOR // 2, True),
        (FLOOR // 2, FLOOR // 2 - 1, False),
        (FLOOR // 2 - 1, 2**60, False),
        (0, 0, False),
        (None, 0, True),
    ],
)
async def test_below_the_floor_nothing_is_taken(
    disk: Disk, free: int | None, reusable: int, is_enough: bool
) -> None:
    disk.free, disk.reusable = free, reusable
    free_space = FreeSpace(disk, FLOOR)
    await free_space.look()
    if is_enough:
        free_space.check()
        return
    with pytest.raises(StorageFull, match=f"{free} bytes left") as caught:
        free_space.check()
    assert free is not None
    usable = free if free < FLOOR // 2 else free + reusable
    assert caught.value.extra == {"free": usable}
    assert caught.value.retryable


async def test_between_two_looks_what_is_let_in_counts(disk: Disk) -> None:
    disk.free = FLOOR + 100
    free_space = FreeSpace(disk, FLOOR)
    await free_space.look()
    free_space.check(100)
    free_space.check(1)
    with pytest.raises(StorageFull):
        free_space.check(1)
    await free_space.look()
    free_space.check(1)


async def test_without_a_floor_all_is_taken(disk: Disk) -> None:
    disk.free = 0
    free_space = FreeSpace(disk)
    await free_space.look()
    free_space.check(10)


async def test_deleted_pieces_can_be_reused(database: Database) -> None:
    upload_id, chunks, size = new_id(), Chunks(database), 2**20
    for start in range(0, 24 * size, size):
        await chunks.write(upload_id, Piece(start, size, 0), os.urandom(size))
    await database.client.admin.command("fsync")  # a checkpoint: now they are in the files
    before = await database.space()
    while await chunks.delete(upload_id, 64):
        pass
    assert before is not None

    async with asyncio.timeout(60):
        now = before
        while now.reusable < before.reusable + 16 * size:
            # Freed blocks can be reused after the next one, which else comes within a minute.
            await database.client.admin.command("fsync")
            now = await database.space() or before


async def test_what_was_not_looked_at_is_taken_to_be_free(disk: Disk) -> None:
    FreeSpace(disk, 2**60).check()


async def test_a_real_disk_has_some_space_and_an_end(database: Database) -> None:
    for floor, is_enough in ((1, True), (2**60, False)):
        free_space = FreeSpace(database, floor)
        await free_space.look()
        if is_enough:
            free_space.check()
        else:
            with pytest.raises(StorageFull):
                free_space.check()


async def test_it_is_looked_at_again_also_after_the_database_was_down(
    disk: Disk,
) -> None:
    free_space = FreeSpace(disk, FLOOR, look_seconds=0.001)
    watching = asyncio.create_task(free_space.watch())
    disk.free = 0
    await until(lambda: _is_full(free_space))
    disk.down = True
    looks = disk.looks
    await until(lambda: disk.looks > looks + 2)
    assert _is_full(free_space), "what was seen last holds"
    disk.down, disk.free = False, FLOOR
    await until(lambda: not _is_full(free_space))
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert watching.cancelled()


def _is_full(free_space: FreeSpace) -> bool:
    try:
        free_space.check()
    except StorageFull:
        return True
    return False


async def test_the_disk_of_the_directory_counts_next_to_that_of_the_database(
    disk: Disk, tmp_path: Path
) -> None:
    free = shutil.disk_usage(tmp_path).free
    for floor, database_free, says in (
        (FLOOR, FLOOR, None),
        (2**60, 2**61, "The disk of the directory with the files has"),
        (FLOOR, FLOOR - 1, "The database has"),
    ):
        disk.free = database_free
        free_space = FreeSpace(disk, floor, directory=str(tmp_path))
        await free_space.look()
        if says is None:
            free_space.check(FLOOR)
            free_space.check(free + 2**40)  # these bytes are not for the database's disk
            with pytest.raises(StorageFull, match="directory"):
                free_space.check()
            await free_space.look()
            free_space.check(1)
            continue
        with pytest.raises(StorageFull, match=says):
            free_space.check()


async def test_a_directory_that_cannot_be_asked_stops_nothing(disk: Disk, tmp_path: Path) -> None:
    free_space = FreeSpace(disk, FLOOR, directory=str(tmp_path / "gone"))
    await free_space.look()
    free_space.check()
