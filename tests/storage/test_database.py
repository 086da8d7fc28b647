"""The connection to MongoDB: what is prepared, how durable it is, and what its failures mean."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from bson import ObjectId
from mongomock_motor import AsyncMongoMockClient
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import AsyncMongoClient
from pymongo.errors import (
    AutoReconnect,
    DuplicateKeyError,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WriteConcernError,
    WTimeoutError,
)
from structlog.testing import capture_logs

from lading.protocol.errors import LadingError, StorageFull, Unavailable
from lading.protocol.manifest import Piece
from lading.storage import database as module
from lading.storage.collections.chunks import Chunks
from lading.storage.collections.manifests import new_id
from lading.storage.database import (
    Database,
    connect,
    is_address,
    persist,
    translate,
    watch_operations,
)
from tests.support.servers import NOWHERE


class Failing:
    """An operation that fails with each of `errors` in turn, then answers how often it ran."""

    def __init__(self, *errors: PyMongoError) -> None:
        self.errors = list(errors)
        self.runs = 0

    async def __call__(self) -> int:
        self.runs += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.runs


# -- what is prepared


async def test_preparing_makes_the_indexes_and_once_more_is_no_harm(database: Database) -> None:
    await asyncio.gather(*(database.prepare() for _ in range(4)))
    pieces = (await database.chunks.index_information())["pieces"]
    assert pieces["key"] == [("upload_id", 1), ("slice_start", 1), ("size", 1), ("crc32c", 1)]
    assert {"user", "due"} <= set(await database.manifests.index_information())


async def test_after_an_election_what_was_read_is_read_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    election = ["a"]
    monkeypatch.setattr(module, "_election", lambda _: election[0])
    reads = 0

    async def read() -> int:
        nonlocal reads
        reads += 1
        return reads

    async def written() -> Any:
        return await database._elections.find_one({})

    assert await written() is None
    assert await asyncio.gather(*(database.read(read) for _ in range(3))) == [4, 5, 6]
    assert await database._elections.delete_many({})
    assert await database.read(read) == 7
    assert await written() is None
    election[0] = "b"
    assert await database.read(read) == 9
    assert await written() is not None


async def test_without_elections_a_read_is_one_read(database: Database) -> None:
    found = await database.read(lambda: database.manifests.find_one({}))
    assert found is None
    assert await database._elections.find_one({}) is None


async def test_pieces_are_kept_without_compression(database: Database) -> None:
    options = await database.chunks.options()
    assert options["storageEngine"]["wiredTiger"]["configString"] == "block_compressor=none"


async def test_two_servers_prepare_one_database_at_once(database_url: str) -> None:
    servers = [Database(connect(database_url)) for _ in range(4)]
    await asyncio.gather(*(server.prepare() for server in servers))
    for server in servers:
        await server.close()


async def test_what_is_stored_is_told_from_the_index_alone(database: Database) -> None:
    upload_id, chunks = new_id(), Chunks(database)
    for start in range(0, 50, 10):
        await chunks.write(upload_id, Piece(start, 10, start), bytes(10))
    query = {"upload_id": ObjectId(upload_id), "slice_start": {"$gte": 0}}
    shown = {"_id": 0, "slice_start": 1, "size": 1, "crc32c": 1}
    plan = await database.chunks.find(query, shown).sort("slice_start", 1).explain()
    assert plan["executionStats"]["nReturned"] == 5
    assert plan["executionStats"]["totalDocsExamined"] == 0


@pytest.mark.parametrize("name", ["manifests", "chunks"])
async def test_writes_are_durable_and_reads_are_settled(database: Database, name: str) -> None:
    collection = getattr(database, name)
    assert collection.write_concern.document["w"] == "majority"
    assert collection.write_concern.document["j"] is True
    assert collection.write_concern.document["wtimeout"] > 0
    assert collection.read_concern.level == "majority"
    assert collection.read_preference.mode == 0, "reads go to the primary"


# -- addresses


@pytest.mark.parametrize("make", [AsyncMongoClient, AsyncIOMotorClient, AsyncMongoMockClient])
@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("mongodb://host.invalid", "lading"),
        ("mongodb://host.invalid/media", "media"),
        ("mongodb://host.invalid/admin", "lading"),
    ],
)
async def test_the_address_names_the_database(make: Any, address: str, name: str) -> None:
    database = Database(make(address, connect=False))
    assert database.chunks.database.name == name
    await database.close()


@pytest.mark.parametrize(
    ("url", "sound"),
    [
        ("mongodb://localhost", True),
        ("mongodb://user:secret@a:1,b:2/lading?replicaSet=rs", True),
        ("mongodb://", False),
        ("mongodb://host:port", False),
        ("http://host", False),
        ("host", False),
        ("host:27017/lading", False),
    ],
)
async def test_an_address_is_one_that_the_driver_takes(url: str, sound: bool) -> None:
    assert is_address(url) is sound


async def test_a_database_that_answers_is_pinged(each_database: Database) -> None:
    await each_database.ping()


async def test_a_database_that_is_not_there_is_unavailable() -> None:
    client: Any = AsyncMongoClient(NOWHERE, serverSelectionTimeoutMS=50)
    database = Database(client)
    with capture_logs() as logged, pytest.raises(Unavailable):
        await database.ping()
    await database.close()
    (entry,) = logged
    assert entry["error"] == "/nowhere.sock: [Errno 2] No such file or directory"


# -- failures


@pytest.mark.parametrize(
    "error",
    [
        AutoReconnect("lost"),
        NetworkTimeout("late"),
        NotPrimaryError("elsewhere", {"code": 10107}),
        ServerSelectionTimeoutError("none"),
        WTimeoutError("majority not reached", 64),
        WriteConcernError("majority not reached", 64),
        OperationFailure("interrupted at shutdown", 11600),
        OperationFailure("stepped down", 189),
        OperationFailure("again", 1, {"errorLabels": ["RetryableWriteError"]}),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_may_pass_is_tried_again(error: PyMongoError) -> None:
    assert await persist(Failing(error)) == 2


async def test_a_duplicate_is_an_answer() -> None:
    operation = Failing(DuplicateKeyError("there"))
    with pytest.raises(DuplicateKeyError):
        await persist(operation)
    assert operation.runs == 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OperationFailure("disk full", 14031), StorageFull),
        (OperationFailure("not authorized", 13), Unavailable),
        (PyMongoError("whatever"), Unavailable),
    ],
)
async def test_what_will_not_pass_is_told_at_once(
    error: PyMongoError, kind: type[LadingError]
) -> None:
    operation = Failing(error)
    with pytest.raises(kind) as told:
        await persist(operation)
    assert operation.runs == 1
    assert told.value.__cause__ is error
    assert told.value.retryable
    assert isinstance(translate(error), kind)


async def test_trying_again_has_an_end() -> None:
    operation = Failing(*(AutoReconnect("lost") for _ in range(100)))
    with pytest.raises(Unavailable):
        await persist(operation, seconds=0.2)
    assert 1 < operation.runs < 10


async def test_no_secret_of_the_database_reaches_the_client() -> None:
    secret = "mongodb://user:hunter2@10.0.0.7"
    with pytest.raises(Unavailable) as told:
        await persist(Failing(AutoReconnect(secret)), seconds=0)
    assert "hunter2" not in str(told.value.problem())


# -- what is measured


class Orders:
    """A collection, as far as an operation is named after it."""

    async def insert(self, failing: Failing) -> int:
        async def asked() -> int:
            return await failing()

        return await persist(asked)


async def test_whoever_watches_hears_of_each_operation_once_with_its_repetitions() -> None:
    heard: list[tuple[str, str, int]] = []

    def observe(operation: str, outcome: str, seconds: float, retries: int) -> None:
        assert 0 <= seconds < 60
        heard.append((operation, outcome, retries))

    stop = watch_operations(observe)
    try:
        await Orders().insert(Failing(AutoReconnect("lost"), AutoReconnect("lost")))
        with pytest.raises(DuplicateKeyError):
            await Orders().insert(Failing(DuplicateKeyError("there")))
        with pytest.raises(Unavailable):
            await Orders().insert(Failing(OperationFailure("not authorized", 13)))
    finally:
        stop()
    await Orders().insert(Failing())
    assert heard == [
        ("Orders.insert", "ok", 2),
        ("Orders.insert", "ok", 0),
        ("Orders.insert", "failed", 0),
    ]


async def test_a_database_says_how_it_is(database: Database) -> None:
    health = await database.health()
    assert health.memory is not None
    assert health.memory > 2**20
    assert health.majority_lag is None, "no replica set"
