"""Free space on the database's disk."""

from __future__ import annotations

import asyncio

import pytest

from lading.protocol.errors import StorageFull, Unavailable
from lading.storage.database import Database
from lading.storage.free_space import FreeSpace
from tests.support.servers import until

FLOOR = 1000


class Disk(Database):
    """A database whose disk is as full as is said."""

    free: int | None = FLOOR
    down = False
    looks = 0

    async def free_space(self) -> int | None:
        self.looks += 1
        if self.down:
            raise Unavailable
        return self.free


@pytest.fixture
def disk(database: Database) -> Disk:
    return Disk(database.client)


@pytest.mark.parametrize(
    ("free", "is_enough"),
    [(FLOOR + 1, True), (FLOOR, True), (FLOOR - 1, False), (0, False), (None, True)],
)
async def test_below_the_floor_nothing_is_taken(
    disk: Disk, free: int | None, is_enough: bool
) -> None:
    disk.free = free
    free_space = FreeSpace(disk, FLOOR)
    await free_space.look()
    if is_enough:
        free_space.check()
        return
    with pytest.raises(StorageFull, match=f"{free} bytes left") as caught:
        free_space.check()
    assert caught.value.extra == {"free": free}
    assert caught.value.retryable


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
