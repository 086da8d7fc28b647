"""A collection whose connection breaks when it is told to."""

from __future__ import annotations

from typing import Any, Literal

from pymongo.errors import AutoReconnect

from lading.storage.database import Database

When = Literal["before", "after"]


class BreakingCollection:
    """Stands before a collection. `breaks` says for each of the next inserts when its connection
    is lost: before the database had the document, or after, so that only the answer is lost."""

    def __init__(self, collection: Any) -> None:
        self._collection = collection
        self.breaks: list[When] = []
        self.hidden = 0
        """For so many reads of one document there is none yet."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._collection, name)

    async def insert_one(self, document: dict[str, Any]) -> Any:
        when = self.breaks.pop(0) if self.breaks else None
        if when == "before":
            raise AutoReconnect("the connection broke before the insert")
        result = await self._collection.insert_one(document)
        if when == "after":
            raise AutoReconnect("the connection broke before the answer")
        return result

    async def find_one(self, *arguments: Any, **options: Any) -> Any:
        if self.hidden > 0:
            self.hidden -= 1
            return None
        return await self._collection.find_one(*arguments, **options)


def break_chunks(database: Database) -> BreakingCollection:
    """Put a breaking collection before the pieces of `database`."""
    breaking = BreakingCollection(database.chunks)
    database.chunks = breaking
    return breaking


def break_manifests(database: Database) -> BreakingCollection:
    """Put a breaking collection before the manifests of `database`."""
    breaking = BreakingCollection(database.manifests)
    database.manifests = breaking
    return breaking
