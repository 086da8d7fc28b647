"""Documents that wait at the same moment are one insert, and each caller hears of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    DuplicateKeyError,
    OperationFailure,
    WriteConcernError,
    WTimeoutError,
)

from lading.storage.collections.inserts import AT_ONCE, MOST_BYTES, Inserts
from lading.storage.database import Database

MIB = 2**20


class Held:
    """A collection whose operations wait until they are let go. It keeps how many writes each had,
    and can fail those with several."""

    def __init__(self, inner: Any = None) -> None:
        self._inner = inner
        self.writes: list[int] = []
        self.go = asyncio.Event()
        self.failure: Exception | None = None

    def __getattr__(self, name: str) -> Callable[..., Any]:
        async def operation(*given: Any, **options: Any) -> Any:
            many = isinstance(given[0], list)
            self.writes.append(len(given[0]) if many else 1)
            await self.go.wait()
            if many and self.failure is not None:
                raise self.failure
            if self._inner is not None:
                return await getattr(self._inner, name)(*given, **options)
            return None

        return operation


async def begun(*asked: Any) -> list[asyncio.Task[Any]]:
    """Ask for writes at once; what can begin has begun on return."""
    tasks = [asyncio.ensure_future(each) for each in asked]
    for _ in range(5):
        await asyncio.sleep(0)
    return tasks


async def outcomes(tasks: list[asyncio.Task[Any]]) -> list[Any]:
    return await asyncio.gather(*tasks, return_exceptions=True)


async def inserting(inserts: Inserts, keys: range, size: int = MIB) -> list[asyncio.Task[Any]]:
    return await begun(*(inserts.insert({"_id": key}, size) for key in keys))


async def behind_others(held: Held, keys: range) -> list[Any]:
    """What becomes of inserts that wait for `AT_ONCE` others, and so go together."""
    inserts, others = Inserts(held), []
    for other in range(AT_ONCE):
        others += await inserting(inserts, range(100 + other, 101 + other))
    tasks = await inserting(inserts, keys)
    held.go.set()
    assert await outcomes(others) == [None] * AT_ONCE
    return await outcomes(tasks)


async def test_inserts_that_wait_go_together(each_database: Database) -> None:
    held = Held(each_database.chunks)
    assert await behind_others(held, range(10)) == [None] * 10
    assert sorted(held.writes) == [1, 1, 2, 4, 4]  # MiB
    assert await each_database.chunks.count_documents({}) == 10 + AT_ONCE


async def test_small_ones_count_for_more_than_they_are() -> None:
    held = Held()
    inserts = Inserts(held)
    for other in range(AT_ONCE):
        await inserting(inserts, range(other, other + 1))
    tasks = await begun(*(inserts.insert({"_id": key}) for key in range(1000)))
    held.go.set()
    await outcomes(tasks)
    assert max(held.writes) == MOST_BYTES // (16 * 1024)


async def test_one_that_is_taken_spoils_none_of_the_others(each_database: Database) -> None:
    await each_database.chunks.insert_one({"_id": 1})
    held = Held(each_database.chunks)
    found = await behind_others(held, range(4))
    assert [each is None for each in found] == [True, False, True, True]
    assert isinstance(found[1], DuplicateKeyError)
    assert held.writes[-1] == 4
    assert await each_database.chunks.count_documents({}) == 4 + AT_ONCE


async def _failing(failure: Exception) -> list[Any]:
    """What three callers hear whose one operation failed."""
    held = Held()
    held.failure = failure
    return await behind_others(held, range(3))


async def test_a_failure_of_the_connection_is_everybodys() -> None:
    failure = AutoReconnect("gone")
    assert await _failing(failure) == [failure] * 3


async def test_each_document_that_is_refused_has_its_own_reason() -> None:
    full = {"index": 0, "code": 14031, "errmsg": "no space"}
    taken = {"index": 2, "code": 11000, "errmsg": "E11000"}
    found = await _failing(BulkWriteError({"writeErrors": [full, taken]}))
    assert isinstance(found[0], OperationFailure)
    assert found[0].code == 14031
    assert found[1] is None
    assert isinstance(found[2], DuplicateKeyError)


LATE = {"code": 64, "errmsg": "late"}


@pytest.mark.parametrize(
    ("info", "kind"), [({"wtimeout": True}, WTimeoutError), (None, WriteConcernError)]
)
async def test_what_is_stored_but_perhaps_not_durable_has_failed(
    info: object, kind: type[Exception]
) -> None:
    taken = {"index": 1, "code": 11000, "errmsg": "E11000"}
    details = {"writeErrors": [taken], "writeConcernErrors": [{**LATE, "errInfo": info}]}
    found = await _failing(BulkWriteError(details))
    assert [type(each) for each in found] == [kind, DuplicateKeyError, kind]
