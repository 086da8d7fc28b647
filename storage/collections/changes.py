"""What has changed among the manifests since a time, for pages that show it.

Every change that a page shows sets `changed_at`, in the same update, and a file that was deleted
leaves a tombstone for a while. So the manifests themselves are the list of changes: there is no
second one that could disagree. The index `changed` answers without reading a document.
Times come from the caller, in Unix seconds. Source: `docs/decisions/0095`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from bson import ObjectId

from lading.protocol.manifest import Manifest
from lading.storage.collections.manifest_documents import CHANGED_AT, from_document
from lading.storage.database import Database


class Changed(NamedTuple):
    """A manifest, and when it was changed last."""

    id: str
    at: float


class ChangeLog:
    """The changes of all manifests."""

    def __init__(self, database: Database) -> None:
        self._read = database.read
        self._collection = database.manifests

    async def since(self, then: float, most: int, user_id: str | None = None) -> list[Changed]:
        """Up to `most` manifests that were changed `then` or later, in order of that; those of one
        user if given."""
        query: dict[str, Any] = {CHANGED_AT: {"$gte": then}}
        if user_id is not None:
            query["user_id"] = user_id
        found = await self._read(
            lambda: (
                self._collection.find(query, {"_id": 1, CHANGED_AT: 1})
                .sort(CHANGED_AT, 1)
                .limit(most)
                .to_list(most)
            )
        )
        return [Changed(str(each["_id"]), float(each[CHANGED_AT])) for each in found]

    async def manifests(self, upload_ids: Collection[str]) -> dict[str, Manifest]:
        """These manifests, by id; tombstones included, without those that are gone."""
        query = {"_id": {"$in": [ObjectId(each) for each in upload_ids]}}
        found = await self._read(lambda: self._collection.find(query).to_list(None))
        return {str(each["_id"]): from_document(each) for each in found}
