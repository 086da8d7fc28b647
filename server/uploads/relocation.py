"""`lading move`: all finished files, or some, go to one home.

Each file is claimed by its `todo`, as servers claim it, so a command beside servers or another
command does no work twice; a file that another process works on is waited for. What a run did not
get to is left as it was: the next run goes on with it. Source: page 9 of the design.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from lading.janitor.move import Mover
from lading.protocol.manifest import FINISHED, Manifest
from lading.server.limits import UploadLimits
from lading.server.uploads.for_each import for_each
from lading.server.uploads.todo import Todo
from lading.storage.collections.outbox import APPROVE, DERIVE, MOVE, NOTIFY, PLACE
from lading.storage.open import Storage

LISTED_AT_ONCE = 200

WAIT_SECONDS = 0.5
"""How often it is looked whether another process is done with a file."""


class Watch(Protocol):
    """Who is told how far a run is. Sizes are in bytes."""

    def begun(self, files: int, size: int) -> None:
        """So much is to be moved."""

    def read(self, upload_id: str, size: int) -> None:
        """So many more bytes of a file were read."""

    def ended(self, manifest: Manifest, *, moved: bool) -> None:
        """A file is at its new home, or could not be brought there."""


@dataclass(slots=True)
class Moved:
    """What a run did, in files and bytes. `failed` and `lost` are ids."""

    files: int = 0
    size: int = 0
    failed: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    """Ids for which there is no finished file."""


class Relocation:
    """Brings files to the home of `storage`. `pace` is the pause after each file, in seconds."""

    def __init__(self, storage: Storage, limits: UploadLimits, watch: Watch, pace: float) -> None:
        mover = Mover(
            storage.manifests, storage.outbox, storage.contents, storage.blobs, watch.read
        )
        steps = {PLACE: mover.place, MOVE: mover.move}
        self._todo = Todo(
            storage.manifests,
            storage.outbox,
            steps,
            storage.clock,
            limits,
            others=(APPROVE, DERIVE, NOTIFY),
        )
        self._manifests = storage.manifests
        self._outbox = storage.outbox
        self._clock = storage.clock
        self._home = storage.blobs.home
        self._limits = limits
        self._watch = watch
        self._pace = pace

    async def run(self, ids: Iterable[str] = (), *, dry_run: bool = False) -> Moved:
        """Move the files with these ids, all files without any; raises Unavailable."""
        wanted, done = list(ids), Moved()
        files = 0
        size = 0
        async for manifest in self._files(wanted, done):
            files += 1
            size += manifest.size or 0
        self._watch.begun(files, size)
        if dry_run:
            done.files, done.size = files, size
            return done
        chosen, busy = self._files(wanted), list[str]()
        while True:
            await self._pass(chosen, done, busy)
            if not busy:
                return done
            await asyncio.sleep(WAIT_SECONDS)
            chosen, busy = self._files(busy), []

    async def _pass(self, chosen: AsyncIterator[Manifest], done: Moved, busy: list[str]) -> None:
        await for_each(
            chosen, self._limits.todo_at_once, lambda file: self._bring(file, done, busy)
        )

    async def _bring(self, manifest: Manifest, done: Moved, busy: list[str]) -> None:
        now = self._clock()
        claim = await self._outbox.begin_move(
            manifest, self._home, now=now, claimed_until=now + self._limits.todo_lease_seconds
        )
        if claim is None:
            # Another process has it: it died, is at home by now, or must be waited for.
            busy.append(manifest.id)
            return
        if await self._todo.work(claim):
            done.files += 1
            done.size += manifest.size or 0
            self._watch.ended(manifest, moved=True)
        else:
            done.failed.append(manifest.id)
            self._watch.ended(manifest, moved=False)
        await asyncio.sleep(self._pace)

    async def _files(self, ids: list[str], done: Moved | None = None) -> AsyncIterator[Manifest]:
        """The files that are not at home: those with these ids, all of them without any."""
        last: str | None = None
        for upload_id in ids:
            manifest = await self._manifests.get(upload_id)
            if manifest is None or manifest.state not in FINISHED:
                if done is not None:
                    done.absent.append(upload_id)
            elif manifest.blobs != self._home or manifest.move_to is not None:
                yield manifest
        while not ids:
            page = await self._outbox.elsewhere(self._home, last, LISTED_AT_ONCE)
            for manifest in page:
                yield manifest
            if len(page) < LISTED_AT_ONCE:
                return
            last = page[-1].id
