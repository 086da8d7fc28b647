"""The connection to MongoDB: concerns, collections, indexes, and what its failures mean.

Here stand how durable a write and how settled a read must be, and what the driver's errors mean to
Lading. PyMongo's async client is the usual one; a Motor client or mongomock-motor's may be handed
in, since only what all three share is used.
Source: page 2 of the design, "Choices"; page 5, "Promises".
"""

from __future__ import annotations

import asyncio
import inspect
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import structlog
from pymongo import AsyncMongoClient, ReadPreference
from pymongo.errors import (
    CollectionInvalid,
    ConfigurationError,
    ConnectionFailure,
    DuplicateKeyError,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    WriteConcernError,
    WTimeoutError,
)
from pymongo.read_concern import ReadConcern
from pymongo.topology_description import TopologyDescription
from pymongo.write_concern import WriteConcern

from lading.protocol.errors import LadingError, StorageFull, Unavailable

log = structlog.get_logger()

DATABASE = "lading"
"""The database that is used when the address names none."""

_MONGODBS_OWN = ("admin", "config", "local")
"""Named in an address as the place of MongoDB's users; never a place for data."""

DURABLE = WriteConcern(w="majority", j=True, wtimeout=30_000)
"""On a replica set: journaled by most nodes. On a standalone server: in its journal."""

QUICK = WriteConcern(w=1)
"""For what need not survive a power cut: the database has it, perhaps not yet in its journal."""

SETTLED = ReadConcern("majority")
"""Data that was read cannot be rolled back."""

RETRY_SECONDS = 20.0
"""How long an operation is repeated while the database restarts or elects a primary."""

_FULL = (14031,)  # OutOfDiskSpace
_EXISTS = (48,)  # NamespaceExists
_NO_INDEX = (27, None)  # IndexNotFound; mongomock has no numbers

ORDERED = ("name_key", "size", "modified_key", "mime_type")
"""The fields by which finished files are listed, beside their ids."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes: left on the database's disk, reusable inside its files, and of its files in all."""

    free: int
    reusable: int = 0
    files: int = 0


@dataclass(frozen=True, slots=True)
class Health:
    """What a database says about itself; None for what it does not say, or not to this user.

    `memory` is its resident memory in bytes. `majority_lag` is how many seconds most nodes of a
    replica set are behind its primary.
    """

    memory: int | None = None
    majority_lag: float | None = None


Observe = Callable[[str, str, float, int], None]
"""Called with the operation, such as `Chunks.insert`, its outcome (`ok` or `failed`), its seconds,
and how often it was repeated."""

_observers: list[Observe] = []


def watch_operations(observe: Observe) -> Callable[[], None]:
    """Let `observe` hear of every operation of this process; returns what ends that."""
    _observers.append(observe)
    return lambda: _observers.remove(observe)


