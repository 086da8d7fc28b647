"""The file of an upload that is under way: open while pieces arrive, made durable by all together.

It knows neither pieces nor documents; what is written into it, and when, is decided in `local.py`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator

from lading.protocol.errors import Unavailable
from lading.storage.blobs.group_commit import GroupCommit


class Incoming:
    """The open file of an upload. Used as a context by each writer; closed after the last one."""

    def __init__(
        self,
        name: str,
        descriptor: int,
        sync: Callable[[], Awaitable[None]],
        forget: Callable[[Incoming], None],
        idle_seconds: float,
    ) -> None:
        self.name = name
        self.descriptor = descriptor
        self.entered = False
        """Its entry in the folder is durable, as far as this process knows."""
        self.sync = GroupCommit(self._sync)
        self._sync_data = sync
        self._forget = forget
        self._idle_seconds = idle_seconds
        self._failed = self._closed = False
        self._users = 0
        self._idle: asyncio.TimerHandle | None = None

    async def _sync(self) -> None:
        """After a failure the system may have dropped what was written, and says so once only."""
        if self._failed:
            raise Unavailable("The server's directory does not work; try again.")
        try:
            await self._sync_data()
        except BaseException:
            self._failed = True
            self._forget(self)
            raise

    def __enter__(self) -> None:
        self._users += 1
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def __exit__(self, *_: object) -> None:
        self._users -= 1
        if self._users == 0:
            if self._closed:
                os.close(self.descriptor)
            else:
                loop = asyncio.get_running_loop()
                self._idle = loop.call_later(self._idle_seconds, self._forget, self)

    def close(self) -> None:
        """Close the file when its last user is done."""
        if self._closed:
            return
        self._closed = True
        if self._idle is not None:
            self._idle.cancel()
        if self._users == 0:
            os.close(self.descriptor)


def incoming_name(upload_id: str, attempt: int) -> str:
    """The name of an upload's file in `incoming`."""
    return f"{upload_id}.{attempt}"


def incoming_names(upload_id: str, attempts: int) -> Iterator[str]:
    """The names of the files of the first attempts."""
    return (incoming_name(upload_id, attempt) for attempt in range(attempts))
