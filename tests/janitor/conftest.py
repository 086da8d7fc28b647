"""What the janitor's tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from storage.database import Database
from tests.janitor.scene import Scene
from tests.steps import Steps, stepped


@pytest.fixture
def scene(database: Database) -> Scene:
    """An empty scene on a real mongod."""
    return Scene(database)


@pytest.fixture
async def steps(database: Database, database_url: str) -> AsyncIterator[Steps]:
    """The database of `scene` once more, one operation at a time."""
    found = stepped(database_url)
    yield found
    await found.close()
