"""What the janitor's tests share."""

from __future__ import annotations

import pytest

from lading.storage.database import Database
from tests.support.janitor import Scene


@pytest.fixture
def scene(database: Database) -> Scene:
    """An empty scene on a real mongod."""
    return Scene(database)
