"""What the client's tests share."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from lading.client.backoff import Timing
from tests.support.fake_server import Fake, running


class Clock:
    """A clock that sleeping moves, so that patience is tested without any.

    Only sleeps between attempts do; those between heartbeats, which are longer, never end.
    """

    LONGEST = 16.0

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        if seconds > self.LONGEST:
            await asyncio.Event().wait()
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)

    def timing(self, chance: float = 1.0) -> Timing:
        return Timing(lambda: self.now, self.sleep, lambda: chance)


AT_ONCE = Timing(random=lambda: 0.0)
"""Real time, but no delay before an attempt."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def fake() -> AsyncIterator[Fake]:
    async with running() as server:
        yield server


@pytest.fixture
def data() -> bytes:
    """Some bytes: 16 cells of the fake server and a bit."""
    return Random(1).randbytes(16 * 64 * 1024 + 1000)


@pytest.fixture
def file(tmp_path: Path, data: bytes) -> Path:
    """A file with these bytes, which nobody has touched for years."""
    path = tmp_path / "movie.mp4"
    path.write_bytes(data)
    os.utime(path, ns=(10**18, 10**18))
    return path
