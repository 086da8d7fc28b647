"""The clients that may be handed in where Lading meets MongoDB."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from mongomock_motor import AsyncMongoMockClient
from motor.motor_asyncio import AsyncIOMotorClient

from lading.storage.database import Database, connect

CLIENTS = ["pymongo", "motor", "mongomock-motor"]


@pytest.fixture(params=CLIENTS)
async def each_database(
    request: pytest.FixtureRequest, database_url: str
) -> AsyncIterator[Database]:
    """A database of the test's own, reached by one client after the other.

    mongomock-motor never yields and knows no durability: no test of these must be about races.
    """
    match request.param:
        case "pymongo":
            client = connect(database_url)
        case "motor":
            client = AsyncIOMotorClient(database_url)
        case _:
            client = AsyncMongoMockClient("mongodb://mock/test")
    found = Database(client)
    await found.prepare()
    yield found
    await found.close()
