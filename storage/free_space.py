"""Whether the disks have free space: below the floor nothing new is taken.

When a disk is full mongod aborts and does not start again until there is space, so the server stops
before that. Two things must be true:

- the disk itself has `margin`: mongod's journal holds every byte once more until the next
  checkpoint, and neither it nor the oplog can use space inside the other files;
- the disk, and what MongoDB can reuse inside its files, have `floor` together. So deleting files
  helps, although the database's files do not shrink.

Where the bytes of pieces go into a directory, its disk must have `floor`, too.

Source: page 5 of the design, "disk full"; docs/decisions/0036.
"""

from __future__ import annotations

import asyncio
import os

from lading.protocol.errors import LadingError, StorageFull
from lading.storage.database import Database, Space

LOOK_SECONDS = 1.0
"""How often the free space is read."""


class FreeSpace:
    """The free space at the last look. `floor` is in bytes, 0 for none. The margin is half.

    `directory` is the path of the directory that takes the bytes of pieces, if one does.
    """

    def __init__(
        self,
        database: Database,
        floor: int = 0,
        *,
        directory: str | None = None,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._asked = database
        self._directory = directory
        self.floor = floor
        self._margin = floor // 2
        self._look_seconds = look_seconds
        self.database: Space | None = None
        """The database's disk at the last look, where it is known."""
        self.directory_free: int | None = None
        """The free bytes at the last look on the disk of the directory, if there is one."""
        self._taken = 0
        """Bytes that were let in since the last look."""

    async def look(self) -> None:
        """Read how much space is free; raises Unavailable."""
        taken = self._taken
        if self._directory is not None:
            self.directory_free = await asyncio.to_thread(_free, self._directory)
        self.database = await self._asked.space()
        self._taken -= taken

    async def watch(self) -> None:
        """Look again and again, for as long as the task lives."""
        while True:
            await asyncio.sleep(self._look_seconds)
            try:
                await self.look()
            except LadingError:
                continue  # every other operation reports a database that is down

    def check(self, size: int = 0) -> None:
        """Let `size` bytes in; raise StorageFull unless there is enough space."""
        if not self.floor:
            return
        if self.directory_free is None:
            self._check_database(self._taken)
        else:
            self._check_directory(self.directory_free - self._taken)
            self._check_database(0)
        self._taken += size

    def _check_directory(self, free: int) -> None:
        if free < self.floor:
            raise StorageFull(
                f"The disk of the directory with the files has {max(free, 0)} bytes left; the "
                f"server keeps {self.floor} free. Delete files, or make space on the disk; then "
                "try again.",
                free=max(free, 0),
            )

    def _check_database(self, taken: int) -> None:
        space = self.database
        if space is None:
            return
        free = space.free - taken
        if free < self._margin:
            raise StorageFull(
                f"The disk of the database has {max(free, 0)} bytes left; {self._margin} must stay "
                "free for its journal, whatever is deleted here. Make space on the disk; then try "
                "again.",
                free=max(free, 0),
            )
        if free + space.reusable < self.floor:
            raise StorageFull(
                f"The database has {free} bytes left on its disk and {space.reusable} to reuse in "
                f"its files; the server keeps {self.floor} free. Delete files, or make space on "
                "the disk; then try again.",
                free=free + space.reusable,
            )


def _free(directory: str) -> int | None:
    """The bytes that are free for this user; None when the directory cannot be asked."""
    try:
        found = os.statvfs(directory)
    except OSError:
        return None  # each write reports what is wrong
    return found.f_bavail * found.f_frsize
