"""`lading images rebuild`: pictures of all files, or of some, are made again, or those that lack.

Each file is claimed by its `todo`, as servers claim it, so a command beside servers does no work
twice. A run that broke off can be begun again; with `missing` it goes on where it was. Source: page
10 of the design.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from lading.imaging.ladder import wanted
from lading.protocol.kinds import Kinds
from lading.protocol.manifest import Manifest, State
from lading.server.limits import UploadLimits
from lading.server.uploads.derive import has_pictures
from lading.server.uploads.for_each import for_each
from lading.server.uploads.todo import Todo
from lading.storage.open import Storage

WAIT_SECONDS = 0.5
"""How often it is looked whether another process is done with a file."""


class Watch(Protocol):
    """Who is told how far a run is."""

    def begun(self, files: int) -> None:
        """So many files are looked at."""

    def ended(self, manifest: Manifest, *, made: bool) -> None:
        """The pictures of a file are made, or could not be made now."""


@dataclass(slots=True)
class Rebuilt:
    """What a run did. `failed` are ids of files that are tried again later, by servers."""

    files: int = 0
    unprocessable: list[str] = field(default_factory=list)
    """Files of which no picture can be made."""
    failed: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    """Ids for which there is no finished file."""


class Rebuild:
    """Makes pictures again. `todo` makes those of one file; `at_once` is how many it works on."""

    def __init__(
        self,
        storage: Storage,
        kinds: Kinds,
        todo: Todo,
        limits: UploadLimits,
        watch: Watch,
        *,
        missing: bool,
        at_once: int,
    ) -> None:
        self._storage = storage
        self._kinds = kinds
        self._todo = todo
        self._limits = limits
        self._watch = watch
        self._missing = missing
        self._at_once = at_once

    async def run(self, ids: Iterable[str] = (), *, dry_run: bool = False) -> Rebuilt:
        """Make the pictures of the files with these ids, of all files without any.

        Raises Unavailable.
        """
        wanted_ids, done = list(ids), Rebuilt()
        files = 0
        async for _ in self._files(wanted_ids, done):
            files += 1
        self._watch.begun(files)
        if dry_run:
            done.files = files
            return done
        chosen, busy = self._files(wanted_ids), list[str]()
        while True:
            await for_each(chosen, self._at_once, partial(self._make, done, busy))
            if not busy:
                return done
            await asyncio.sleep(WAIT_SECONDS)
            chosen, busy = self._files(busy), []

    async def _make(self, done: Rebuilt, busy: list[str], manifest: Manifest) -> None:
        now = self._storage.clock()
        claim = await self._storage.derivatives.begin(
            manifest,
            now=now,
            claimed_until=now + self._limits.todo_lease_seconds,
            afresh=not self._missing,
        )
        if claim is None:
            busy.append(manifest.id)  # another process has it, or it was deleted
            return
        made = await self._todo.work(claim)
        self._watch.ended(manifest, made=made)
        if not made:
            done.failed.append(manifest.id)
            return
        done.files += 1
        current = await self._storage.manifests.get(manifest.id)
        if current is not None and current.no_picture is not None:
            done.unprocessable.append(manifest.id)

    async def _files(self, ids: list[str], done: Rebuilt | None = None) -> AsyncIterator[Manifest]:
        for upload_id in ids:
            manifest = await self._storage.manifests.get(upload_id)
            if manifest is None or manifest.state is not State.READY:
                if done is not None:
                    done.absent.append(upload_id)
            elif self._is_due(manifest):
                yield manifest
        if not ids:
            async for manifest in self._storage.derivatives.every_file():
                if self._is_due(manifest):
                    yield manifest

    def _is_due(self, manifest: Manifest) -> bool:
        if not has_pictures(manifest.mime_type):
            return False
        if not self._missing:
            return True
        kind = self._kinds.get(manifest.kind)
        usual = wanted(() if kind is None else kind.sizes)
        lacks = any(each.name not in manifest.pictures for each in usual)
        return manifest.no_picture is None and (lacks or manifest.media is None)
