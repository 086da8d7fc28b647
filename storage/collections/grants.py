"""The `grants` collection: what was minted, and how often it was used.

Of a grant's token only the SHA-256 is stored: whoever reads the database, or a backup of it, cannot
use a grant. Tokens are found by the index on that digest. The
search may take longer the more digits agree, and that tells nothing: nobody can choose a token by
its digest, and a token holds 256 random bits.

Whoever sends files for a request has a document of their own with their token and their name. All
else is in that of the request, so a change or the end of a request holds for all of them at once.

A use is counted by one conditional update, which also notes the upload that it is for, so that
the update means the same when it is done twice. `protocol/grants.py` says what a grant allows.
Times are Unix seconds, by the database's clock.
Source: page 4 of the design (grants), page 5, security list, item 19.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from bson import Binary, ObjectId
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from lading.protocol.errors import Forbidden, QuotaExceeded, RateLimited
from lading.protocol.grants import Action, Grant
from lading.storage.database import Database, persist

KEPT_SECONDS = 30 * 24 * 3600.0
"""How long an expired grant is kept for clients that resume an upload it created. As long as one
asks for it, it is kept longer."""

KEPT_ELSE_SECONDS = 24 * 3600.0
"""How long other expired grants are kept, so that their bearers learn that they expired."""

NOTED = 256
"""Uploads noted with their grant: far more than are created in the time of one retry."""

SENDERS = 10_000
"""Who may give a name at one request."""

UNDER_WAY = 4096
"""Uploads of one request at a time; for each its document holds what is reserved."""

WATCHERS = 256
"""Noted with a download grant. Those who come later must end before the grant does."""

_FIELDS = tuple(field.name for field in fields(Grant) if field.name != "id")


def to_document(grant: Grant, token: str) -> dict[str, Any]:
    """The grant as MongoDB stores it."""
    document = {name: getattr(grant, name) for name in _FIELDS}
    document["action"] = str(grant.action)
    document["mime_types"] = list(grant.mime_types)
    document["watchers"] = list(grant.watchers)
    sends = grant.action in (Action.UPLOAD, Action.REQUEST)
    kept = KEPT_SECONDS if sends else KEPT_ELSE_SECONDS
    return {
        "_id": ObjectId(grant.id),
        "token": _digest(token),
        "noted": [],
        "kept_until": _moment(grant.expires_at + kept),
        **document,
        **({"open": {}, "under_way": 0} if grant.action is Action.REQUEST else {}),
    }


def from_document(document: Mapping[str, Any]) -> Grant:
    """The grant that `to_document` made `document` of."""
    values = {name: document[name] for name in _FIELDS if name in document}
    values["action"] = Action(values["action"])
    for name in ("mime_types", "watchers"):
        values[name] = tuple(values.get(name, ()))
    return Grant(id=str(document["_id"]), **values)


def _digest(token: str) -> Binary:
    return Binary(hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest())


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A request as it was read, and what it has reserved for an upload."""

    grant: Grant
    reserved: int


def _full(request: Grant, more: int) -> QuotaExceeded:
    most = request.max_size or 0
    return QuotaExceeded(
        f"This needs {more} bytes. {most} bytes were asked for, and {request.taken} of them were "
        "sent or are reserved. Ask whoever wants these files for more room.",
        limit=most,
        used=request.taken,
    )