class Database:
    """The collections of one Lading database, each with the right concerns."""

    def __init__(self, client: Any, name: str | None = None) -> None:
        """`name` is the database to use instead of the one that the client's address names."""
        self.client = client
        self._database = client[name or _named(client)]
        self.manifests = self._collection("manifests")
        self.chunks = self._collection("chunks")
        self.pictures = self._collection("pictures")
        self.quotas = self._collection("quotas")
        self.leases = self._collection("leases")
        self.grants = self._collection("grants")
        self.tags = self._collection("tags")
        self.idempotency = self._collection("idempotency")
        self.webhooks = self._collection("webhooks")
        self.deliveries = self._collection("deliveries")
        self.audit = self._collection("audit", QUICK)
        self.users = self._collection("users")
        self.sessions = self._collection("sessions")
        self.attempts = self._collection("attempts")
        self.passkeys = self._collection("passkeys")
        self.marks = self._collection("marks")
        self._elections = self._collection("elections")
        self._settled: object = None
        self._settling = asyncio.Lock()

    def _collection(self, name: str, write_concern: WriteConcern = DURABLE) -> Any:
        return self._database.get_collection(
            name,
            write_concern=write_concern,
            read_concern=SETTLED,
            read_preference=ReadPreference.PRIMARY,
        )

    async def prepare(self) -> None:
        """Create missing collections and indexes; raises Unavailable."""
        await self.ping()
        # Video does not compress: the block compressor would only cost time.
        options = {"wiredTiger": {"configString": "block_compressor=none"}}
        await self._create("chunks", storageEngine=options)
        await self._create("manifests")
        await self._create("pictures", storageEngine=options)
        covering = [("upload_id", 1), ("slice_start", 1), ("size", 1), ("crc32c", 1)]
        await self.chunks.create_index(covering, name="pieces")
        await self.manifests.create_index([("user_id", 1), ("state", 1), ("_id", -1)], name="user")
        await self._create_lists()
        due = [("state", 1), ("emptied", 1), ("expires_at", 1)]
        await self.manifests.create_index(due, name="due")
        for field in ("kept_as", "former.key"):  # only of files that were replaced
            await self.manifests.create_index(
                field, name=field, partialFilterExpression={field: {"$gt": ""}}
            )
        changed = [("changed_at", 1), ("user_id", 1), ("_id", 1)]
        await self.manifests.create_index(changed, name="changed", sparse=True)
        # It holds only the manifests with steps left, of which there are few.
        undone = {"todo.0": {"$exists": True}}
        await self.manifests.create_index(
            [("todo", 1), ("todo_at", 1)], name="todo_words", partialFilterExpression=undone
        )
        await self.pictures.create_index("upload_id", name="upload_id")
        await self.grants.create_index([("token", 1)], name="token", unique=True)
        await self.grants.create_index([("minter", 1), ("_id", -1)], name="minter")
        links = [("minter", 1), ("action", 1), ("_id", -1)]
        await self.grants.create_index(links, name="minter_action")
        await self.grants.create_index("user_id", name="user_id")
        await self.grants.create_index("kept_until", name="kept_until", expireAfterSeconds=0)
        await self.idempotency.create_index("user_id", name="user_id")
        await self.idempotency.create_index("kept_until", name="kept_until", expireAfterSeconds=0)
        await self.tags.create_index([("user_id", 1), ("name", 1)], name="name", unique=True)
        # What there is of an event is one document; of one subject it is read in order.
        event = [("webhook_id", 1), ("subject", 1), ("number", 1)]
        await self.deliveries.create_index(event, name="event", unique=True)
        due = [("webhook_id", 1), ("state", 1), ("due_at", 1)]
        await self.deliveries.create_index(due, name="due")
        await self.deliveries.create_index([("webhook_id", 1), ("_id", -1)], name="log")
        await self.deliveries.create_index([("state", 1), ("created_at", 1)], name="pending")
        for field in ("user_id", "owner", "file_id"):
            await self.audit.create_index([(field, 1), ("_id", -1)], name=field)
        await self.audit.create_index("kept_until", name="kept_until", expireAfterSeconds=0)
        await self.deliveries.create_index("kept_until", name="kept_until", expireAfterSeconds=0)
        await self.users.create_index("key", name="key", unique=True)
        await self.users.create_index(
            "identity",
            name="identity",
            unique=True,
            partialFilterExpression={"identity": {"$exists": True}},
        )
        await self.sessions.create_index([("user_id", 1), ("used_at", -1)], name="user")
        await self.passkeys.create_index("user_id", name="user_id")
        for short_lived in (self.sessions, self.attempts):
            await short_lived.create_index("kept_until", name="kept_until", expireAfterSeconds=0)

    async def _create_lists(self) -> None:
        """The indexes that lists of files are answered from."""
        tags = [("user_id", 1), ("state", 1), ("tags", 1), ("_id", -1)]
        await self.manifests.create_index(tags, name="user_tags")
        # With the size, so that directories are added up without reading a document.
        sizes = [("user_id", 1), ("state", 1), ("directory", 1), ("_id", -1), ("size", 1)]
        await self.manifests.create_index(sizes, name="user_directories")
        try:
            await self.manifests.drop_index("user_directory")  # its predecessor
        except OperationFailure as error:
            if error.code not in _NO_INDEX:
                raise
        # Only of finished files: an upload that is under way costs them nothing.
        ready = {"state": "ready"}
        for field in ORDERED:
            keys = [("user_id", 1), ("state", 1), (field, 1), ("_id", 1)]
            await self.manifests.create_index(
                keys, name=f"order_{field}", partialFilterExpression=ready
            )

    async def _create(self, name: str, **options: Any) -> None:
        try:
            await self._database.create_collection(name, **options)
        except CollectionInvalid:
            pass  # it is there
        except OperationFailure as error:
            if error.code not in _EXISTS:
                raise
        except NotImplementedError:
            # mongomock knows no storage engines, and has none that could compress.
            await self._database.create_collection(name)

    async def read(self, operation: Callable[[], Awaitable[T]]) -> T:
        """Run a read that misses no acknowledged write; raises Unavailable.

        A node that was just elected has every acknowledged write. But until a write of its own has
        reached the other nodes, its reads show only what it knows most of them to have. So after an
        election such a write is made, and whatever was read before it is read again.
        """
        found = await persist(operation)
        while await self._settle():
            found = await persist(operation)
        return found

    async def _settle(self) -> bool:
        """After an election write something; False if there was none since the last time."""
        if _election(self.client) == self._settled:
            return False
        async with self._settling:
            election = _election(self.client)
            if election != self._settled:
                noted = {"$currentDate": {"at": True}}
                await persist(
                    lambda: self._elections.update_one({"_id": "settled"}, noted, upsert=True)
                )
                self._settled = election
        return True

    async def ping(self) -> None:
        """Raise Unavailable unless the database answers."""
        await persist(lambda: self._database.command("ping"), seconds=0)

    async def now(self) -> datetime | None:
        """The database's own time; None from a stand-in that has none."""
        try:
            answer = await self._database.command("hello")
        except NotImplementedError:
            return None
        moment = answer.get("localTime")
        return moment if isinstance(moment, datetime) else None

    async def space(self) -> Space | None:
        """What is left on the disk of the database; None when the server does not report it."""
        command = {"dbStats": 1, "freeStorage": 1}  # MongoDB older than 5.0 ignores the second
        try:
            answer = await persist(lambda: self._database.command(command), seconds=0)
        except NotImplementedError:
            return None
        total, used = answer.get("fsTotalSize"), answer.get("fsUsedSize")
        if total is None or used is None:
            return None
        reusable, files = answer.get("freeStorageSize", 0), answer.get("storageSize", 0)
        return Space(int(total - used), int(reusable), int(files))

    async def command(self, name: str) -> dict[str, Any]:
        """The answer of a command of the database about itself; raises Unavailable."""
        found: dict[str, Any] = await persist(lambda: self._database.command(name), seconds=0)
        return found

    async def health(self) -> Health:
        """What the database says about itself; raises Unavailable."""
        await self.ping()
        return Health(await self._memory(), await self._majority_lag())

    async def _memory(self) -> int | None:
        try:
            found = await self._database.command("serverStatus", mem=1)
        except (NotImplementedError, PyMongoError):
            return None  # a stand-in knows no such command, and a user may not be allowed it
        resident = found.get("mem", {}).get("resident")
        return None if resident is None else int(resident) * 2**20

    async def _majority_lag(self) -> float | None:
        try:
            found = await self._database.command("hello")
        except (NotImplementedError, PyMongoError):
            return None  # a stand-in knows no such command; without an answer the lag is unknown
        last = found.get("lastWrite", {})
        if "lastWriteDate" not in last or "majorityWriteDate" not in last:
            return None
        lag: float = (last["lastWriteDate"] - last["majorityWriteDate"]).total_seconds()
        return max(0.0, lag)

    async def compact(self) -> None:
        """Give what can be reused among the pieces back to the disk; raises Unavailable.

        Takes as long as it takes to move the pieces behind it. Others can read and write meanwhile.
        """
        await persist(lambda: self._database.command("compact", "chunks"), seconds=0)

    async def close(self) -> None:
        """Close the client. PyMongo's close is awaited, Motor's and mongomock's is not."""
        closing = self.client.close()
        if inspect.isawaitable(closing):
            await closing


