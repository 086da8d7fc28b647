"""The parts below the transports, put together in one place.

The application, the commands of `lading janitor` and the tests all get them here.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

import structlog

from lading.imaging.made import Maker
from lading.janitor.janitor import Janitor
from lading.protocol.errors import LadingError
from lading.server.hooks import NOBODY, Hooks
from lading.server.limits import USUAL_LIMITS, EventLimits, UploadLimits
from lading.server.settings import Settings
from lading.server.uploads import Uploads
from lading.server.uploads.append import Appends
from lading.server.uploads.archive import Archives
from lading.server.uploads.changes import Changes
from lading.server.uploads.concat import Concatenation
from lading.server.uploads.files import Library
from lading.server.uploads.users import Users
from lading.storage.blobs.retry import watch_repetitions
from lading.storage.blobs.s3 import S3Blobs
from lading.storage.blobs.s3_client import S3Options
from lading.storage.clock import PlainClock
from lading.storage.collections.outbox import CONCAT
from lading.storage.database import watch_operations
from lading.storage.embedded.process import running
from lading.storage.homes import Homes
from lading.storage.open import Storage, open_storage

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Assembly:
    """Storage, and the parts that work on it."""

    settings: Settings
    storage: Storage
    janitor: Janitor
    uploads: Uploads
    appends: Appends
    concatenation: Concatenation
    library: Library
    users: Users
    archives: Archives
    changes: Changes
    hooks: Hooks = NOBODY
    embedded: bool = False
    """Whether the database is the private one of this data directory."""

    def background(self) -> list[Coroutine[Any, Any, None]]:
        """What runs in a server beside the requests, each for as long as its task lives."""
        settings, storage = self.settings, self.storage
        work = [
            storage.free_space.watch(),
            storage.clock.keep(),
            self.uploads.todo.run(),
            *([self.uploads.pictures.todo.run()] if self.uploads.pictures.makes else []),
            *([self.uploads.approving.run()] if self.uploads.approvals.required else []),
            self.uploads.arrivals.watch(),
            self.appends.watch(),
            self.changes.run(),
            storage.corrections.run(),
            look_at_home(storage.blobs),
        ]
        if settings.janitor:
            interval = settings.janitor_interval or min(60.0, settings.upload_ttl / 4)
            loop = self.janitor.loop(interval, compact=self.embedded, observe=self.hooks.sweep)
            work.append(loop.run())
        return work


async def look_at_home(homes: Homes) -> None:
    """Log why the bucket cannot be used, if so. Uploads go on without it, and wait in MongoDB."""
    home = homes.bare(homes.home)
    if isinstance(home, S3Blobs):
        try:
            await home.check()
        except LadingError as error:
            log.error("home-unusable", home=homes.home, error=str(error))


def assemble(
    storage: Storage,
    settings: Settings,
    limits: UploadLimits = USUAL_LIMITS.uploads,
    maker: Maker | None = None,
    hooks: Hooks = NOBODY,
    *,
    events: EventLimits = USUAL_LIMITS.events,
) -> Assembly:
    """Put the parts together on a storage. `maker` makes pictures, where that is to be done."""
    janitor = Janitor(storage, tombstone_ttl=settings.tombstone_ttl, pace=settings.janitor_pace)
    uploads = Uploads(storage, janitor.sweeper, settings, limits, maker, hooks=hooks)
    appends = Appends(uploads, storage, limits, settings.upload_ttl)
    concatenation = Concatenation(uploads, storage.manifests, appends, limits)
    uploads.todo.learn(CONCAT, concatenation.step)
    library = Library(uploads, storage, limits.todo_lease_seconds, settings.trash_ttl)
    users = Users(uploads, storage)
    archives = Archives(uploads, library, storage.manifests, limits.archive_files)
    changes = Changes(
        storage.changes, storage.clock, events, settings.tombstone_ttl, observe=hooks.event
    )
    return Assembly(
        settings,
        storage,
        janitor,
        uploads,
        appends,
        concatenation,
        library,
        users,
        archives,
        changes,
        hooks,
    )


async def open_assembly(
    settings: Settings,
    stack: AsyncExitStack,
    *,
    url: str | None = None,
    client: Any = None,
    clock: Callable[[], float] | None = None,
    limits: UploadLimits = USUAL_LIMITS.uploads,
    maker: Maker | None = None,
    hooks: Hooks = NOBODY,
    events: EventLimits = USUAL_LIMITS.events,
) -> Assembly:
    """Open the storage that the settings ask for, and put the parts together on it.

    Raises Unavailable. `client` is a MongoDB client made elsewhere; else `url` is connected to.
    `clock` replaces the database's clock. `maker` makes pictures, where that is to be done. `hooks`
    hear of what happens.
    """
    stack.callback(watch_operations(hooks.database))
    stack.callback(watch_repetitions(hooks.blobs_repeated))
    storage = await open_storage(
        stack,
        url=url,
        client=client,
        upload_ttl=settings.upload_ttl,
        home=settings.blobs,
        s3=S3Options(settings.s3_endpoint, settings.s3_region, settings.s3_path_style),
        default_quota=settings.default_quota,
        free_space_floor=settings.free_space_floor,
        audit_ttl=settings.audit_ttl,
        observe=hooks.blobs,
    )
    if clock is not None:
        storage = replace(storage, clock=PlainClock(clock))
    # A worker gets the address of the embedded one from its supervisor, as any other.
    embedded = url is not None and url == running(settings.data)
    return replace(
        assemble(storage, settings, limits, maker, hooks, events=events), embedded=embedded
    )
