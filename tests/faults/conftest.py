"""Fixtures of the faults."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.fault import Base
from tests.support.seaweedfs import SeaweedFS


@pytest.fixture
def base(mongod: str, request: pytest.FixtureRequest) -> Iterator[Base]:
    """The shared mongod and SeaweedFS, and a folder whose path is short enough for sockets."""

    def seaweed() -> SeaweedFS:
        found = request.getfixturevalue("seaweed")
        assert isinstance(found, SeaweedFS)
        return found

    with tempfile.TemporaryDirectory(prefix="lf-") as folder:
        yield Base(mongod, Path(folder), seaweed)
