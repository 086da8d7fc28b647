"""The listener that every test runs under judges commands, and sees the real ones."""

from __future__ import annotations

from typing import Any

import pytest
from bson import ObjectId

from lading.storage.collections.chunks import Chunks
from lading.storage.collections.manifests import new_id
from lading.storage.database import Database
from tests.conftest import SHARD_KEYS
from tests.support.shard_keys import problem, queries

ID = ObjectId()


@pytest.mark.parametrize(
    ("collection", "kind", "query"),
    [
        ("chunks", "find", {"_id": b"x"}),
        ("chunks", "delete", {"_id": b"x"}),
        ("chunks", "delete many", {"_id": {"$in": [b"x"]}}),
        ("chunks", "update", {}),
        ("chunks", "delete many", {"upload_id": {"$gt": ID}}),
        ("manifests", "update", {"user_id": "ann"}),
        ("manifests", "delete", {"state": "deleted"}),
        ("manifests", "find", {"fingerprint": "x"}),
        ("manifests", "update", {"_id": {"$in": [ID]}}),
    ],
)
def test_a_command_without_its_key_is_a_problem(
    collection: str, kind: str, query: dict[str, Any]
) -> None:
    assert problem(collection, kind, query) is not None


@pytest.mark.parametrize(
    ("collection", "kind", "query"),
    [
        ("chunks", "find", {"upload_id": ID, "_id": b"x"}),
        ("chunks", "delete many", {"upload_id": ID, "_id": {"$in": [b"x"]}}),
        ("manifests", "update", {"_id": ID, "state": {"$in": ["ready"]}}),
        ("manifests", "find", {"user_id": "ann", "state": "ready"}),
        ("manifests", "find", {"$or": []}),
    ],
)
def test_a_command_with_its_key_or_on_the_list_is_none(
    collection: str, kind: str, query: dict[str, Any]
) -> None:
    assert problem(collection, kind, query) is None


def test_the_filters_of_every_kind_of_command_are_found() -> None:
    q = {"_id": 1}
    many = {"q": q, "u": {}, "multi": True}
    assert queries("update", {"updates": [{"q": q, "u": {}}, many]}) == [
        ("update", q),
        ("update many", q),
    ]
    deletes = [{"q": q, "limit": 1}, {"q": q, "limit": 0}]
    assert queries("delete", {"deletes": deletes}) == [("delete", q), ("delete many", q)]
    assert queries("findAndModify", {"query": q}) == [("update", q)]
    assert queries("find", {"filter": q}) == [("find", q)]
    assert queries("count", {"query": q}) == [("count", q)]
    assert queries("distinct", {"query": q}) == [("distinct", q)]
    assert queries("aggregate", {"pipeline": [{"$match": q}]}) == [("aggregate", q)]
    assert queries("insert", {"documents": [q]}) == []


async def test_the_commands_of_the_collections_are_seen_and_those_of_a_test_are_not(
    database: Database,
) -> None:
    before = SHARD_KEYS.judged
    await Chunks(database).at(new_id(), 0)
    assert SHARD_KEYS.judged == before + 1
    await database.chunks.find_one({"size": 1})
    assert SHARD_KEYS.judged == before + 1
    assert SHARD_KEYS.problems == []
