"""What the tests of all rooms share: one real mongod, a database for each test, a real server."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pymongo import MongoClient, monitoring

from lading.storage.database import Database, connect
from lading.storage.embedded.process import EmbeddedMongo
from tests.support.loops import patient
from tests.support.parts import close_homes
from tests.support.seaweedfs import BUCKET, SeaweedFS, seaweedfs
from tests.support.servers import Process, process
from tests.support.shard_keys import ShardKeys
from tests.support.steps import Steps, stepped

Mongo = MongoClient[dict[str, Any]]

_numbers = itertools.count(1)

SHARD_KEYS = ShardKeys()
"""Sees the commands of every client that is made from here on."""

monitoring.register(SHARD_KEYS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The page first: of all files its tests take longest, and one process runs a file whole.

    So there are never two browsers at once.
    """
    items.sort(key=lambda item: item.path.name != "test_page.py")


@pytest.fixture(autouse=True)
def _shard_keys() -> Iterator[None]:
    """No command of a test's work asks a sharded collection without its key."""
    yield
    found, SHARD_KEYS.problems = SHARD_KEYS.problems, []
    assert found == []


@pytest.fixture(scope="session")
def mongod() -> Iterator[str]:
    """The address of a mongod of the tests' own, without the name of a database."""
    # The path of a unix socket must be short: not pytest's own directory.
    with tempfile.TemporaryDirectory(prefix="lt-") as folder, asyncio.Runner() as runner:
        mongo = EmbeddedMongo(Path(folder, "data"))
        runner.run(mongo.start())
        try:
            yield mongo.url
        finally:
            runner.run(mongo.stop())


@pytest.fixture(scope="session", autouse=True)
def _patient_loops() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patient(patch)
        yield


@pytest.fixture(scope="session")
def mongo(mongod: str) -> Iterator[Mongo]:
    """A client to look into the database with."""
    with MongoClient[dict[str, Any]](mongod, tz_aware=True) as client:
        yield client


@pytest.fixture
def database_url(mongod: str, mongo: Mongo) -> Iterator[str]:
    """The address of a database of the test's own, empty, and dropped afterwards."""
    name = f"test{next(_numbers)}"
    yield mongod.replace("/?", f"/{name}?")
    mongo.drop_database(name)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database of the test's own, with its indexes."""
    found = Database(connect(database_url))
    await found.prepare()
    yield found
    await close_homes()
    await found.close()


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """A SeaweedFS with a bucket."""
    with seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as running:
        yield running


@pytest.fixture
def s3_home() -> str:
    """The address of a home of the test's own in the bucket of `seaweed`."""
    return f"s3://{BUCKET}/test{next(_numbers)}"


@pytest.fixture(scope="session")
def shared_url(mongod: str) -> str:
    """The address of the database that `server` and `other_server` work on."""
    return mongod.replace("/?", "/shared?")


@pytest.fixture(scope="session")
def server(shared_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server with the usual settings."""
    with process(tmp_path_factory.mktemp("server"), shared_url) as running:
        yield running


@pytest.fixture(scope="session")
def other_server(shared_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A second server on the same database."""
    with process(tmp_path_factory.mktemp("other"), shared_url) as running:
        yield running


@pytest.fixture
async def steps(database: Database, database_url: str) -> AsyncIterator[Steps]:
    """The test's database once more, one operation at a time."""
    found = stepped(database_url)
    yield found
    await found.close()


@pytest.fixture
async def http(server: Process) -> AsyncIterator[httpx.AsyncClient]:
    """A client of `server` with its token."""
    async with server.http() as client:
        yield client


Kept = Callable[[], tuple[int, int]]


@pytest.fixture
def kept(mongo: Mongo) -> Kept:
    """How many files and uploads, and how many pieces, the servers keep that came during the test.

    Tombstones are not counted; pieces without a manifest are.
    """
    manifests, chunks = mongo["shared"]["manifests"], mongo["shared"]["chunks"]
    for collection in (manifests, chunks, mongo["shared"]["quotas"]):
        collection.delete_many({})

    def count() -> tuple[int, int]:
        live = {"state": {"$in": ["uploading", "ready"]}}
        return manifests.count_documents(live), chunks.count_documents({})

    return count