def _election(client: Any) -> object:
    """The id of the last election that the driver knows of; None without a replica set."""
    description = getattr(client, "topology_description", None)
    return description.max_election_id if isinstance(description, TopologyDescription) else None


def _named(client: Any) -> str:
    name: str = client.get_default_database(DATABASE).name
    return DATABASE if name in _MONGODBS_OWN else name


def connect(url: str) -> Any:
    """A client for `url`, without compression, which would only copy the bytes once more."""
    return AsyncMongoClient(
        url,
        serverSelectionTimeoutMS=5_000,
        connectTimeoutMS=5_000,
        # A primary that hangs is left when a heartbeat is late by connectTimeoutMS: after 7 s.
        heartbeatFrequencyMS=2_000,
        compressors=[],
        tz_aware=True,
        appname="lading",
    )


def is_address(url: str) -> bool:
    """Whether the driver accepts `url` as the address of a database.

    It also takes a bare word, for the name of a host.
    """
    if not url.startswith(("mongodb://", "mongodb+srv://")):
        return False
    try:
        AsyncMongoClient(url, connect=False)
    except (ConfigurationError, PyMongoError, ValueError):
        return False
    return True


def translate(error: PyMongoError) -> LadingError:
    """The error of Lading for a failure of the database."""
    if isinstance(error, OperationFailure) and error.code in _FULL:
        return StorageFull("The database's disk is full; try again when there is space.")
    return Unavailable("The database does not answer; try again.")


