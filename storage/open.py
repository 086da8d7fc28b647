"""The storage of one Lading: the database, its clock, the collections and the drivers of bytes.

Whoever needs storage, the server, the janitor's commands or a test, gets it here. It takes values
and knows no settings.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import structlog

from lading.protocol.errors import Unavailable
from lading.storage.blobs.base import Blobs, Unusable
from lading.storage.blobs.directory import Directory
from lading.storage.blobs.limit import Limited
from lading.storage.blobs.local import LocalBlobs
from lading.storage.blobs.measure import Measured, Observe
from lading.storage.blobs.mongo import MongoBlobs
from lading.storage.blobs.retry import Retried
from lading.storage.blobs.s3 import S3Blobs
from lading.storage.blobs.s3_client import AWS, S3Options
from lading.storage.clock import Clock, DatabaseClock
from lading.storage.collections.attempts import Attempts
from lading.storage.collections.audit import AuditLog
from lading.storage.collections.changes import ChangeLog
from lading.storage.collections.chunks import Chunks
from lading.storage.collections.deliveries import Deliveries
from lading.storage.collections.derivatives import Derivatives
from lading.storage.collections.directories import Directories
from lading.storage.collections.file_lists import FileLists
from lading.storage.collections.grants import Grants
from lading.storage.collections.idempotency import IdempotencyKeys
from lading.storage.collections.leases import Leases
from lading.storage.collections.manifests import Manifests
from lading.storage.collections.notices import Notices
from lading.storage.collections.outbox import Outbox
from lading.storage.collections.passkeys import Passkeys
from lading.storage.collections.pictures import Pictures
from lading.storage.collections.quotas import Quotas
from lading.storage.collections.replacements import Replacements
from lading.storage.collections.sessions import Sessions
from lading.storage.collections.tags import Tags
from lading.storage.collections.users import Users
from lading.storage.collections.webhooks import Webhooks
from lading.storage.contents import Contents
from lading.storage.corrections import Corrections
from lading.storage.database import Database, connect
from lading.storage.free_space import FreeSpace
from lading.storage.homes import MONGO, Homes, path_of, scheme
from lading.storage.schema import agree

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Storage:
    """Everything that is stored, and the time by which it is judged."""

    database: Database
    clock: Clock
    free_space: FreeSpace
    manifests: Manifests
    file_lists: FileLists
    directories: Directories
    outbox: Outbox
    changes: ChangeLog
    derivatives: Derivatives
    replacements: Replacements
    chunks: Chunks
    blobs: Homes
    contents: Contents
    quotas: Quotas
    leases: Leases
    grants: Grants
    tags: Tags
    idempotency: IdempotencyKeys
    users: Users
    sessions: Sessions
    attempts: Attempts
    passkeys: Passkeys
    corrections: Corrections
    notices: Notices
    webhooks: Webhooks
    deliveries: Deliveries
    audit: AuditLog


def assemble_storage(
    database: Database,
    clock: Clock,
    free_space: FreeSpace,
    *,
    home: str = MONGO,
    s3: S3Options = AWS,
    default_quota: int | None = None,
    audit_ttl: float = 0.0,
    observe: Observe | None = None,
) -> Storage:
    """Put the storage of a database together; nothing is read or written.

    `home` is the address where finished files live, `s3` says how buckets are reached.
    `default_quota` is in bytes, None for no limit. Entries of the audit log are kept for
    `audit_ttl` seconds, none with 0. `observe` hears of each operation on bytes.
    """
    chunks = Chunks(database)

    def open_driver(address: str) -> Blobs:
        match scheme(address):
            case "mongo":
                return MongoBlobs(chunks, Pictures(database))
            case "file":
                return LocalBlobs(address, open_directory(address), chunks)
            case "s3":
                if find_spec("aiobotocore") is None:
                    raise Unusable(f"{address} needs a package: pip install 'lading[s3]'")
                return S3Blobs(address, chunks, s3)
            case _:
                raise KeyError(address)

    def open_directory(address: str) -> Directory:
        try:
            return Directory(path_of(address), create=address == home)
        except Unusable as error:
            if address == home:
                raise
            # Who asks for a file must not learn of the server's directories.
            log.warning("home-unusable", error=str(error))
            raise Unavailable("The directory of this file cannot be used; try again.") from error

    def wrap(driver: Blobs) -> Blobs:
        limited = Limited(Retried(driver) if scheme(driver.name) == "s3" else driver)
        return limited if observe is None else Measured(limited, observe)

    blobs = Homes(home, open_driver, wrap)
    notices = Notices()
    manifests, tags = Manifests(database, notices), Tags(database)
    return Storage(
        database,
        clock,
        free_space,
        manifests,
        FileLists(database),
        Directories(database),
        Outbox(database),
        ChangeLog(database),
        Derivatives(database, notices),
        Replacements(database, notices),
        chunks,
        blobs,
        Contents(chunks, blobs),
        Quotas(database, default_quota),
        Leases(database),
        Grants(database),
        tags,
        IdempotencyKeys(database),
        Users(database),
        Sessions(database),
        Attempts(database),
        Passkeys(database),
        Corrections(database, manifests, tags),
        notices,
        Webhooks(database, notices),
        Deliveries(database),
        AuditLog(database, audit_ttl),
    )


async def open_storage(
    stack: AsyncExitStack,
    *,
    url: str | None = None,
    client: Any = None,
    upload_ttl: float,
    home: str = MONGO,
    s3: S3Options = AWS,
    default_quota: int | None = None,
    free_space_floor: int = 0,
    audit_ttl: float = 0.0,
    observe: Observe | None = None,
) -> Storage:
    """Connect, create what is missing, read the clock and the free space; raises Unavailable.

    Raises Unusable when `home` or the form of the database (`storage/schema.py`) cannot be used.

    The database is that of `client`, a MongoDB client made elsewhere, else the one at `url`. It is
    closed by `stack`. `upload_ttl` is how long an idle upload lives, in seconds.
    """
    database = Database(client if client is not None else connect(url or ""))
    stack.push_async_callback(database.close)
    await agree(database)
    await database.prepare()
    clock = DatabaseClock(database, upload_ttl)
    await clock.sync()
    directory = path_of(home) if scheme(home) == "file" else None
    free_space = FreeSpace(database, free_space_floor, directory=directory)
    storage = assemble_storage(
        database,
        clock,
        free_space,
        home=home,
        s3=s3,
        default_quota=default_quota,
        audit_ttl=audit_ttl,
        observe=observe,
    )
    stack.push_async_callback(storage.blobs.close)
    await free_space.look()
    await storage.webhooks.look()
    return storage
