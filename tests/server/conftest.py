"""The server's parts without a server, as two processes would have them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lading.storage.database import Database
from tests.conftest import Mongo
from tests.support.parts import Parts
from tests.support.servers import Process, process
from tests.support.users import JWT


@pytest.fixture
def parts(database: Database) -> Parts:
    """One process."""
    return Parts(database)


@pytest.fixture
def elsewhere(database: Database, parts: Parts) -> Parts:
    """Another process on the same database."""
    return Parts(database, parts.clock)


@pytest.fixture(scope="session")
def users_server(mongod: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server with users, on a database of its own."""
    url = mongod.replace("/?", "/users?")
    with process(tmp_path_factory.mktemp("users"), url, **JWT) as running:
        yield running


@pytest.fixture(scope="session")
def other_users_server(mongod: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A second server on the same database."""
    url = mongod.replace("/?", "/users?")
    with process(tmp_path_factory.mktemp("others"), url, **JWT) as running:
        yield running


@pytest.fixture
def accounts_url(mongod: str, mongo: Mongo) -> str:
    """The address of a database that all tests of accounts share, one after the other: emptied."""
    database = mongo["accounts"]
    for name in database.list_collection_names():
        database[name].delete_many({})
    return mongod.replace("/?", "/accounts?")
