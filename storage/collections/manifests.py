"""The `manifests` collection: one small document for each upload.

Each change of an upload's state is one compare-and-set on its document. The same write sets `todo`,
the steps that must follow; `outbox.py` has what becomes of them. Times come from the caller, in
Unix seconds.

The collection is sharded on hashed `_id`, so every write of one document names it.
Source: page 2 of the design, "The data".
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import suppress
from typing import Any

from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from lading.protocol.manifest import Manifest, State
from lading.storage.collections.manifest_documents import (
    ANY_FILE,
    FileFilter,
    born,
    correction,
    from_document,
    moment,
    name_change,
    new_id,
    number,
    to_document,
    update,
)
from lading.storage.collections.outbox import EMPTY, PLACE
from lading.storage.database import Database, persist

__all__ = [
    "ANY_FILE",
    "LIVING",
    "FileFilter",
    "Manifests",
    "born",
    "from_document",
    "new_id",
    "to_document",
]

LISTED_AT_ONCE = 500

LIVING = (State.UPLOADING, State.READY)


def _dead(becomes: State, now: float, until: float, claimed_until: float) -> dict[str, Any]:
    """The change of an upload or file into a tombstone."""
    return {
        "$set": {
            "state": str(becomes),
            "updated_at": moment(now),
            "expires_at": moment(until),
            "todo": [EMPTY],
            "todo_at": claimed_until,
        },
        # Whoever held the steps of the living file has lost them.
        "$inc": {"todo_tries": 1},
    }


def _unchanged(seen: Manifest | None) -> dict[str, Any]:
    """The condition that nothing was changed since; activity of an upload is a change, too."""
    if seen is None:
        return {}
    return {
        "revision": number(seen.revision),
        "attempt": number(seen.attempt),
        "updated_at": moment(seen.updated_at),
    }


class Manifests:
    """The manifests of all uploads."""

    def __init__(self, database: Database) -> None:
        self._read = database.read
        self._collection = database.manifests

    async def create(self, manifest: Manifest) -> None:
        """Store a new manifest; durable then. The id is fresh, so a second call is harmless."""
        document = to_document(manifest)
        # A duplicate means that an earlier try of this call was applied and its answer lost.
        with suppress(DuplicateKeyError):
            await persist(lambda: self._collection.insert_one(document))

    async def get(self, upload_id: str) -> Manifest | None:
        """The manifest of an upload in any state, tombstones included."""
        found = await self._read(lambda: self._collection.find_one({"_id": ObjectId(upload_id)}))
        return None if found is None else from_document(found)

    async def unfinished(
        self, user_id: str, fingerprint: str | None, most: int, *, grant_id: str | None = None
    ) -> list[Manifest]:
        """A user's uploads that are under way, the newest first; those of one grant if given."""
        query: dict[str, Any] = {"user_id": user_id, "state": str(State.UPLOADING)}
        if fingerprint is not None:
            query["fingerprint"] = fingerprint
        if grant_id is not None:
            query["grant_id"] = grant_id
        return await self._list(query, most)

    async def ready(
        self, user_id: str, wanted: FileFilter, *, before: str | None, most: int
    ) -> list[Manifest]:
        """A user's finished files, the newest first, those with ids smaller than `before`."""
        query = {"user_id": user_id, "state": str(State.READY), **wanted.query()}
        if before is not None:
            query["_id"] = {"$lt": ObjectId(before)}
        return await self._list(query, most)

    async def change(
        self,
        upload_id: str,
        *,
        name: str | None = None,
        directory: str | None = None,
        tags: tuple[str, ...] | None = None,
        public: bool | None = None,
        now: float,
        states: tuple[State, ...] = LIVING,
        claimed_until: float | None = None,
        only: Manifest | None = None,
    ) -> Manifest | None:
        """Change name, directory, tags or `public` of a file or upload; None leaves a field.

        Returns None when it is in none of `states` any more, or is not as `only` shows it. With
        `claimed_until` its bytes must be brought to their place again: the caller does it by then,
        or who works on its steps already.
        """
        change = {"$set": {}} if name is None else name_change(name)
        given = {
            "directory": directory,
            "tags": None if tags is None else list(tags),
            "public": public,
        }
        change["$set"] |= {field: value for field, value in given.items() if value is not None}
        change["$set"]["updated_at"] = moment(now)
        change["$inc"] = {"revision": 1}
        if claimed_until is not None:
            change |= {"$addToSet": {"todo": PLACE}, "$max": {"todo_at": claimed_until}}
        return await update(self._collection, upload_id, states, change, **_unchanged(only))

    async def correct_names(self, after: ObjectId | None, most: int) -> ObjectId | None:
        """Bring the names of up to `most` manifests with larger ids than `after` into their form.

        For documents that were written before there was one. Returns the last id that was looked
        at, None when there is none. It can be done twice.
        """
        query = {} if after is None else {"_id": {"$gt": after}}
        fields = dict.fromkeys(("name", "name_nfc", "directory", "tags"), 1)
        found = await self._read(
            lambda: self._collection.find(query, fields).sort("_id", 1).limit(most).to_list(most)
        )
        for document in found:
            await self._correct(document)
        return found[-1]["_id"] if found else None

    async def _correct(self, document: dict[str, Any]) -> None:
        wanted = correction(document)
        if not wanted:
            return
        # A change by somebody else in the meantime wins: it wrote the one form itself.
        same = {field: document.get(field) for field in ("name", "directory", "tags")}
        query = {"_id": document["_id"], **same}
        await persist(lambda: self._collection.update_one(query, {"$set": wanted}))

    async def _list(self, query: dict[str, Any], most: int) -> list[Manifest]:
        found = await self._read(
            lambda: self._collection.find(query).sort("_id", -1).limit(most).to_list(most)
        )
        return [from_document(document) for document in found]

    async def touch(
        self,
        upload_id: str,
        *,
        now: float,
        expires_at: float | None,
        upload_size: int,
        reach: int = 0,
        attempt: int = 0,
    ) -> Manifest | None:
        """Note activity: the watermark grows, expiry moves.

        `reach` is where a stored piece ends: with a smaller size the upload is not published.
        None when it is not under way, or in another attempt.

        On return all that was read of the upload before is durable too: a journaled write
        carries every earlier one with it.
        """
        change: dict[str, Any] = {
            "$max": {"upload_size": upload_size, "expires_at": moment(expires_at)},
            "$set": {"updated_at": moment(now)},
        }
        if expires_at is None:
            del change["$max"]["expires_at"]
        if reach:
            change["$max"]["reach"] = reach
        return await update(
            self._collection, upload_id, (State.UPLOADING,), change, attempt=number(attempt)
        )

    async def begin_again(self, upload_id: str, attempt: int, now: float) -> Manifest | None:
        """Begin the attempt after `attempt`, with nothing stored. None when that is over."""
        change = {
            "$set": {"attempt": attempt + 1, "upload_size": 0, "updated_at": moment(now)},
            "$unset": {"reach": ""},
        }
        return await update(
            self._collection, upload_id, (State.UPLOADING,), change, attempt=number(attempt)
        )

    async def begin_parts(self, upload_id: str, multipart: str) -> Manifest | None:
        """Note under which name the bucket takes its parts. None when another one is noted."""
        change = {"$set": {"multipart": multipart}}
        return await update(self._collection, upload_id, (State.UPLOADING,), change, multipart=None)

    async def finish_direct(self, file: Manifest, now: float) -> Manifest | None:
        """Make an upload ready whose bytes are in the bucket that it was to be moved to.

        `file` is the manifest as it will be; anybody may claim its steps. None when it is not open,
        or in another attempt.
        """
        change = {
            "$set": {
                "state": str(State.READY),
                "upload_end": True,
                "upload_size": file.size,
                "sha256": file.sha256,
                "mime_type": file.mime_type,
                "updated_at": moment(now),
                "expires_at": None,
                "blobs": file.blobs,
                "etag": file.etag,
                "move_to": None,
                "multipart": None,
                "todo": list(file.todo),
                "todo_at": now,
            }
        }
        same = {"move_to": file.blobs, "attempt": number(file.attempt)}
        return await update(self._collection, file.id, (State.UPLOADING,), change, **same)

    async def finish(
        self,
        upload_id: str,
        *,
        now: float,
        size: int,
        crc32c: int,
        sha256: str | None,
        mime: str,
        attempt: int = 0,
        move_to: str | None = None,
        todo: tuple[str, ...] = (),
        claimed_until: float = 0.0,
    ) -> Manifest | None:
        """Make the upload ready: the one write that lets others see it. None when it is not open.

        The length is part of the comparison: two finishes with different ones cannot both win, and
        a piece that was stored since the proof must not lie behind the end. So is the attempt: what
        was proven of one must not publish the bytes of another.

        `todo` are the steps that bring the bytes to where they belong, `move_to` the home that they
        go to; nobody else claims the steps before `claimed_until`.
        """
        change = {
            "$set": {
                "state": str(State.READY),
                "upload_end": True,
                "size": size,
                "upload_size": size,
                "crc32c": crc32c,
                "sha256": sha256,
                "mime_type": mime,
                "updated_at": moment(now),
                "expires_at": None,
                "move_to": move_to,
                "todo": list(todo),
                "todo_at": claimed_until,
            }
        }
        same = {
            "size": {"$in": [None, size]},
            "reach": {"$not": {"$gt": size}},
            "attempt": number(attempt),
        }
        return await update(self._collection, upload_id, (State.UPLOADING,), change, **same)

    async def mark_deleted(
        self,
        upload_id: str,
        *,
        now: float,
        becomes: State,
        until: float,
        only: tuple[State, ...],
        claimed_until: float = 0.0,
        seen: Manifest | None = None,
    ) -> Manifest | None:
        """Turn an upload into a tombstone, kept `until` then.

        None when its state was not `only`, or it is not as `seen` shows it.
        Its bytes are to be deleted: that is its `todo`, claimed by the caller `claimed_until` then.
        """
        change = _dead(becomes, now, until, claimed_until)
        return await update(self._collection, upload_id, only, change, **_unchanged(seen))

    async def expire(
        self, manifest: Manifest, *, now: float, until: float, claimed_until: float = 0.0
    ) -> Manifest | None:
        """Turn an upload into a tombstone, unless it was touched or ended since it was read.

        `until` and `claimed_until` as in `mark_deleted`.
        """
        change = _dead(State.EXPIRED, now, until, claimed_until)
        unmoved = {"$lte": moment(now)}
        return await update(
            self._collection, manifest.id, (State.UPLOADING,), change, expires_at=unmoved
        )

    async def renew(self, until: float) -> None:
        """Let everything that is under way live at least `until` then."""
        over = {"state": str(State.UPLOADING), "emptied": False}
        over["expires_at"] = {"$lt": moment(until)}
        longer = {"$set": {"expires_at": moment(until)}}
        await persist(lambda: self._collection.update_many(over, longer))

    async def note_emptied(self, upload_id: str) -> None:
        """Note that a tombstone's bytes are deleted and its quota is given back."""
        change = {"$set": {"emptied": True}, "$pull": {"todo": EMPTY}}
        await update(self._collection, upload_id, (State.EXPIRED, State.DELETED), change)

    async def activity(self, upload_ids: Collection[str]) -> dict[str, Any]:
        """Of each of these uploads what changes when pieces are stored of it, or it ends."""
        query = {"_id": {"$in": [ObjectId(each) for each in upload_ids]}}
        shown = {"state": 1, "attempt": 1, "upload_size": 1, "updated_at": 1}
        found = await self._read(lambda: self._collection.find(query, shown).to_list(None))
        return {str(document.pop("_id")): document for document in found}

    # -- all of them

    async def due(self, now: float, after: str | None, most: int) -> list[Manifest]:
        """Uploads that may need something from the janitor, by id, those after `after`."""
        tombs = [str(State.EXPIRED), str(State.DELETED)]
        over = {"$lte": moment(now)}
        # Each is one range of the index `due`, so tombstones that are not due yet cost nothing.
        query: dict[str, Any] = {
            "$or": [
                {"state": str(State.UPLOADING), "emptied": False, "expires_at": over},
                {"state": {"$in": tombs}, "emptied": True, "expires_at": over},
                {"state": {"$in": tombs}, "emptied": False},
            ]
        }
        if after is not None:
            query["_id"] = {"$gt": ObjectId(after)}
        found = await self._read(
            lambda: self._collection.find(query).sort("_id", 1).limit(most).to_list(most)
        )
        return [from_document(document) for document in found]

    async def arrived_since(self, then: float) -> bool:
        """Whether bytes of an unfinished upload arrived after a time."""
        query = {"state": str(State.UPLOADING), "updated_at": {"$gt": moment(then)}}
        found = await self._read(lambda: self._collection.find_one(query, {"_id": 1}))
        return found is not None

    async def every(self) -> AsyncIterator[Manifest]:
        """All manifests, by id."""
        last: str | None = None
        while True:
            query = {} if last is None else {"_id": {"$gt": ObjectId(last)}}
            page = await self._page(query)
            for manifest in page:
                yield manifest
            if len(page) < LISTED_AT_ONCE:
                return
            last = page[-1].id

    async def _page(self, query: dict[str, Any]) -> list[Manifest]:
        most = LISTED_AT_ONCE
        found = await self._read(
            lambda: self._collection.find(query).sort("_id", 1).limit(most).to_list(most)
        )
        return [from_document(document) for document in found]

    async def charged(self, user_id: str) -> AsyncIterator[Manifest]:
        """The finished files that a user is charged for, by id."""
        last: str | None = None
        while True:
            query: dict[str, Any] = {
                "user_id": user_id,
                "upload_end": True,
                "emptied": {"$ne": True},
            }
            if last is not None:
                query["_id"] = {"$gt": ObjectId(last)}
            page = await self._page(query)
            for manifest in page:
                yield manifest
            if len(page) < LISTED_AT_ONCE:
                return
            last = page[-1].id

    async def delete(self, upload_id: str) -> None:
        """Delete the manifest of a tombstone."""
        tombs = [str(State.EXPIRED), str(State.DELETED)]
        query = {"_id": ObjectId(upload_id), "state": {"$in": tombs}}
        await persist(lambda: self._collection.delete_one(query))

    async def largest_open_chunk(self) -> int:
        """The largest cell size of any upload under way, in bytes; 0 when there is none."""
        query = {"state": str(State.UPLOADING)}
        largest = [("chunk_size", -1)]
        found = await self._read(lambda: self._collection.find_one(query, sort=largest))
        return int(found["chunk_size"]) if found else 0
