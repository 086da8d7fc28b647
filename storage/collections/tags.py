"""The `tags` collection: one document for each tag of a user, whether files have it or not.

Which files have a tag stands in their manifests alone, and is counted there, in the index. A tag
exists from when it is created here, or a file with it is finished, until it is deleted. Renaming
and deleting change many manifests, one after the other, in steps that can be repeated: after a
crash the same request continues where it stopped. The order of the steps ensures that a file that
gets the tag in the meantime does not end with one that is not listed. Times are Unix seconds.
Source: page 4 of the design, `/v1/tags`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from lading.protocol.errors import NameTaken, NotFound
from lading.protocol.manifest import FINISHED, State
from lading.protocol.names import composed
from lading.storage.collections.manifest_documents import CHANGED_AT
from lading.storage.database import Database, persist


class Tag(NamedTuple):
    """A tag, and how many finished files have it."""

    name: str
    files: int


class Tags:
    """The tags of all users."""

    def __init__(self, database: Database) -> None:
        self._read = database.read
        self._collection = database.tags
        self._manifests = database.manifests

    # -- looking

    async def get(self, user_id: str, name: str) -> Tag:
        """One tag; raises NotFound."""
        found, files = await self._find(user_id, name), await self._count(user_id, name)
        if found is None and not files:
            raise NotFound(f"There is no tag {name}.")
        return Tag(name, files)

    async def list(self, user_id: str, *, after: str | None, most: int) -> list[Tag]:
        """A user's tags by name, those after `after`."""
        query: dict[str, Any] = {"user_id": user_id}
        if after is not None:
            query["name"] = {"$gt": after}
        found = await self._read(
            lambda: self._collection.find(query).sort("name", 1).limit(most).to_list(most)
        )
        names = [str(document["name"]) for document in found]
        return [Tag(name, await self._count(user_id, name)) for name in names]

    async def _find(self, user_id: str, name: str) -> dict[str, Any] | None:
        query = {"user_id": user_id, "name": name}
        found: dict[str, Any] | None = await self._read(lambda: self._collection.find_one(query))
        return found

    async def _count(self, user_id: str, name: str) -> int:
        query = {"user_id": user_id, "state": str(State.READY), "tags": name}
        return int(await self._read(lambda: self._manifests.count_documents(query)))

    # -- creating

    async def create(self, user_id: str, name: str, now: float) -> Tag:
        """A new tag; raises NameTaken."""
        if not await self._insert(user_id, name, now):
            raise NameTaken(f"There is a tag {name} already.")
        return Tag(name, await self._count(user_id, name))

    async def note(self, user_id: str, names: Collection[str], now: float) -> None:
        """A file has these tags: create the missing ones."""
        if not names:
            return
        query = {"user_id": user_id, "name": {"$in": list(names)}}
        found = await self._read(lambda: self._collection.find(query).to_list(None))
        for name in sorted(set(names) - {document["name"] for document in found}):
            await self._insert(user_id, name, now)

    async def _insert(
        self, user_id: str, name: str, now: float, instead_of: str | None = None
    ) -> bool:
        """False when the name is taken, unless an earlier try of this call took it."""
        fresh: dict[str, Any] = {"_id": ObjectId(), "user_id": user_id, "name": name}
        fresh |= {"created_at": now, "instead_of": instead_of}
        try:
            await persist(lambda: self._collection.insert_one(fresh))
        except DuplicateKeyError:
            found = await self._find(user_id, name)
            return found is not None and found["_id"] == fresh["_id"]
        return True

    async def correct_names(self, after: ObjectId | None, most: int) -> ObjectId | None:
        """The same as `Manifests.correct_names`, for tags."""
        query = {} if after is None else {"_id": {"$gt": after}}
        found = await self._read(
            lambda: self._collection.find(query).sort("_id", 1).limit(most).to_list(most)
        )
        for document in found:
            if composed(document["name"]) != document["name"]:
                await self._correct(document["_id"])
        return found[-1]["_id"] if found else None

    async def _correct(self, tag_id: ObjectId) -> None:
        this = {"_id": tag_id}
        old = await self._read(lambda: self._collection.find_one(this))
        if old is None:
            return
        form = {"$set": {"name": composed(old["name"])}}
        try:
            await persist(lambda: self._collection.update_one(this, form))
        except DuplicateKeyError:  # both forms were there
            await persist(lambda: self._collection.delete_one(this))

    # -- changing all files that have it

    async def rename(self, user_id: str, name: str, new: str, now: float) -> Tag:
        """Give another name to a tag; raises NotFound, NameTaken."""
        tag = await self.get(user_id, name)
        if new == name:
            return tag
        await self._take_name(user_id, name, new, now)
        await self._retag(user_id, name, new, now)
        await self._delete(user_id, name)
        await self._retag(user_id, name, new, now)
        renamed = {"user_id": user_id, "name": new}
        done = {"$set": {"instead_of": None}}
        await persist(lambda: self._collection.update_one(renamed, done))
        return Tag(new, await self._count(user_id, new))

    async def _take_name(self, user_id: str, name: str, new: str, now: float) -> None:
        """Create the new tag, unless an interrupted renaming of the same tag left it."""
        found = await self._find(user_id, new)
        mine = found is not None and found["instead_of"] == name
        if not mine and (
            found is not None
            or await self._count(user_id, new)
            or not await self._insert(user_id, new, now, name)
        ):
            raise NameTaken(f"There is a tag {new} already.")

    async def remove(self, user_id: str, name: str, now: float) -> None:
        """Delete a tag, and take it off all files and uploads; raises NotFound."""
        await self.get(user_id, name)
        await self._untag(user_id, name, now)
        await self._delete(user_id, name)
        await self._untag(user_id, name, now)

    async def remove_user(self, user_id: str) -> int:
        """Delete all tags of a user whose files are deleted; returns how many."""
        result = await persist(lambda: self._collection.delete_many({"user_id": user_id}))
        return int(result.deleted_count)

    async def _delete(self, user_id: str, name: str) -> None:
        query = {"user_id": user_id, "name": name}
        await persist(lambda: self._collection.delete_one(query))

    async def _untag(self, user_id: str, name: str, now: float) -> None:
        await self._update(_having(user_id, name), {"$pull": {"tags": name}}, now)

    async def _retag(self, user_id: str, name: str, new: str, now: float) -> None:
        """Add `new` to all that have `name`, then remove `name`: none is ever without both."""
        having = _having(user_id, name)
        both = {**having, "tags": {"$all": [name, new]}}
        while await self._update(having, {"$addToSet": {"tags": new}}, now):
            await self._update(both, {"$pull": {"tags": name}}, now)

    async def _update(self, query: dict[str, Any], change: dict[str, Any], now: float) -> int:
        counted = {**change, "$inc": {"revision": 1}, "$set": {CHANGED_AT: now}}
        result = await persist(lambda: self._manifests.update_many(query, counted))
        return int(result.matched_count)


def _having(user_id: str, name: str) -> dict[str, Any]:
    """Files, also in the trash, and uploads under way: they may be finished in a moment."""
    states = [str(each) for each in (State.UPLOADING, *FINISHED)]
    return {"user_id": user_id, "state": {"$in": states}, "tags": name}
