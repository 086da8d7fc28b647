"""What the janitor's tests share."""

from __future__ import annotations

import pytest

from storage.database import Database
from tests.janitor.scene import Scene


@pytest.fixture
def scene(database: Database) -> Scene:
    """An empty scene on a real mongod."""
    return Scene(database)
