"""The server's parts without a server, as two processes would have them."""

from __future__ import annotations

import pytest

from storage.database import Database
from tests.parts import Parts


@pytest.fixture
def parts(database: Database) -> Parts:
    """One process."""
    return Parts(database)


@pytest.fixture
def elsewhere(database: Database, parts: Parts) -> Parts:
    """Another process on the same database."""
    return Parts(database, parts.clock)
