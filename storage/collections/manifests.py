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

from lading.protocol.manifest import FINISHED, Manifest, State
from lading.protocol.webhooks import Event
from lading.storage.collections.inserts import Inserts
from lading.storage.collections.manifest_documents import (
    ANY_FILE,
    CHANGED_AT,
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
from lading.storage.collections.notices import Notices
from lading.storage.collections.outbox import EMPTY, NOTIFY, PLACE
from lading.storage.collections.updates import Updates
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

_CHANGED = ("name", "directory", "tags", "modified_at")
_NAMED = (*_CHANGED, "created_at", "name_nfc", "name_key", "modified_key")

LIVING = (State.UPLOADING, State.READY)


def _unchanged(seen: Manifest | None) -> dict[str, Any]:
    """The condition that nothing was changed since; activity of an upload is a change, too."""
    if seen is None:
        return {}
    return {
        "revision": number(seen.revision),
        "attempt": number(seen.attempt),
        "updated_at": moment(seen.updated_at),
    }


class Unset:
    """The type of `UNSET`, which leaves a field as it is."""


UNSET = Unset()


class Manifests:
    """The manifests of all uploads. What they note is for `notices` to say."""

    def __init__(self, database: Database, notices: Notices | None = None) -> None:
        self._read = database.read
        self._collection = database.manifests
        self._inserts = Inserts(database.manifests)
        self._updates = Updates(database.manifests)
        self._notices = notices or Notices()

    async def create(self, manifest: Manifest) -> None:
        """Store a new manifest; durable then. The id is fresh, so a second call is harmless."""
        document = to_document(manifest) | {CHANGED_AT: manifest.created_at}
        if manifest.todo:
            document["todo_at"] = manifest.created_at
        # A duplicate means that an earlier try of this call was applied and its answer lost.
        with suppress(DuplicateKeyError):
            await persist(lambda: self._inserts.insert(document))

    async def get(self, upload_id: str) -> Manifest | None:
        """The manifest of an upload in any state, tombstones included."""
        found = await self._read(lambda: self._collection.find_one({"_id": ObjectId(upload_id)}))
        return None if found is None else from_document(found)

    async def keeping(self, key: str) -> Manifest | None:
        """The manifest that the bytes under an id belong to, in any state: see `Manifest.key`.

        Not only its own: where they replaced those of a file, that file's; where they were replaced
        and not handed over yet, the file that had them.
        """
        own = await self.get(key)
        if own is not None and own.kept_as is None:
            return own
        query = {"$or": [{"kept_as": key}, {"former.key": key}]}
        found = await self._read(lambda: self._collection.find_one(query))
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

    async def all_unfinished(self, most: int) -> list[Manifest]:
        """Uploads of all users that are under way, those first that were active last."""
        query = {"state": str(State.UPLOADING), "emptied": False}
        found = await self._read(
            lambda: self._collection.find(query).sort("expires_at", -1).limit(most).to_list(most)
        )
        return [from_document(document) for document in found]

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
        modified_at: float | None = None,
        expires_at: float | Unset | None = UNSET,
        now: float,
        states: tuple[State, ...] = LIVING,
        claimed_until: float | None = None,
        only: Manifest | None = None,
    ) -> Manifest | None:
        """Change name, directory, tags, `public` or times of a file or upload.

        None leaves a field as it is, as does `UNSET` where None means something.

        Returns None when it is in none of `states` any more, or is not as `only` shows it. With
        `claimed_until` its bytes must be brought to their place again: the caller does it by then,
        or who works on its steps already.
        """
        change = {"$set": {}} if name is None else name_change(name)
        given = {
            "directory": directory,
            "tags": None if tags is None else list(tags),
            "public": public,
            "modified_at": moment(modified_at),
            "modified_key": moment(modified_at),
        }
        change["$set"] |= {field: value for field, value in given.items() if value is not None}
        if not isinstance(expires_at, Unset):
            change["$set"]["expires_at"] = moment(expires_at)
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
        fields = dict.fromkeys(_NAMED, 1)
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
        same = {field: document.get(field) for field in _CHANGED}
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

    async def take_turn(
        self, upload_id: str, *, now: float, expires_at: float, offset: int, attempt: int
    ) -> Manifest | None:
        """Begin a turn of appending: earlier ones are over. A `touch` that is durable, too.

        `offset` is how far nothing is missing. None when the upload is not under way, or in
        another attempt.
        """
        change = {
            "$inc": {"turn": 1},
            "$max": {"offset": offset, "upload_size": offset, "expires_at": moment(expires_at)},
            "$set": {"updated_at": moment(now)},
        }
        return await update(
            self._collection, upload_id, (State.UPLOADING,), change, attempt=number(attempt)
        )

    async def turns(self, upload_ids: Collection[str]) -> dict[str, int]:
        """The present turn of each of these uploads."""
        query = {"_id": {"$in": [ObjectId(each) for each in upload_ids]}}
        found = await self._read(lambda: self._collection.find(query, {"turn": 1}).to_list(None))
        return {str(document["_id"]): document.get("turn", 0) for document in found}

    async def declare(self, upload_id: str, size: int, attempt: int) -> Manifest | None:
        """Note the size of an upload of unknown length. None when that is not possible any more.

        No stored piece may end behind it.
        """
        same = {"size": None, "reach": {"$not": {"$gt": size}}, "attempt": number(attempt)}
        change = {"$set": {"size": size}}
        return await update(self._collection, upload_id, (State.UPLOADING,), change, **same)

    async def join_into(self, part: Manifest, final_id: str) -> Manifest | None:
        """Note which final upload a part belongs to. None when that changed, or it has ended."""
        change = {"$set": {"joined_into": final_id}}
        same = {"joined_into": part.joined_into}
        return await update(self._collection, part.id, (State.UPLOADING,), change, **same)

    async def begin_again(self, upload_id: str, attempt: int, now: float) -> Manifest | None:
        """Begin the attempt after `attempt`, with nothing stored. None when that is over."""
        fresh = {"attempt": attempt + 1, "upload_size": 0, "offset": 0}
        change = {
            "$set": {**fresh, "updated_at": moment(now)},
            "$unset": {"reach": ""},
        }
        return await update(
            self._collection, upload_id, (State.UPLOADING,), change, attempt=number(attempt)
        )

    async def begin_parts(self, upload_id: str, multipart: str) -> Manifest | None:
        """Note under which name the bucket takes its parts. None when another one is noted."""
        change = {"$set": {"multipart": multipart}}
        return await update(self._collection, upload_id, (State.UPLOADING,), change, multipart=None)

    async def finish_direct(
        self, file: Manifest, now: float, claimed_until: float
    ) -> Manifest | None:
        """Make an upload ready whose bytes are in the bucket that it was to be moved to.

        `file` is the manifest as it will be; nobody else claims its steps before `claimed_until`.
        None when it is not open, or in another attempt.
        """
        change = {
            "$set": {
                "state": str(State.READY),
                "upload_end": True,
                "upload_size": file.size,
                "sha256": file.sha256,
                "mime_type": file.mime_type,
                "updated_at": moment(now),
                "expires_at": moment(file.expires_at),
                "blobs": file.blobs,
                "etag": file.etag,
                "move_to": None,
                "multipart": None,
                "todo": [*self._notices.words(Event.FILE_READY), *file.todo],
                "todo_at": claimed_until,
            },
            **self._notices.noted(Event.FILE_READY, now),
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
        expires_at: float | None = None,
        move_to: str | None = None,
        todo: tuple[str, ...] = (),
        claimed_until: float = 0.0,
        becomes: State = State.READY,
    ) -> Manifest | None:
        """Make the upload ready: the one write that lets others see it. None when it is not open.

        Or `replacing`, where its bytes are for another file; then nobody is told of it yet.

        The length is part of the comparison: two finishes with different ones cannot both win, and
        a piece that was stored since the proof must not lie behind the end. So is the attempt: what
        was proven of one must not publish the bytes of another.

        The file is deleted at `expires_at`, unless that is None.

        `todo` are the steps that bring the bytes to where they belong, `move_to` the home that they
        go to; nobody else claims the steps before `claimed_until`.
        """
        ready = becomes is State.READY
        change = {
            "$set": {
                "state": str(becomes),
                "upload_end": True,
                "size": size,
                "upload_size": size,
                "crc32c": crc32c,
                "sha256": sha256,
                "mime_type": mime,
                "updated_at": moment(now),
                "expires_at": moment(expires_at),
                "move_to": move_to,
                "todo": [*(self._notices.words(Event.FILE_READY) if ready else ()), *todo],
                "todo_at": claimed_until,
            },
            **(self._notices.noted(Event.FILE_READY, now) if ready else {}),
        }
        same = {
            "size": {"$in": [None, size]},
            "reach": {"$not": {"$gt": size}},
            "attempt": number(attempt),
        }
        return await self._updates.update(upload_id, (State.UPLOADING,), change, **same)

    async def note_crc32(self, file: Manifest, crc32: int) -> None:
        """Note the CRC-32 of a finished file, unless other bytes have replaced those since."""
        change = {"$set": {"crc32": crc32}}
        await update(self._collection, file.id, (State.READY,), change, kept_as=file.kept_as)

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
        rejected: bool = False,
    ) -> Manifest | None:
        """Turn an upload into a tombstone, kept `until` then; `rejected` says why.

        None when its state was not `only`, or it is not as `seen` shows it.
        Its bytes are to be deleted: that is its `todo`, claimed by the caller `claimed_until` then.
        """
        change = self._dead(becomes, Event.FILE_DELETED, now, until, claimed_until)
        if rejected:
            change["$set"]["rejected"] = True
        return await update(self._collection, upload_id, only, change, **_unchanged(seen))

    async def expire(
        self, manifest: Manifest, *, now: float, until: float, claimed_until: float = 0.0
    ) -> Manifest | None:
        """Turn an upload or file into a tombstone, unless it ended or may live longer by now.

        `until` and `claimed_until` as in `mark_deleted`.
        """
        event = Event.FILE_DELETED if manifest.state in FINISHED else Event.UPLOAD_EXPIRED
        # For its owner a file in the trash is deleted already.
        becomes = State.DELETED if manifest.state is State.TRASHED else State.EXPIRED
        change = self._dead(becomes, event, now, until, claimed_until)
        unmoved = {"$lte": moment(now)}
        return await update(
            self._collection, manifest.id, (manifest.state,), change, expires_at=unmoved
        )

    def _dead(
        self, becomes: State, event: Event, now: float, until: float, claimed_until: float
    ) -> dict[str, Any]:
        """The change of an upload or file into a tombstone."""
        return {
            "$set": {
                "state": str(becomes),
                "updated_at": moment(now),
                "expires_at": moment(until),
                # What the living file noted is still to be told.
                "todo": [*self._notices.words(), EMPTY],
                "todo_at": claimed_until,
            },
            # Whoever held the steps of the living file has lost them.
            "$inc": {"todo_tries": 1},
            **self._notices.noted(event, now),
        }

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

    async def conclude(self, file_id: str, upload_id: str) -> None:
        """Note in a file that its former bytes are those of the upload that replaced them."""
        change = {"$set": {"former": None}}
        await update(self._collection, file_id, tuple(State), change, **{"former.by": upload_id})

    # -- the trash

    async def trash(self, seen: Manifest, *, now: float, until: float) -> Manifest | None:
        """Move a finished file to the trash, and delete it `until` then, or when it expires.

        None when it is not as `seen` any more. Steps that bring its bytes to their place go on.
        """
        ends = until if seen.expires_at is None else min(until, seen.expires_at)
        change = {
            "$set": {
                "state": str(State.TRASHED),
                "trashed_at": moment(now),
                "updated_at": moment(now),
                "expires_at": moment(ends),
                "own_expires_at": moment(seen.expires_at),
            },
            "$inc": {"revision": 1},
            **self._told(Event.FILE_TRASHED, now),
        }
        same = {**_unchanged(seen), "expires_at": moment(seen.expires_at)}
        return await update(self._collection, seen.id, (State.READY,), change, **same)

    async def restore(self, seen: Manifest, now: float) -> Manifest | None:
        """Move a file out of the trash, as it was before. None when it is not there any more."""
        change = {
            "$set": {
                "state": str(State.READY),
                "trashed_at": None,
                "updated_at": moment(now),
                "expires_at": moment(seen.own_expires_at),
                "own_expires_at": None,
            },
            "$inc": {"revision": 1},
            **self._told(Event.FILE_RESTORED, now),
        }
        same = {"trashed_at": moment(seen.trashed_at)}
        return await update(self._collection, seen.id, (State.TRASHED,), change, **same)

    def _told(self, event: Event, now: float) -> dict[str, Any]:
        """The part of an update of a finished file that has an event reported."""
        noted = self._notices.noted(event, now)
        if not noted:
            return {}
        # Due now, or when whoever works on other steps is done.
        return {**noted, "$addToSet": {"todo": NOTIFY}, "$max": {"todo_at": now}}

    async def trashed(self, user_id: str, *, before: str | None, most: int) -> list[Manifest]:
        """A user's files in the trash, the newest first, those with ids smaller than `before`."""
        query: dict[str, Any] = {"user_id": user_id, "state": str(State.TRASHED)}
        if before is not None:
            query["_id"] = {"$lt": ObjectId(before)}
        return await self._list(query, most)

    async def count_trashed(self, most: int) -> int:
        """How many files are in the trash, of all users; `most` stands for that or more."""
        # Counted in the index `due`; no document is read.
        query = {"state": str(State.TRASHED), "emptied": False}
        found = await self._read(lambda: self._collection.count_documents(query, limit=most))
        return int(found)

    # -- all of them

    async def due(self, now: float, after: str | None, most: int) -> list[Manifest]:
        """Uploads and files that may need the janitor, by id, those after `after`."""
        tombs = [str(State.EXPIRED), str(State.DELETED)]
        over = {"$lte": moment(now)}
        # Each is one range of the index `due`, so tombstones that are not due yet cost nothing.
        query: dict[str, Any] = {
            "$or": [
                {"state": str(State.UPLOADING), "emptied": False, "expires_at": over},
                {"state": str(State.READY), "emptied": False, "expires_at": over},
                {"state": str(State.TRASHED), "emptied": False, "expires_at": over},
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
