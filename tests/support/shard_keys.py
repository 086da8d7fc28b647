"""Does every command on a sharded collection name the shard key? A listener that sees all of them.

`manifests` is sharded on hashed `_id`, `chunks` and `pictures` on hashed `upload_id`
(`docs/decisions/0031`). The listener sees the commands of every PyMongo client of this process. It
judges those that come from `storage/collections/`, found on the stack; a test may look into the
database as it likes. Motor's commands run in threads, where that stack is not seen, and the servers
that tests start as processes of their own are not seen either: they run the same code as the
servers inside.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from bson import ObjectId
from pymongo import monitoring

from lading.storage import collections

FOLDER = str(Path(next(iter(collections.__path__))))

SCATTERED: dict[tuple[str, str, frozenset[str]], str] = {
    ("chunks", "find", frozenset()): "the audit looks for the first upload that has pieces",
    ("chunks", "find", frozenset({"upload_id>"})): "the audit looks for the next one",
    ("manifests", "find", frozenset()): "the audit reads all manifests",
    ("manifests", "find", frozenset({"_id>"})): "the audit reads all manifests",
    ("manifests", "find", frozenset({"state"})): "at its start a server asks for the largest cell",
    ("manifests", "find", frozenset({"$or"})): (
        "the sweep asks what is due; the audit, which file has bytes that replaced others"
    ),
    ("manifests", "find", frozenset({"$or", "_id>"})): "the sweep asks what is due",
    ("manifests", "find", frozenset({"state", "$or"})): "`lading move` asks what is not at home",
    ("manifests", "find", frozenset({"state", "$or", "_id>"})): (
        "`lading move` asks what is not at home"
    ),
    ("manifests", "find", frozenset({"todo.0", "todo", "todo_at"})): (
        "a server asks what is to be done"
    ),
    ("manifests", "find", frozenset({"todo.0"})): "the metrics ask how old the backlog is",
    ("manifests", "aggregate", frozenset({"todo.0"})): "the metrics ask how large it is",
    ("manifests", "aggregate", frozenset({"state", "emptied"})): (
        "the metrics ask how many files are in the trash"
    ),
    ("manifests", "find", frozenset({"state", "_id>"})): "`lading images` asks for all files",
    ("pictures", "find", frozenset()): "the audit looks for the first file that has pictures",
    ("pictures", "find", frozenset({"upload_id>"})): "the audit looks for the next one",
    ("manifests", "find", frozenset({"state", "updated_at"})): (
        "the janitor asks whether anything arrives, before it compacts an embedded database"
    ),
    ("manifests", "find", frozenset({"state", "emptied"})): "an admin asks for all uploads",
    ("manifests", "find", frozenset({"changed_at"})): "a server with streams asks what changed",
    ("manifests", "update many", frozenset({"state", "emptied", "expires_at"})): (
        "the clock was set: every upload under way is extended"
    ),
    ("manifests", "update many", frozenset({"user_id", "state", "tags"})): (
        "a user's tag is renamed or deleted: it is changed in all files that have it"
    ),
    ("manifests", "update many", frozenset({"user_id", "state", "$or"})): (
        "a user's directory is moved: it is changed in all files below it"
    ),
}
"""Commands that ask every shard, each with its reason."""

LISTS = ("find", "aggregate")
"""A user's manifests are on all shards, so these may also name a `user_id`: lists of files and
uploads, what a user is charged for, how many files have a tag."""

_KEYS = {"manifests": "_id", "chunks": "upload_id", "pictures": "upload_id"}


def problem(collection: str, kind: str, query: Mapping[str, Any]) -> str | None:
    """What is wrong with a command; None when it names the shard key or may do without."""
    key = _KEYS[collection]
    if isinstance(query.get(key), ObjectId):
        return None
    if collection == "manifests" and kind in LISTS and isinstance(query.get("user_id"), str):
        return None
    names = frozenset(f"{name}>" if name == key else name for name in query)
    if (collection, kind, names) in SCATTERED:
        return None
    return f"{kind} on {collection} without {key}: {dict(query)}"


def queries(name: str, command: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The filters of a command, each with what is done by it."""
    match name:
        case "find" | "count" | "distinct":
            return [(name, command.get("filter" if name == "find" else "query", {}))]
        case "aggregate":
            first: Mapping[str, Any] = (*command["pipeline"], {})[0]
            return [(name, first.get("$match", {}))]
        case "findAndModify":
            return [("update", command["query"])]
        case "update":
            return [
                ("update many" if each.get("multi") else "update", each["q"])
                for each in command["updates"]
            ]
        case "delete":
            return [
                ("delete" if each["limit"] else "delete many", each["q"])
                for each in command["deletes"]
            ]
    return []


class ShardKeys(monitoring.CommandListener):
    """Notes every command that breaks the rule; `judged` counts those that were looked at."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.judged = 0

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        collection = event.command.get(event.command_name)
        if not isinstance(collection, str) or collection not in _KEYS or not _is_from_storage():
            return
        for kind, query in queries(event.command_name, event.command):
            self.judged += 1
            found = problem(collection, kind, query)
            if found is not None:
                self.problems.append(found)

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """It is judged when it starts."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """It is judged when it starts."""


def _is_from_storage() -> bool:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename.startswith(FOLDER):
            return True
        frame = frame.f_back
    return False
