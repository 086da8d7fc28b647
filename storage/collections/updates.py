"""Changes of manifests that go together, as `inserts.py` has it for new documents.

Each caller gets the manifest as its own change made it, or hears that it was not made.
Source: docs/decisions/0106-what-waits-goes-together.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bson import ObjectId
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from lading.protocol.manifest import Manifest, State
from lading.storage.collections.inserts import AT_ONCE, outcomes_of
from lading.storage.collections.manifest_documents import (
    CHANGED_AT,
    from_document,
    prepared,
    update_one,
)
from lading.storage.database import persist
from lading.together import Together

MOST = 64
"""So many changes are one operation at most."""


@dataclass(frozen=True, slots=True)
class _Update:
    query: dict[str, Any]
    change: dict[str, Any]

    @property
    def id(self) -> ObjectId:
        found: ObjectId = self.query["_id"]
        return found

    def made(self, found: dict[str, Any]) -> bool:
        """Whether a manifest is as this change left it: nobody changes two at one microsecond."""
        return bool(found.get(CHANGED_AT) == self.change["$set"][CHANGED_AT])

    def after(self, found: dict[str, Any]) -> Manifest:
        """The manifest as this change left it, also where somebody else changed it since."""
        return from_document(found if self.made(found) else {**found, **self.change["$set"]})


class Updates:
    """Changes of the state of manifests, of different ones at the same moment."""

    def __init__(self, collection: Any) -> None:
        self._collection = collection
        self._together = Together(self._apply, at_once=AT_ONCE, most=MOST)

    async def update(
        self, upload_id: str, states: tuple[State, ...], change: dict[str, Any], **more: Any
    ) -> Manifest | None:
        """The same as `manifest_documents.update`, for a change that sets `updated_at`."""
        each = _Update(*prepared(upload_id, states, change, **more))
        return await persist(lambda: self._together(each))

    async def _apply(self, updates: list[_Update]) -> list[Manifest | Exception | None]:
        # Of several for one manifest the answer could not say which was made: one at a time.
        first: dict[ObjectId, _Update] = {}
        for each in updates:
            first.setdefault(each.id, each)
        outcomes = await self._apply_each([*first.values()])
        made = dict(zip(map(id, first.values()), outcomes, strict=True))
        return [made[id(each)] if id(each) in made else await self._alone(each) for each in updates]

    async def _apply_each(self, updates: list[_Update]) -> list[Manifest | Exception | None]:
        """Make changes of different manifests."""
        if len(updates) == 1:
            return [await self._alone(updates[0])]
        failed: list[Exception | None] = [None] * len(updates)
        try:
            done = await self._collection.bulk_write(
                [UpdateOne(each.query, each.change) for each in updates], ordered=False
            )
            matched = done.matched_count
        except BulkWriteError as error:
            failed = outcomes_of(error, len(updates))
            matched = error.details["nMatched"]
        except TypeError:  # mongomock takes fewer arguments than PyMongo hands on
            return [await self._alone(each) for each in updates]
        # The answer has no word of each. If fewer were made than asked for, what stands there says
        # which; an earlier try of this whose answer was lost is found in this way, too.
        all_made = matched == len(updates)
        query = {"_id": {"$in": [each.id for each in updates]}}
        found = {each["_id"]: each for each in await self._collection.find(query).to_list(None)}

        def outcome(each: _Update) -> Manifest | None:
            now = found.get(each.id)
            made = now is not None and (all_made or each.made(now))
            return each.after(now) if now is not None and made else None

        return [
            outcome(each) if error is None else error
            for each, error in zip(updates, failed, strict=True)
        ]

    async def _alone(self, each: _Update) -> Manifest | Exception | None:
        try:
            return await update_one(self._collection, each.query, each.change)
        except Exception as error:
            return error
