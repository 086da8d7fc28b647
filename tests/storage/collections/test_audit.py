"""The audit log in the database: kept for a while, and no reason for anything to fail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import structlog
from pymongo.errors import AutoReconnect

from lading.storage.collections.audit import Act, AuditLog, Entry
from lading.storage.collections.manifests import new_id
from lading.storage.database import Database
from tests.support.clock import NOW


def entry(number: int = 0, **more: Any) -> Entry:
    at = NOW + number
    values: Mapping[str, Any] = {"act": str(Act.CREATED), "user_id": "ann", **more}
    return Entry(id=new_id(at), at=at, **values)


async def test_entries_are_read_the_newest_first_and_filtered(database: Database) -> None:
    log = AuditLog(database, 60.0)
    found = [entry(0), entry(1, user_id="bob"), entry(2, owner="bob", file_id=new_id(NOW))]
    for each in found:
        await log.add(each)
    assert await log.page({}, before=None, most=5) == found[::-1]
    assert await log.page({}, before=found[1].id, most=5) == [found[0]]
    assert await log.page({"user_id": "ann"}, before=None, most=1) == [found[2]]
    assert await log.page({"owner": "bob"}, before=None, most=5) == [found[2]]


async def test_an_entry_has_its_time(database: Database) -> None:
    await AuditLog(database, 60.0).add(entry())
    (document,) = await database.audit.find({}).to_list(None)
    assert document["kept_until"].timestamp() == NOW + 60
    indexes = await database.audit.index_information()
    assert indexes["kept_until"]["expireAfterSeconds"] == 0


async def test_without_a_time_nothing_is_stored(database: Database) -> None:
    await AuditLog(database, 0.0).add(entry())
    assert await database.audit.count_documents({}) == 0


async def test_an_entry_that_cannot_be_stored_is_logged_and_fails_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        async def insert_one(self, _document: object) -> None:
            raise AutoReconnect("gone")

    monkeypatch.setattr(database, "audit", Broken())
    with structlog.testing.capture_logs() as logs:
        await AuditLog(database, 60.0).add(entry())
    (line,) = [each for each in logs if each["event"] == "audit-not-stored"]
    assert (line["act"], line["user_id"]) == ("created", "ann")
