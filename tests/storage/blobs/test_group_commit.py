"""Group commit, without a disk."""

from __future__ import annotations

import asyncio

import pytest

from lading.storage.blobs.group_commit import GroupCommit
from tests.support.servers import until


class Disk:
    """Counts syncs; each lasts until it is let go, and fails if told to."""

    def __init__(self) -> None:
        self.begun = 0
        self.failures: list[Exception] = []
        self.gate = asyncio.Semaphore(0)

    async def sync(self) -> None:
        self.begun += 1
        await self.gate.acquire()
        if self.failures:
            raise self.failures.pop(0)


async def test_all_that_wait_at_one_moment_share_a_sync() -> None:
    disk = Disk()
    commit = GroupCommit(disk.sync)
    waiting = [asyncio.create_task(commit()) for _ in range(10)]
    disk.gate.release()
    await asyncio.gather(*waiting)
    assert disk.begun == 1


async def test_who_comes_during_a_sync_waits_for_the_next_one() -> None:
    disk = Disk()
    commit = GroupCommit(disk.sync)
    first = asyncio.create_task(commit())
    await until(lambda: disk.begun == 1)
    late = [asyncio.create_task(commit()) for _ in range(10)]
    disk.gate.release()
    await first
    await until(lambda: disk.begun == 2)
    assert not any(task.done() for task in late)
    disk.gate.release()
    await asyncio.gather(*late)
    assert disk.begun == 2


async def test_a_failure_reaches_everyone_who_waited_for_it_and_nobody_else() -> None:
    disk = Disk()
    commit = GroupCommit(disk.sync)
    disk.failures = [OSError("the disk failed")]
    first = [asyncio.create_task(commit()) for _ in range(2)]
    await until(lambda: disk.begun == 1)
    late = asyncio.create_task(commit())
    disk.gate.release()
    disk.gate.release()
    for task in first:
        with pytest.raises(OSError, match="the disk failed"):
            await task
    await late


async def test_who_gives_up_does_not_stop_the_sync() -> None:
    disk = Disk()
    commit = GroupCommit(disk.sync)
    hasty, patient = asyncio.create_task(commit()), asyncio.create_task(commit())
    await until(lambda: disk.begun == 1)
    hasty.cancel()
    await asyncio.wait([hasty])
    disk.gate.release()
    await patient
