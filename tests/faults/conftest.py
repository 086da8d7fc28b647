"""Fixtures of the faults."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.fault import Base


@pytest.fixture
def base(mongod: str) -> Iterator[Base]:
    """The shared mongod, and a folder whose path is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="lf-") as folder:
        yield Base(mongod, Path(folder))
