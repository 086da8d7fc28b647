"""The clock that all processes share: the database's, carried on by the steady one; and what it is
worth when it was set."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from pymongo import AsyncMongoClient

from lading.protocol.errors import Unavailable
from lading.protocol.manifest import Manifest, State
from lading.storage import clock as module
from lading.storage.clock import SYNC_SECONDS, DatabaseClock
from lading.storage.collections.manifests import Manifests, new_id
from lading.storage.database import Database
from tests.support.servers import NOWHERE, until

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


async def test_it_goes_on_between_two_looks(elsewhere: Elsewhere) -> None:
    passed = [0.0]
    clock = DatabaseClock(elsewhere, steady=lambda: module.steady_seconds() + passed[0])
    await clock.sync()
    # Moved by hand: two calls in a row may be closer than a float of Unix seconds can tell.
    passed[0] = 30.0
    assert is_near(clock, time.time() + 30)
    assert elsewhere.asked == 1


async def test_it_is_looked_at_again_and_survives_a_database_that_is_down(
    elsewhere: Elsewhere,
) -> None:
    clock = DatabaseClock(elsewhere, sync_seconds=0.001)
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


# -- the database's clock is set


NOW = 1_790_000_000.0
TTL = DAY
UNSETTLED = module.LOOKS * module.SYNC_SECONDS


@dataclass
class Time:
    """What the steady clocks of all processes say, and by how much the database's is ahead."""

    steady: float = 1000.0
    ahead: float = 0.0
    delay: float = 0.0
    """How long the database takes to answer."""
    looks: int = 0

    @property
    def now(self) -> float:
        return NOW + self.steady + self.ahead


class Settable(Database):
    """A database whose clock is set by hand."""

    time: Time

    async def now(self) -> datetime | None:
        moment = datetime.fromtimestamp(self.time.now, UTC)
        self.time.steady += self.time.delay
        self.time.looks += 1
        return moment


@pytest.fixture
def hands() -> Time:
    return Time()


@pytest.fixture
def settable(database: Database, hands: Time) -> Settable:
    found = Settable(database.client)
    found.time = hands
    return found


async def begun(database: Settable, sync_seconds: float = SYNC_SECONDS) -> DatabaseClock:
    """The clock of a process that begins now."""
    clock = DatabaseClock(
        database, TTL, steady=lambda: database.time.steady, sync_seconds=sync_seconds
    )
    await clock.sync()
    return clock


async def upload(database: Database, expires_at: float, state: State = State.UPLOADING) -> str:
    manifest = Manifest(
        id=new_id(), user_id="ann", name="a", size=1, chunk_size=1024, state=state,
        created_at=NOW, updated_at=NOW, expires_at=expires_at,
    )  # fmt: skip
    await Manifests(database).create(manifest)
    return manifest.id


async def ends(database: Database, upload_id: str) -> float | None:
    found = await Manifests(database).get(upload_id)
    assert found is not None
    return found.expires_at


async def test_who_lives_through_a_step_gives_all_uploads_their_time_again(
    settable: Settable, hands: Time
) -> None:
    clock = await begun(settable)
    assert clock.settled
    alive, dead = await upload(settable, hands.now + 60), hands.now + 60
    tombstone = await upload(settable, dead, State.EXPIRED)
    longer = await upload(settable, hands.now + 10 * DAY)
    kept = await ends(settable, longer)
    hands.steady += 60
    hands.ahead = 25 * 3600
    assert clock() == hands.now - hands.ahead, "until the next look"
    await clock.sync()
    assert clock() == hands.now
    assert await ends(settable, alive) == hands.now + TTL
    assert (await ends(settable, tombstone), await ends(settable, longer)) == (dead, kept)


async def test_until_all_others_have_noticed_it_is_not_settled(
    settable: Settable, hands: Time
) -> None:
    first = await begun(settable)
    hands.steady += 30
    second = await begun(settable)
    hands.ahead = DAY
    hands.steady += 30
    await first.sync()
    assert (first.settled, second.settled) == (False, True), "the second goes by the old time"
    behind = await upload(settable, second() + TTL)
    assert await ends(settable, behind) == hands.now - DAY + TTL
    hands.steady += 30
    await second.sync()
    assert not second.settled
    assert await ends(settable, behind) == hands.now + TTL
    hands.steady += UNSETTLED - 31
    assert not first.settled
    hands.steady += 1
    assert (first.settled, second.settled) == (True, False)


async def test_who_begins_after_a_step_is_not_settled_either(
    settable: Settable, hands: Time
) -> None:
    witness = await begun(settable)
    hands.ahead = DAY
    hands.steady += 1
    for _ in range(3):
        assert not (await begun(settable)).settled, "and none takes the doubt from the next one"
    hands.steady += 59
    await witness.sync()
    late = await begun(settable)
    assert not late.settled
    hands.steady += UNSETTLED
    assert late.settled
    await witness.sync()
    assert (await begun(settable)).settled


async def test_without_a_step_it_is_settled_at_once(settable: Settable, hands: Time) -> None:
    assert (await begun(settable)).settled
    for seconds in (1, 59, UNSETTLED, TTL / 4):
        hands.steady += seconds
        assert (await begun(settable)).settled
    hands.ahead -= 3 * DAY
    assert (await begun(settable)).settled, "set back nothing looks old"


async def test_after_a_long_time_without_any_process_it_settles(
    settable: Settable, hands: Time
) -> None:
    clock = await begun(settable)
    hands.steady += 3 * DAY
    clock = await begun(settable, sync_seconds=0.001)
    assert not clock.settled

    settling = asyncio.create_task(clock.settle())
    looks = hands.looks
    await until(lambda: hands.looks > looks + 2)
    assert not settling.done()
    hands.steady += UNSETTLED
    await settling
    assert clock.settled
    assert (await begun(settable)).settled


async def test_an_answer_that_comes_late_is_not_a_step(settable: Settable, hands: Time) -> None:
    clock = await begun(settable)
    before = await upload(settable, hands.now + 60)
    end = await ends(settable, before)
    for delay in (0.0, 20.0, 0.0):
        hands.delay = delay
        hands.steady += 60
        await clock.sync()
    assert clock.settled
    assert await ends(settable, before) == end


async def test_a_step_that_cannot_be_mended_yet_is_noticed_again(
    settable: Settable, hands: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = await begun(settable)
    alive = await upload(settable, hands.now + 60)
    hands.ahead = DAY

    async def down(*_: object) -> None:
        raise Unavailable

    with monkeypatch.context() as patch:
        patch.setattr(Manifests, "renew", down)
        with pytest.raises(Unavailable):
            await clock.sync()
    assert clock() == hands.now - DAY, "the old time still counts"
    await clock.sync()
    assert await ends(settable, alive) == hands.now + TTL


async def test_a_database_that_does_not_answer_is_told_of_at_once() -> None:
    nowhere = Database(AsyncMongoClient(NOWHERE, serverSelectionTimeoutMS=10))
    with pytest.raises(Unavailable):
        await DatabaseClock(nowhere).sync()
    await nowhere.close()
