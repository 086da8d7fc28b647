"""What manifests say of the pictures made of their files: facts, pictures, and what is owed.

Pictures are made under a claim of the manifest's `todo`, so one process at a time makes those of a
file, and every write here fails once the claim has passed to another. Source: page 10 of the
design, "How".
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from bson import ObjectId
from pymongo import ReturnDocument

from lading.protocol.manifest import (
    FINISHED,
    Manifest,
    NoPicture,
    PictureDebt,
    State,
    StoredPicture,
)
from lading.protocol.webhooks import Event
from lading.storage.collections.manifest_documents import CHANGED_AT, from_document
from lading.storage.collections.manifests import LISTED_AT_ONCE
from lading.storage.collections.notices import Notices
from lading.storage.collections.outbox import DERIVE, NOTIFY, Claim, held
from lading.storage.database import Database, persist


class Derivatives:
    """The fields of manifests that are about pictures."""

    def __init__(self, database: Database, notices: Notices | None = None) -> None:
        self._read = database.read
        self._collection = database.manifests
        self._notices = notices or Notices()

    async def begin(
        self, seen: Manifest, *, now: float, claimed_until: float, afresh: bool = False
    ) -> Claim | None:
        """Let pictures of a finished file be made, claimed by the caller `claimed_until` then.

        With `afresh` what was known to be impossible is forgotten. None when another process works
        on the steps of the file, or it is not finished: then nothing was changed.
        """
        change: dict[str, Any] = {
            "$set": {"todo_at": claimed_until},
            "$addToSet": {"todo": DERIVE},
            "$inc": {"todo_tries": 1},
        }
        if afresh:
            change["$set"] |= {"no_picture": None, "picture_tries": 0}
        free = [{"todo.0": {"$exists": False}}, {"todo_at": {"$lte": now}}]
        found = await self._update(seen, change, **{"$or": free})
        return None if found is None else Claim(found, claimed_until)

    async def ask(self, seen: Manifest, now: float) -> None:
        """Let any process that can make pictures make those of a file."""
        change = {"$addToSet": {"todo": DERIVE}, "$max": {"todo_at": now}}
        await self._update(seen, change)

    async def count_try(self, claimed: Manifest, by: int = 1) -> Manifest | None:
        """Count that pictures are begun, or take that back. None when the claim is lost."""
        return await self._update(claimed, {"$inc": {"picture_tries": by}})

    async def note(
        self,
        claimed: Manifest,
        *,
        media: Mapping[str, Any] | None = None,
        pictures: Mapping[str, StoredPicture] | None = None,
        no_picture: NoPicture | None = None,
        growth: int | None = None,
        now: float,
    ) -> Manifest | None:
        """Note what was found out and made of a file. None when the claim is lost.

        `growth` is by how many bytes the file is charged for more, where something is reserved.
        """
        values: dict[str, Any] = {"picture_tries": 0, CHANGED_AT: now}
        if media is not None:
            values["media"] = dict(media)
        for name, each in (pictures or {}).items():
            values[f"pictures.{name}"] = each._asdict()
        if no_picture is not None:
            values["no_picture"] = no_picture._asdict()
        if growth is not None:
            values["picture_debt"] = PictureDebt(claimed.todo_tries, growth)._asdict()
        change: dict[str, Any] = {"$set": values}
        if noted := self._notices.noted(Event.FILE_DERIVED, now):
            change |= {"$addToSet": {"todo": NOTIFY}, **noted}
        return await self._update(claimed, change)

    async def note_paid(self, claimed: Manifest) -> Manifest | None:
        """Note that the owner's account has the pictures. None when the claim is lost."""
        return await self._update(claimed, {"$set": {"picture_debt": None}})

    async def files(self, after: str | None, most: int) -> list[Manifest]:
        """Finished files of all users, by id, those with larger ids than `after`."""
        query: dict[str, Any] = {"state": str(State.READY)}
        if after is not None:
            query["_id"] = {"$gt": ObjectId(after)}
        found = await self._read(
            lambda: self._collection.find(query).sort("_id", 1).limit(most).to_list(most)
        )
        return [from_document(document) for document in found]

    async def every_file(self) -> AsyncIterator[Manifest]:
        """All finished files, by id."""
        last: str | None = None
        while True:
            page = await self.files(last, LISTED_AT_ONCE)
            for manifest in page:
                yield manifest
            if len(page) < LISTED_AT_ONCE:
                return
            last = page[-1].id

    async def _update(self, seen: Manifest, change: dict[str, Any], **more: Any) -> Manifest | None:
        """Change a finished file unless its steps passed to another process since it was read."""
        kept = {"$in": [str(each) for each in FINISHED]}
        query = {"_id": ObjectId(seen.id), "state": kept, **held(seen), **more}
        found = await persist(
            lambda: self._collection.find_one_and_update(
                query, change, return_document=ReturnDocument.AFTER
            )
        )
        return None if found is None else from_document(found)
