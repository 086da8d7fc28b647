"""Wakes those who wait for bytes of an upload that have not arrived yet.

Pieces that this process stores wake at once whoever waits for them. For pieces of other processes
one query at a time asks about all uploads that somebody waits for, however many wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from lading.protocol.errors import LadingError
from lading.protocol.manifest import MAX_INTEGER
from lading.server.limits import UploadLimits
from lading.storage.collections.manifests import Manifests


@dataclass(frozen=True, slots=True, eq=False)
class Waiter:
    """Someone who waits for one byte of an upload."""

    offset: int
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait(self, seconds: float) -> None:
        """Until there is a reason to look again, at most `seconds`."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.woken.wait(), seconds)
        self.woken.clear()


class Arrivals:
    """All who wait, by upload."""

    def __init__(self, manifests: Manifests, limits: UploadLimits) -> None:
        self._manifests = manifests
        self._pause = limits.arrival_poll_seconds
        # The last pieces before a pause may be stored after the last note of them.
        self._again = 1 + round(2 * limits.watermark_seconds / self._pause)
        self._waiting: dict[str, set[Waiter]] = {}
        self._somebody = asyncio.Event()
        self.stopped = False

    @contextmanager
    def waiting(self, upload_id: str, offset: int) -> Iterator[Waiter]:
        """Wait for the byte at `offset`. Look whether it is there after this began, not before."""
        waiter = Waiter(offset)
        waiters = self._waiting.setdefault(upload_id, set())
        waiters.add(waiter)
        self._somebody.set()
        try:
            yield waiter
        finally:
            waiters.discard(waiter)
            if not waiters:
                self._waiting.pop(upload_id, None)

    def note(self, upload_id: str, start: int = 0, end: int = MAX_INTEGER) -> None:
        """These bytes were stored; without them: the upload ended or began again."""
        for waiter in self._waiting.get(upload_id, ()):
            if start <= waiter.offset < end:
                waiter.woken.set()

    def stop(self) -> None:
        """The server ends: nobody may wait any longer."""
        self.stopped = True
        for upload_id in self._waiting:
            self.note(upload_id)

    async def watch(self) -> None:
        """Look for what other processes store, as long as somebody waits."""
        known: dict[str, object] = {}
        turns: dict[str, int] = {}
        while True:
            if not self._waiting:
                self._somebody.clear()
            await self._somebody.wait()
            await asyncio.sleep(self._pause)
            with suppress(LadingError):  # whoever waits meets it, too, and reports it
                found = await self._manifests.activity(list(self._waiting))
                for upload_id in self._waiting:
                    now = found.get(upload_id)
                    if upload_id not in known or known[upload_id] != now:
                        turns[upload_id] = self._again
                    known[upload_id] = now
                    if turns[upload_id]:
                        turns[upload_id] -= 1
                        self.note(upload_id)
                for upload_id in known.keys() - self._waiting.keys():
                    del known[upload_id], turns[upload_id]