def cause_of(error: BaseException) -> str:
    """What failed, in one short line, without the driver's timeouts and view of the topology."""
    lines = str(error).splitlines() or [""]
    return re.split(r" \(configured timeouts: |, Timeout: |, full error: ", lines[0])[0][:200]


def _may_pass(error: PyMongoError) -> bool:
    """Whether the same operation can succeed a moment later."""
    if isinstance(error, (ConnectionFailure, WTimeoutError, WriteConcernError, ExecutionTimeout)):
        return True
    return isinstance(error, OperationFailure) and bool(
        error.has_error_label("RetryableWriteError") or error.code in (91, 189, 11600, 11602)
    )


async def persist(operation: Callable[[], Awaitable[T]], seconds: float = RETRY_SECONDS) -> T:
    """Run one operation, and repeat it while the database restarts or elects a primary.

    Every operation of this package means the same when it is done twice. DuplicateKeyError passes
    through, since it is an answer.
    """
    begun, retries, outcome = time.perf_counter(), 0, "failed"
    end, pause = begun + seconds, 0.05
    try:
        while True:
            try:
                found = await operation()
            except DuplicateKeyError:
                outcome = "ok"
                raise
            except PyMongoError as error:
                if not _may_pass(error) or time.perf_counter() + pause > end:
                    log.warning("database-error", error=cause_of(error), kind=type(error).__name__)
                    raise translate(error) from error
            else:
                outcome = "ok"
                return found
            await asyncio.sleep(pause)
            pause, retries = min(pause * 2, 1.0), retries + 1
    finally:
        for observe in _observers:
            observe(_name(operation), outcome, time.perf_counter() - begun, retries)


def _name(operation: object) -> str:
    """The method that asks, such as `Chunks.insert`: there are as many as the code has."""
    words = getattr(operation, "__qualname__", "").split(".<locals>")[0].split(".")
    return ".".join(words[-2:]) or "other"
