"""The clock that all processes share: the database's, carried on by the steady one."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest
from pymongo import AsyncMongoClient

from protocol.errors import Unavailable
from storage import clock as module
from storage.clock import DatabaseClock
from storage.database import Database
from tests.servers import NOWHERE, until

DAY = 86_400.0


class Elsewhere(Database):
    """A database whose clock is not this machine's."""

    ahead = timedelta()
    asked = 0
    fails = False
    tells_zone = True

    async def now(self) -> datetime | None:
        self.asked += 1
        if self.fails:
            raise Unavailable
        moment = datetime.now(UTC) + self.ahead
        return moment if self.tells_zone else moment.replace(tzinfo=None)


@pytest.fixture
def elsewhere(database: Database) -> Elsewhere:
    return Elsewhere(database.client)


def is_near(clock: DatabaseClock, seconds: float) -> bool:
    return abs(clock() - seconds) < 5


async def test_it_goes_by_the_clock_of_the_database(each_database: Database) -> None:
    clock = DatabaseClock(each_database)
    await clock.sync()
    assert is_near(clock, time.time())


async def test_this_machines_clock_does_not_matter(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() - DAY)
    clock = DatabaseClock(database)
    await clock.sync()
    assert is_near(clock, right())
    monkeypatch.setattr(time, "time", lambda: right() + DAY)
    assert is_near(clock, right()), "nor when it jumps later"


@pytest.mark.parametrize("tells_zone", [True, False])
@pytest.mark.parametrize("days", [-1, 1])
async def test_the_databases_clock_is_right_by_definition(
    elsewhere: Elsewhere, days: int, tells_zone: bool
) -> None:
    elsewhere.ahead, elsewhere.tells_zone = timedelta(days=days), tells_zone
    clock = DatabaseClock(elsewhere)
    await clock.sync()
    assert is_near(clock, time.time() + days * DAY)


async def test_it_goes_on_between_two_looks(
    elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = DatabaseClock(elsewhere)
    await clock.sync()
    steady = time.monotonic
    with monkeypatch.context() as patch:
        # Moved by hand: two calls on end may be closer than a float of Unix seconds can tell.
        patch.setattr(time, "monotonic", lambda: steady() + 30)
        assert is_near(clock, time.time() + 30)
    assert elsewhere.asked == 1


async def test_it_is_looked_at_again_and_survives_a_database_that_is_down(
    elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SYNC_SECONDS", 0.001)
    clock = DatabaseClock(elsewhere)
    await clock.sync()
    keeping = asyncio.create_task(clock.keep())
    elsewhere.fails = True
    before = elsewhere.asked
    await until(lambda: elsewhere.asked > before + 2)
    assert is_near(clock, time.time())
    elsewhere.fails, elsewhere.ahead = False, timedelta(hours=1)
    await until(lambda: is_near(clock, time.time() + 3600))
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    assert keeping.cancelled()


async def test_a_database_that_does_not_answer_is_told_of_at_once() -> None:
    nowhere = Database(AsyncMongoClient(NOWHERE, serverSelectionTimeoutMS=10))
    with pytest.raises(Unavailable):
        await DatabaseClock(nowhere).sync()
    await nowhere.close()
