"""Directories: the text before a file's name. There is no document of one.

What is below a directory is added up in the index on it, which holds the sizes. A directory is
moved by one command that changes the text in all manifests below it. It changes one after the
other, each as a whole: a file is found in one of the two directories at any moment. After a crash
the same request moves the rest.
Source: page 13 of the design, "The page"; docs/decisions/0081.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from lading.protocol.errors import InvalidArgument
from lading.protocol.manifest import State
from lading.protocol.spec import MAX_NAME
from lading.storage.collections.manifest_documents import begins_with, moment
from lading.storage.collections.manifests import LIVING
from lading.storage.database import Database, persist


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory with files, those below it included; `size` is their bytes.

    `path` has the directories that it is in, `name` has not.
    """

    path: str
    name: str
    files: int
    size: int


class Directories:
    """The directories of all users. Each text is in its one form, see `protocol/names.py`."""

    def __init__(self, database: Database) -> None:
        self._read = database.read
        self._collection = database.manifests

    async def below(
        self, user_id: str, directory: str, *, after: str | None, most: int
    ) -> list[Directory]:
        """The directories in a directory that hold finished files, by name, those after `after`."""
        prefix = f"{directory}/" if directory else ""
        beyond = begins_with(prefix)
        # One that is named alike and longer is behind `after` in both orders.
        beyond["$gt"] = prefix + (after or "")
        depth = prefix.count("/")
        pipeline: list[dict[str, Any]] = [
            {"$match": {"user_id": user_id, "state": str(State.READY), "directory": beyond}},
            {"$project": {"_id": 0, "size": 1, "path": {"$split": ["$directory", "/"]}}},
            {"$project": {"size": 1, "name": {"$arrayElemAt": ["$path", depth]}}},
            {"$group": {"_id": "$name", "files": {"$sum": 1}, "size": {"$sum": "$size"}}},
            {"$match": {"_id": {"$gt": after or ""}}},
            {"$sort": {"_id": 1}},
            {"$limit": most},
        ]

        found = await self._read(lambda: self._aggregate(pipeline))
        return [
            Directory(prefix + each["_id"], each["_id"], each["files"], each["size"])
            for each in found
        ]

    async def _aggregate(self, pipeline: list[dict[str, Any]]) -> list[dict[str, Any]]:
        cursor = self._collection.aggregate(pipeline)
        if inspect.isawaitable(cursor):  # PyMongo's; those of the others are not
            cursor = await cursor
        found: list[dict[str, Any]] = await cursor.to_list(None)
        return found

    async def move(self, user_id: str, directory: str, to: str, now: float) -> int:
        """Move all files and unfinished uploads to another directory; returns how many.

        It may be called again, and then moves what is still there. Raises InvalidArgument, and
        moves nothing, where a directory cannot be moved, or would get too long a name.
        """
        _check(directory, to)
        if directory == to:
            return 0
        await self._check_lengths(user_id, directory, to)
        # The slash behind the directory goes, too, where its files come into the root.
        cut = len(directory.encode()) + (not to)
        rest = {"$substrBytes": ["$directory", cut, _ALL]}
        fields = {
            "directory": {"$cond": [_same(directory), {"$literal": to}, _joined(to, rest)]},
            "updated_at": moment(now),
            "revision": {"$add": [{"$ifNull": ["$revision", 0]}, 1]},
        }
        result = await persist(
            lambda: self._collection.update_many(_within(user_id, directory), [{"$set": fields}])
        )
        return int(result.modified_count)

    async def _check_lengths(self, user_id: str, directory: str, to: str) -> None:
        longest = MAX_NAME - (len(to) - len(directory))
        if longest >= MAX_NAME:
            return
        too_long = {"$expr": {"$gt": [{"$strLenCP": "$directory"}, longest]}}
        query = {**_within(user_id, directory), **too_long}
        if await self._read(lambda: self._collection.find_one(query, {"_id": 1})):
            raise InvalidArgument(f"A directory in it would have more than {MAX_NAME} characters.")


_ALL = 2**30
"""More bytes than a directory has."""


def _same(directory: str) -> dict[str, Any]:
    return {"$eq": ["$directory", {"$literal": directory}]}


def _joined(to: str, rest: dict[str, Any]) -> dict[str, Any]:
    # As a literal: a name may begin with a dollar sign.
    return {"$concat": [{"$literal": to}, rest]}


def _within(user_id: str, directory: str) -> dict[str, Any]:
    """Files and unfinished uploads in a directory and below it: two ranges of one index."""
    return {
        "user_id": user_id,
        "state": {"$in": [str(state) for state in LIVING]},
        "$or": [{"directory": directory}, {"directory": begins_with(f"{directory}/")}],
    }


def _check(directory: str, to: str) -> None:
    if not directory:
        raise InvalidArgument("The root cannot be moved. Name a directory in it, such as a/b.")
    if to.startswith(f"{directory}/"):
        raise InvalidArgument("A directory cannot be moved into itself.")
