"""Streams of what changes: each reader hears of the files and uploads that it may see.

A process that has streams asks the database once a second what has changed since the last time, and
gives each change to those whom it concerns; without streams it asks nothing. So it does not matter
which process made a change. What a reader hears is the state of a file, not each step to it: two
changes between two looks are one event, and an event that comes twice does no harm.

A change becomes visible up to `late_seconds` after its time. Each look therefore goes back so far,
and passes over what it saw before. What a slow reader does not take is bounded: it is told to read
its lists again. Source: `docs/decisions/0095`.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import structlog

from lading.protocol.errors import LadingError, ShuttingDown, TooManyConnections
from lading.protocol.events import Event
from lading.protocol.manifest import Manifest, State
from lading.server.hooks import ignore
from lading.server.limits import EventLimits
from lading.storage.clock import Clock
from lading.storage.collections.changes import Changed, ChangeLog

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Change:
    """What a reader is told. `RESYNC` has no manifest: the reader reads its lists again."""

    event: Event
    manifest: Manifest | None = None


RESYNC = Change(Event.RESYNC)


def change_of(manifest: Manifest) -> Change:
    """What has become of a file or upload, by its present state."""
    match manifest.state:
        case State.READY:
            event = Event.FILE_CHANGED
        case State.UPLOADING:
            event = Event.UPLOAD_CHANGED
        case _:  # whatever is neither: nobody finds it in a list
            event = Event.FILE_DELETED if manifest.upload_end else Event.UPLOAD_ENDED
    return Change(event, manifest)


class Stream:
    """What waits for one reader: the events of a user, or of all users with None.

    `position` is the time up to which the reader was told everything, once it has taken what waits.
    """

    def __init__(self, user_id: str | None, reader: str, most: int) -> None:
        self.user_id = user_id
        self.reader = reader
        self.position = 0.0
        self.ended = False
        self._most = most
        self._waiting: deque[Change] = deque()
        self._news = asyncio.Event()

    def offer(self, changes: Collection[Change], position: float) -> None:
        """Let the reader have those of these changes that concern it."""
        mine = [each for each in changes if self._concerns(each)]
        if len(self._waiting) + len(mine) > self._most:
            self._waiting.clear()
            mine = [RESYNC]
        self._waiting.extend(mine)
        self.position = position
        if mine:
            self._news.set()

    def _concerns(self, change: Change) -> bool:
        manifest = change.manifest
        return manifest is None or self.user_id in (None, manifest.user_id)

    def end(self) -> None:
        """Let the reader go: the server stops."""
        self.ended = True
        self._news.set()

    async def take(self, seconds: float) -> list[Change]:
        """What waits; nothing when nothing came for so long, or the stream has ended."""
        if not self._waiting and not self.ended:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), seconds)
        self._news.clear()
        taken = list(self._waiting)
        self._waiting.clear()
        return taken


class Changes:
    """The streams of this process."""

    def __init__(
        self,
        log: ChangeLog,
        clock: Clock,
        limits: EventLimits,
        tombstone_ttl: float,
        *,
        observe: Callable[[str], None] = ignore,
    ) -> None:
        """`observe` hears of the name of each event, once for each reader that gets it."""
        self._log = log
        self._clock = clock
        self._limits = limits
        # A tombstone that is gone tells of no deletion any more.
        self._memory = min(limits.resume_seconds, tombstone_ttl)
        self.observe = observe
        self._streams: set[Stream] = set()
        self._wanted = asyncio.Event()
        self._priming = asyncio.Lock()
        self._position: float | None = None
        """The time of the last look; None while nobody looks."""
        self._seen: dict[str, float] = {}
        """What was seen within `late_seconds`, and when each had changed."""
        self._stopped = False

    def __len__(self) -> int:
        return len(self._streams)

    @contextmanager
    def open(self, user_id: str | None, reader: str) -> Iterator[Stream]:
        """A stream for a reader; raises TooManyConnections, ShuttingDown."""
        if self._stopped:
            raise ShuttingDown
        mine = sum(each.reader == reader for each in self._streams)
        if len(self._streams) >= self._limits.streams or mine >= self._limits.streams_of_user:
            raise TooManyConnections("Too many streams of events are open; end one, or try later.")
        stream = Stream(user_id, reader, self._limits.backlog)
        self._streams.add(stream)
        try:
            yield stream
        finally:
            self._streams.discard(stream)

    async def begin(self, stream: Stream, after: float | None) -> list[Change]:
        """Begin to fill a stream; returns what the reader missed since the position `after`.

        None is a reader that knows nothing yet. Raises Unavailable.
        """
        async with self._priming:
            if self._position is None:
                await self._look()
        self._wanted.set()
        assert self._position is not None
        stream.position = max(stream.position, self._position)
        return [] if after is None else await self._missed(stream.user_id, after)

    async def _missed(self, user_id: str | None, after: float) -> list[Change]:
        now, most = self._clock(), self._limits.resumed
        if not now - self._memory <= after <= now + self._limits.late_seconds:
            return [RESYNC]
        found = await self._log.since(after - self._limits.late_seconds, most + 1, user_id)
        return [RESYNC] if len(found) > most else await self._read(found)

    async def run(self) -> None:
        """Look what has changed while there are streams, for as long as the task lives."""
        while True:
            await self._wanted.wait()
            await asyncio.sleep(await self._timed())

    async def _timed(self) -> float:
        """Look once; returns the seconds until the next look."""
        limits, begun = self._limits, time.perf_counter()
        try:
            await self.once()
        except LadingError as error:
            log.warning("changes-not-read", error=str(error))
        if len(self._seen) > limits.window:
            return limits.late_seconds  # everybody reads the lists: not every second
        return max(limits.poll_seconds, (time.perf_counter() - begun) / limits.poll_share)

    async def once(self) -> None:
        """Look once, and let the readers have what is new; raises Unavailable."""
        async with self._priming:
            if not self._streams:
                self._wanted.clear()
                self._position, self._seen = None, {}
                return
            changes = await self._look()
            assert self._position is not None
            for stream in self._streams:
                stream.offer(changes, self._position)

    async def _look(self) -> list[Change]:
        """What has changed since the last look; nothing at the first one."""
        begun, first = self._clock(), self._position is None
        since = begun if self._position is None else self._position
        found = await self._log.since(since - self._limits.late_seconds, self._limits.window + 1)
        if len(found) > self._limits.window:
            changes = [RESYNC]
        else:
            fresh = [each for each in found if self._seen.get(each.id) != each.at]
            changes = [] if first else await self._read(fresh)
        self._seen = dict(found)
        self._position = begun
        return changes

    async def _read(self, found: list[Changed]) -> list[Change]:
        """The present state of what has changed, in the order of the changes."""
        most, changes = self._limits.read_at_once, []
        for start in range(0, len(found), most):
            ids = [each.id for each in found[start : start + most]]
            manifests = await self._log.manifests(ids)
            changes += [change_of(manifests[each]) for each in ids if each in manifests]
        return changes

    def stop(self) -> None:
        """End every stream: the server stops."""
        self._stopped = True
        for stream in self._streams:
            stream.end()