class Grants:
    """All grants that were minted, and neither revoked nor deleted.

    At most `senders` give a name at one request, and `under_way` uploads of it are open at a time.
    """

    def __init__(
        self, database: Database, *, senders: int = SENDERS, under_way: int = UNDER_WAY
    ) -> None:
        self._read = database.read
        self._collection = database.grants
        self._senders = senders
        self._under_way = under_way

    async def insert(self, grant: Grant, token: str) -> None:
        """Store a new grant; durable then. The id is fresh, so a second call is harmless."""
        document = to_document(grant, token)
        with suppress(DuplicateKeyError):
            await persist(lambda: self._collection.insert_one(document))

    async def find(self, token: str, now: float) -> Grant | None:
        """The grant with this token, expired ones included; None when there is none."""
        query = {"token": _digest(token)}
        grant = await self._find(query)
        if grant is not None:
            await self._keep([grant], now)
        return grant

    async def get(self, grant_id: str) -> Grant | None:
        """The grant with this id."""
        return await self._find({"_id": ObjectId(grant_id)})

    async def _find(self, query: Mapping[str, Any]) -> Grant | None:
        """The grant; that of a sender as its request has it now."""
        found = await self._read(lambda: self._collection.find_one(query))
        if found is None:
            return None
        grant = from_document(found)
        if grant.parent is None:
            return grant
        request = await self.get(grant.parent)
        return None if request is None else request.sent_by(grant.id, grant.sender)

    async def living(self, grant_ids: Collection[str], now: float) -> set[str]:
        """The ids among these whose grant is not revoked."""
        query = {"_id": {"$in": [ObjectId(each) for each in grant_ids]}}
        found = await self._read(lambda: self._collection.find(query).to_list(None))
        grants = [from_document(document) for document in found]
        await self._keep([grant for grant in grants if grant.parent is None], now)
        parents = {grant.parent for grant in grants if grant.parent is not None}
        there = await self.living(parents, now) if parents else set()
        return {grant.id for grant in grants if grant.parent is None or grant.parent in there}

    async def _keep(self, grants: list[Grant], now: float) -> None:
        """Keep expired grants longer that are still asked for."""
        late = [grant for grant in grants if now - grant.expires_at > KEPT_SECONDS / 2]
        old = [ObjectId(grant.parent or grant.id) for grant in late]
        if old:
            longer = {"$max": {"kept_until": _moment(now + KEPT_SECONDS)}}
            await persist(lambda: self._collection.update_many({"_id": {"$in": old}}, longer))

    async def minted(
        self, minter: str, *, actions: Collection[Action] = (), before: str | None, most: int
    ) -> list[Grant]:
        """The grants that a user minted, the newest first, with ids smaller than `before`.

        Those for some actions, if they are given.
        """
        query: dict[str, Any] = {"minter": minter}
        if actions:
            query["action"] = {"$in": [str(each) for each in actions]}
        if before is not None:
            query["_id"] = {"$lt": ObjectId(before)}
        found = await self._read(
            lambda: self._collection.find(query).sort("_id", -1).limit(most).to_list(most)
        )
        return [from_document(document) for document in found]

    async def use(self, grant: Grant, upload_id: str, now: float, size: int = 0) -> None:
        """Count the creation of an upload of `size` bytes; a second call changes nothing.

        Raises Forbidden, and counts nothing, when the grant is expired, used up or revoked. With a
        request also QuotaExceeded, when it takes no more bytes, and RateLimited.
        """
        usable: dict[str, Any] = {
            "_id": ObjectId(grant.parent or grant.id),
            "used": {"$lt": grant.uses},
            "expires_at": {"$gt": now},
            "noted": {"$ne": upload_id},
        }
        change: dict[str, Any] = {
            "$inc": {"used": 1},
            "$push": {"noted": {"$each": [upload_id], "$slice": -NOTED}},
        }
        if grant.parent is not None:
            usable["under_way"] = {"$lt": self._under_way}
            if grant.max_size is not None:
                usable["taken"] = {"$lte": grant.max_size - size}
            change["$inc"] |= {"taken": size, "under_way": 1}
            change["$set"] = {f"open.{upload_id}": size}
        result = await persist(lambda: self._collection.update_one(usable, change))
        if not result.matched_count:
            await self._explain(grant, upload_id, now, size)

    async def _explain(self, grant: Grant, upload_id: str, now: float, size: int) -> None:
        """Raise the reason, unless this very use was counted already."""
        counted = {"_id": ObjectId(grant.parent or grant.id)}
        found = await self._read(lambda: self._collection.find_one(counted))
        if found is None:
            raise Forbidden("The grant was revoked.")
        if upload_id in found["noted"]:
            return
        if found["expires_at"] <= now:
            raise Forbidden(
                "The grant expired; uploads that were created with it can still be finished."
            )
        if found["used"] < found["uses"] and grant.parent is not None:
            if found["under_way"] >= self._under_way:
                raise RateLimited("Too many files are under way here; finish some of them first.")
            raise _full(from_document(found), size)
        raise Forbidden(
            "The grant is used up; uploads that were created with it can still be finished."
        )

    # -- what is sent for a request

    async def name_sender(self, grant: Grant, token: str) -> bool:
        """Store the grant of somebody who sends for a request; False where too many do."""
        request = {"_id": ObjectId(grant.parent), "senders": {"$lt": self._senders}}
        count = {"$inc": {"senders": 1}}
        result = await persist(lambda: self._collection.update_one(request, count))
        if not result.matched_count:
            return False
        await self.insert(grant, token)
        return True

    async def grow(self, request_id: str, upload_id: str, size: int) -> None:
        """Reserve `size` bytes in all for an upload of unknown length; never fewer than before.

        Raises QuotaExceeded. Nothing happens where the request was revoked or the upload ended.
        """
        while True:
            entry = await self._entry(request_id, upload_id)
            if entry is None or entry.reserved >= size:
                return
            more, most = size - entry.reserved, entry.grant.max_size
            if most is not None and entry.grant.taken + more > most:
                raise _full(entry.grant, more)
            within = {} if most is None else {"taken": {"$lte": most - more}}
            change = {"$inc": {"taken": more}, "$set": {f"open.{upload_id}": size}}
            if await self._change_entry(entry, upload_id, change, within):
                return

    async def settle(self, request_id: str, upload_id: str, size: int) -> None:
        """The upload ended with `size` bytes that stay, once at most; 0 where nothing came."""
        while True:
            entry = await self._entry(request_id, upload_id)
            if entry is None:
                return
            change = {
                "$inc": {"taken": size - entry.reserved, "under_way": -1},
                "$unset": {f"open.{upload_id}": ""},
            }
            if await self._change_entry(entry, upload_id, change, {}):
                return

    async def _entry(self, request_id: str, upload_id: str) -> _Entry | None:
        this = {"_id": ObjectId(request_id), f"open.{upload_id}": {"$exists": True}}
        found = await self._read(lambda: self._collection.find_one(this))
        return None if found is None else _Entry(from_document(found), found["open"][upload_id])

    async def _change_entry(
        self, entry: _Entry, upload_id: str, change: dict[str, Any], more: dict[str, Any]
    ) -> bool:
        this = {"_id": ObjectId(entry.grant.id), f"open.{upload_id}": entry.reserved, **more}
        result = await persist(lambda: self._collection.update_one(this, change))
        return bool(result.matched_count)

    # -- links

    async def visit(self, grant: Grant, visit: str, now: float) -> bool | None:
        """Count a visit of a link, once for each; whether it is a new one.

        None when it is not allowed: the link is used up, expired or revoked. Of a link with very
        many visits the oldest are forgotten, and counted again.
        """
        usable = {
            "_id": ObjectId(grant.id),
            "used": {"$lt": grant.uses},
            "expires_at": {"$gt": now},
            "noted": {"$ne": visit},
        }
        change = {
            "$inc": {"used": 1},
            "$push": {"noted": {"$each": [visit], "$slice": -NOTED}},
        }
        result = await persist(lambda: self._collection.update_one(usable, change))
        if result.matched_count:
            return True
        known = {"_id": ObjectId(grant.id), "expires_at": {"$gt": now}, "noted": visit}
        found = await self._read(lambda: self._collection.find_one(known, {"_id": 1}))
        return None if found is None else False

    async def guess(self, grant_id: str, now: float, *, most: int, seconds: float) -> bool:
        """Count an attempt at a link's password; whether it is allowed.

        At most `most` in each window of `seconds`, on all servers together, and counted before the
        attempt is made. `guessed` takes back one that was right.
        """
        window = now // seconds
        another = {"_id": ObjectId(grant_id), "guess_window": {"$ne": window}}
        begin = {"$set": {"guess_window": window, "guesses": 0}}
        await persist(lambda: self._collection.update_one(another, begin))
        left = {
            "_id": ObjectId(grant_id),
            "guess_window": window,
            "guesses": {"$lt": most},
        }
        count = {"$inc": {"guesses": 1}}
        result = await persist(lambda: self._collection.update_one(left, count))
        return bool(result.matched_count)

    async def guessed(self, grant_id: str) -> None:
        """An attempt was right, and does not count."""
        wrong = {"_id": ObjectId(grant_id), "guesses": {"$gt": 0}}
        await persist(lambda: self._collection.update_one(wrong, {"$inc": {"guesses": -1}}))

    async def change(self, grant: Grant) -> Grant | None:
        """Store the time, bounds and password of a grant; None when it was revoked."""
        fresh = to_document(grant, "")
        fields = ("expires_at", "kept_until", "uses", "max_size", "password")
        change = {"$set": {field: fresh[field] for field in fields}}
        this = {"_id": ObjectId(grant.id)}
        found = await persist(
            lambda: self._collection.find_one_and_update(
                this, change, return_document=ReturnDocument.AFTER
            )
        )
        return None if found is None else from_document(found)

    async def give_back(self, grant_id: str, upload_id: str) -> None:
        """The upload was not created: its use no longer counts. Applied once at most."""
        noted = {"_id": ObjectId(grant_id), "noted": upload_id}
        change = {"$inc": {"used": -1}, "$pull": {"noted": upload_id}}
        await persist(lambda: self._collection.update_one(noted, change))

    async def acts_for(self, user_id: str) -> bool:
        """Whether there is a grant with which somebody acts for this user."""
        query = {"user_id": user_id}
        return await self._read(lambda: self._collection.find_one(query, {"_id": 1})) is not None

    async def remove_user(self, user_id: str) -> int:
        """Delete the grants that a user created, and those to act for that user.

        Returns how many, without those that the server created by itself.
        """
        query: dict[str, Any] = {"$or": [{"minter": user_id}, {"user_id": user_id}]}
        minted = {**query, "minter": {"$ne": ""}}
        result = await persist(lambda: self._collection.delete_many(minted))
        await persist(lambda: self._collection.delete_many(query))
        return int(result.deleted_count)

    async def note_watcher(self, grant: Grant, watcher: str) -> bool:
        """Note who uses a download grant; applied once, and for the first `WATCHERS` only.

        Returns whether they are new.
        """
        if watcher in grant.watchers or len(grant.watchers) >= WATCHERS:
            return False
        fresh = {"_id": ObjectId(grant.id), "watchers": {"$ne": watcher}}
        change = {"$push": {"watchers": {"$each": [watcher], "$slice": WATCHERS}}}
        result = await persist(lambda: self._collection.update_one(fresh, change))
        return bool(result.modified_count)

    async def in_force(self, now: float, *, before: str | None, most: int) -> list[Grant]:
        """The grants of all users that have not expired, the newest first, with ids smaller than
        `before`; without those that the server created by itself."""
        query: dict[str, Any] = {"minter": {"$ne": ""}, "expires_at": {"$gt": now}}
        if before is not None:
            query["_id"] = {"$lt": ObjectId(before)}
        found = await self._read(
            lambda: self._collection.find(query).sort("_id", -1).limit(most).to_list(most)
        )
        return [from_document(document) for document in found]

    async def revoke(self, grant_id: str) -> None:
        """Delete a grant; its token is invalid at once."""
        await persist(lambda: self._collection.delete_one({"_id": ObjectId(grant_id)}))
