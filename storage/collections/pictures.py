"""The `pictures` collection: pictures of finished files that live in MongoDB, one document each.

A document is `{_id: "<id>/<name>", upload_id, data}`. The collection is sharded on hashed
`upload_id`, so every filter names it. Which pictures a file has stands in its manifest.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from lading.storage.database import Database, persist


class Pictures:
    """The pictures of all files here."""

    def __init__(self, database: Database) -> None:
        self._read = database.read
        self._collection = database.pictures

    async def put(self, upload_id: str, name: str, data: bytes) -> None:
        """Store a picture in the place of one of the same name; durable on return."""
        key = _key(upload_id, name)
        try:
            await persist(
                lambda: self._collection.replace_one(key, {**key, "data": data}, upsert=True)
            )
        except DuplicateKeyError:  # another process stored it at this moment: now it is replaced
            await persist(lambda: self._collection.replace_one(key, {**key, "data": data}))

    async def get(self, upload_id: str, name: str) -> bytes | None:
        """The bytes of a picture; None when there is none."""
        found = await self._read(lambda: self._collection.find_one(_key(upload_id, name)))
        return None if found is None else bytes(found["data"])

    async def delete(self, upload_id: str) -> None:
        """Delete all pictures of a file."""
        query = {"upload_id": ObjectId(upload_id)}
        await persist(lambda: self._collection.delete_many(query))

    async def uploads(self) -> AsyncIterator[str]:
        """For the audit: the ids of the files that have pictures here, each once, by id."""
        last: ObjectId | None = None
        while True:
            query = {} if last is None else {"upload_id": {"$gt": last}}
            found = await self._next(query)
            if found is None:
                return
            last = found["upload_id"]
            yield str(last)

    async def _next(self, query: dict[str, Any]) -> dict[str, Any] | None:
        shown, sort = {"_id": 0, "upload_id": 1}, [("upload_id", 1)]
        found: dict[str, Any] | None = await self._read(
            lambda: self._collection.find_one(query, shown, sort=sort)
        )
        return found


def _key(upload_id: str, name: str) -> dict[str, Any]:
    return {"_id": f"{upload_id}/{name}", "upload_id": ObjectId(upload_id)}
