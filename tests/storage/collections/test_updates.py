"""Manifests that are changed at one moment: one operation, and each caller hears of its own."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pymongo.errors import AutoReconnect, BulkWriteError

from lading.protocol.errors import StorageFull, Unavailable
from lading.protocol.manifest import Manifest, State
from lading.storage.collections.inserts import AT_ONCE
from lading.storage.collections.manifest_documents import moment
from lading.storage.collections.manifests import Manifests, new_id
from lading.storage.collections.updates import Updates
from lading.storage.database import Database
from tests.support.manifests import begun
from tests.support.servers import give_up_soon

NOW = 1_700_000_000.123456


def manifest() -> Manifest:
    return begun(id=new_id(NOW), name="a", size=5)


class Watched:
    """A collection that waits until it is let go, keeps what it was asked, and may fail."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.asked: list[str] = []
        self.go = asyncio.Event()
        self.failures: list[Exception] = []
        self.lose_answers = 0

    def find(self, *given: Any) -> Any:
        return self._inner.find(*given)

    async def find_one_and_update(self, *given: Any, **options: Any) -> Any:
        self.asked.append("one")
        await self.go.wait()
        return await self._inner.find_one_and_update(*given, **options)

    async def bulk_write(self, writes: list[Any], **options: Any) -> Any:
        self.asked.append(f"{len(writes)} together")
        await self.go.wait()
        if self.failures:
            raise self.failures.pop(0)
        done = await self._inner.bulk_write(writes, **options)
        if self.lose_answers:
            self.lose_answers -= 1
            raise AutoReconnect("the answer is lost")
        return done


def publish(updates: Updates, which: Manifest) -> Any:
    """Make an upload of five bytes ready."""
    ready = {"state": "ready", "upload_end": True, "updated_at": moment(NOW), "crc32c": 7}
    return updates.update(which.id, (State.UPLOADING,), {"$set": ready})


async def asked_for(*asked: Any) -> list[asyncio.Task[Any]]:
    """Ask for changes at once; what can begin has begun on return."""
    tasks = [asyncio.ensure_future(each) for each in asked]
    for _ in range(5):
        await asyncio.sleep(0)
    return tasks


async def together(watched: Watched, updates: Updates, asked: list[Any]) -> list[Any]:
    """What becomes of changes that wait for `AT_ONCE` others, and so go together."""
    others: list[asyncio.Task[Any]] = []
    for _ in range(AT_ONCE):
        others += await asked_for(publish(updates, manifest()))  # of one that is not there
    tasks = await asked_for(*asked)
    watched.go.set()
    await asyncio.gather(*others)
    return await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def stored(each_database: Database) -> list[Manifest]:
    found = [manifest() for _ in range(5)]
    for each in found:
        await Manifests(each_database).create(each)
    return found


async def test_changes_that_wait_go_together(
    each_database: Database, stored: list[Manifest]
) -> None:
    watched = Watched(each_database.manifests)
    updates = Updates(watched)
    found = await together(watched, updates, [publish(updates, each) for each in stored])
    assert [each.id for each in found] == [each.id for each in stored]
    assert {(each.state, each.crc32c) for each in found} == {(State.READY, 7)}
    assert watched.asked[:3] == ["one"] * AT_ONCE + ["5 together"]
    again = [await Manifests(each_database).get(each.id) for each in stored]
    assert again == found


async def test_who_is_alone_goes_by_an_operation_of_its_own(
    each_database: Database, stored: list[Manifest]
) -> None:
    watched = Watched(each_database.manifests)
    watched.go.set()
    found = await publish(Updates(watched), stored[0])
    assert (found.state, watched.asked) == (State.READY, ["one"])


async def test_one_that_is_not_made_is_none_and_spoils_no_other(
    each_database: Database, stored: list[Manifest]
) -> None:
    gone = stored[1]
    await Manifests(each_database).mark_deleted(
        gone.id, now=NOW + 1, becomes=State.DELETED, until=NOW + 9, only=(State.UPLOADING,)
    )
    watched = Watched(each_database.manifests)
    updates = Updates(watched)
    asked = [publish(updates, each) for each in (*stored, manifest())]
    found = await together(watched, updates, asked)
    assert [each is None for each in found] == [False, True, False, False, False, True]


async def test_of_two_for_one_manifest_one_is_made(
    each_database: Database, stored: list[Manifest]
) -> None:
    watched = Watched(each_database.manifests)
    updates = Updates(watched)
    asked = [publish(updates, each) for each in (*stored, *stored)]
    found = await together(watched, updates, asked)
    assert [each is None for each in found] == [False] * 5 + [True] * 5


async def test_what_somebody_changed_since_is_still_this_callers(
    each_database: Database, stored: list[Manifest]
) -> None:
    renamed = False

    class Renamed(Watched):
        def find(self, *given: Any) -> Any:
            return _After(super().find(*given))

    class _After:
        def __init__(self, cursor: Any) -> None:
            self._cursor = cursor

        async def to_list(self, most: Any) -> Any:
            nonlocal renamed
            renamed = True
            await Manifests(each_database).change(stored[0].id, name="b", now=NOW + 5)
            return await self._cursor.to_list(most)

    watched = Renamed(each_database.manifests)
    updates = Updates(watched)
    found = await together(watched, updates, [publish(updates, each) for each in stored])
    assert [each.state for each in found] == [State.READY] * 5
    # mongomock's are made one by one, and nothing is looked up.
    assert found[0].name == ("b" if renamed else "a")
    assert found[0].updated_at == pytest.approx(NOW, abs=0.001)


async def test_an_answer_that_is_lost_is_found_again(
    each_database: Database, stored: list[Manifest]
) -> None:
    watched = Watched(each_database.manifests)
    watched.lose_answers = 1
    updates = Updates(watched)
    found = await together(watched, updates, [publish(updates, each) for each in stored])
    assert [each.id for each in found] == [each.id for each in stored]


async def test_a_failure_of_the_connection_is_everybodys(
    each_database: Database, stored: list[Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    give_up_soon(monkeypatch)
    watched = Watched(each_database.manifests)
    watched.failures = [AutoReconnect("gone")] * 20
    updates = Updates(watched)
    found = await together(watched, updates, [publish(updates, each) for each in stored])
    assert {type(each) for each in found} == {Unavailable}


async def test_a_write_that_is_refused_has_its_own_reason(
    each_database: Database, stored: list[Manifest]
) -> None:
    """The others are looked up: which of them were made, the answer does not say."""
    watched = Watched(each_database.manifests)
    for each in stored[1:]:
        facts: dict[str, Any] = {"size": 5, "crc32c": 7, "sha256": None, "mime": "a/b"}
        await Manifests(each_database).finish(each.id, now=NOW, **facts)
    refused = {"index": 0, "code": 14031, "errmsg": "no"}
    watched.failures = [BulkWriteError({"writeErrors": [refused], "nMatched": 4})]
    updates = Updates(watched)
    found = await together(watched, updates, [publish(updates, each) for each in stored])
    assert isinstance(found[0], StorageFull)
    assert [each.id for each in found[1:]] == [each.id for each in stored[1:]]
