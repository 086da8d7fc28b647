"""The database's clock is set forward by a day while uploads go on in two server processes, each
with its janitor, and another janitor begins right after it. What lives is not expired.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from lading.janitor.sweep import Sweeper
from lading.protocol.digests import crc32c
from lading.protocol.manifest import State
from lading.protocol.spec import UploadSpec
from lading.server.uploads import OpenUpload
from lading.storage.clock import DatabaseClock
from lading.storage.database import Database
from tests.support.clock import NOW, Clock
from tests.support.parts import ANN, CELL, TOMBSTONE_TTL, TTL, Parts

PIECE = b"x" * CELL
STEP = 25 * 3600.0


@dataclass
class Time:
    """What passes, and by how much the database's clock is set forward."""

    passed: float = 1000.0
    set_by: float = 0.0


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Time:
    found = Time()

    async def now(_database: Database) -> datetime:
        return datetime.fromtimestamp(NOW, UTC) + timedelta(seconds=found.passed + found.set_by)

    monkeypatch.setattr(Database, "now", now)
    return found


class Shared(Clock):
    """The clock of a process, as its parts know it."""

    def __init__(self, clock: DatabaseClock) -> None:
        self._clock = clock

    def __call__(self) -> float:
        return self._clock()


class Server:
    """One process, with its janitor."""

    def __init__(self, database: Database, hands: Time) -> None:
        self.clock = DatabaseClock(database, TTL, steady=lambda: hands.passed)
        self.parts = Parts(database, Shared(self.clock))
        self.sweeper = Sweeper(
            self.parts.manifests,
            self.parts.blobs,
            self.parts.quotas,
            self.parts.storage.grants,
            clock=self.clock,
            tombstone_ttl=TOMBSTONE_TTL,
            settled=lambda: self.clock.settled,
        )

    async def begin(self) -> OpenUpload:
        return await self.parts.uploads.create(ANN, UploadSpec(name="a.bin", size=CELL * 10_000))

    async def state(self, upload: OpenUpload) -> State:
        found = await self.parts.manifests.get(upload.manifest.id)
        assert found is not None
        return found.state


async def started(database: Database, hands: Time) -> Server:
    server = Server(database, hands)
    await server.clock.sync()
    return server


@pytest.mark.parametrize("step", [STEP, 3600.0])
async def test_of_all_that_lives_nothing_is_expired(
    database: Database, hands: Time, step: float
) -> None:
    first, second = [await started(database, hands) for _ in range(2)]
    paused, moving = await first.begin(), await second.begin()
    for cell in range(30):
        second_passed = 10 * cell
        if second_passed == 20:
            hands.set_by = step
        if second_passed == 30:
            late = await second.begin()
        fresh = await started(database, hands)
        for server in (fresh, first, second):
            await server.sweeper.sweep()
            for upload in (paused, moving):
                assert await server.state(upload) is State.UPLOADING, second_passed
        await second.parts.uploads.write(moving, cell * CELL, PIECE, crc32c(PIECE))
        hands.passed += 10
        # They look once a minute, one after the other.
        if second_passed % 60 == 30:
            await first.clock.sync()
        if second_passed % 60 == 50:
            await second.clock.sync()
    assert await first.state(late) is State.UPLOADING
    for upload in (paused, late):
        opened, _ = await first.parts.uploads.resume(ANN, upload.manifest.id)
        assert opened.manifest.expires_at == first.clock() + TTL


async def test_who_never_comes_back_is_expired_all_the_same(
    database: Database, hands: Time
) -> None:
    server = await started(database, hands)
    stalled = await server.begin()
    hands.set_by = STEP
    await server.clock.sync()
    hands.passed += TTL - 1
    await server.sweeper.sweep()
    assert await server.state(stalled) is State.UPLOADING
    hands.passed += 1
    await server.sweeper.sweep()
    assert await server.state(stalled) is State.EXPIRED
