"""A server that knows users, back ends and admins by their JSON Web Tokens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.server.bearers import JWT
from tests.servers import Process, process


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
