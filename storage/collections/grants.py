"""The `grants` collection: what was minted, and how often it was used.

Of a grant's token only the SHA-256 is stored: whoever reads the database, or a backup of it, cannot
use a grant. Tokens are found by the index on that digest. The
search may take longer the more digits agree, and that tells nothing: nobody can choose a token by
its digest, and a token holds 256 random bits.

A use is counted by one conditional update, which also notes the upload that it is for, so that
the update means the same when it is done twice. `protocol/grants.py` says what a grant allows.
Times are Unix seconds, by the database's clock.
Source: page 4 of the design (grants), page 5, security list, item 19.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from bson import Binary, ObjectId
from pymongo.errors import DuplicateKeyError

from lading.protocol.errors import Forbidden
from lading.protocol.grants import Action, Grant
from lading.storage.database import Database, persist

KEPT_SECONDS = 30 * 24 * 3600.0
"""How long an expired grant is kept for clients that resume an upload it created. As long as one
asks for it, it is kept longer."""

KEPT_ELSE_SECONDS = 24 * 3600.0
"""How long other expired grants are kept, so that their bearers learn that they expired."""

NOTED = 256
"""Uploads noted with their grant: far more than are created in the time of one retry."""

WATCHERS = 256
"""Noted with a download grant. Those who come later must end before the grant does."""

_FIELDS = tuple(field.name for field in fields(Grant) if field.name != "id")


def to_document(grant: Grant, token: str) -> dict[str, Any]:
    """The grant as MongoDB stores it."""
    document = {name: getattr(grant, name) for name in _FIELDS}
    document["action"] = str(grant.action)
    document["mime_types"] = list(grant.mime_types)
    document["watchers"] = list(grant.watchers)
    kept = KEPT_SECONDS if grant.action is Action.UPLOAD else KEPT_ELSE_SECONDS
    return {
        "_id": ObjectId(grant.id),
        "token": _digest(token),
        "noted": [],
        "kept_until": _moment(grant.expires_at + kept),
        **document,
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


class Grants:
    """All grants that were minted, and neither revoked nor deleted."""

    def __init__(self, database: Database) -> None:
        self._read = database.read
        self._collection = database.grants

    async def insert(self, grant: Grant, token: str) -> None:
        """Store a new grant; durable then. The id is fresh, so a second call is harmless."""
        document = to_document(grant, token)
        with suppress(DuplicateKeyError):
            await persist(lambda: self._collection.insert_one(document))

    async def find(self, token: str, now: float) -> Grant | None:
        """The grant with this token, expired ones included; None when there is none."""
        query = {"token": _digest(token)}
        found = await self._read(lambda: self._collection.find_one(query))
        if found is None:
            return None
        grant = from_document(found)
        await self._keep([grant], now)
        return grant

    async def get(self, grant_id: str) -> Grant | None:
        """The grant with this id."""
        found = await self._read(lambda: self._collection.find_one({"_id": ObjectId(grant_id)}))
        return None if found is None else from_document(found)

    async def living(self, grant_ids: Collection[str], now: float) -> set[str]:
        """The ids among these whose grant is not revoked."""
        query = {"_id": {"$in": [ObjectId(each) for each in grant_ids]}}
        found = await self._read(lambda: self._collection.find(query).to_list(None))
        grants = [from_document(document) for document in found]
        await self._keep(grants, now)
        return {grant.id for grant in grants}

    async def _keep(self, grants: list[Grant], now: float) -> None:
        """Keep expired grants longer that are still asked for."""
        old = [ObjectId(g.id) for g in grants if now - g.expires_at > KEPT_SECONDS / 2]
        if old:
            longer = {"$max": {"kept_until": _moment(now + KEPT_SECONDS)}}
            await persist(lambda: self._collection.update_many({"_id": {"$in": old}}, longer))

    async def minted(self, minter: str, *, before: str | None, most: int) -> list[Grant]:
        """The grants that a user minted, the newest first, with ids smaller than `before`."""
        query: dict[str, Any] = {"minter": minter}
        if before is not None:
            query["_id"] = {"$lt": ObjectId(before)}
        found = await self._read(
            lambda: self._collection.find(query).sort("_id", -1).limit(most).to_list(most)
        )
        return [from_document(document) for document in found]

    async def use(self, grant: Grant, upload_id: str, now: float) -> None:
        """Count the creation of an upload; a second call changes nothing.

        Raises Forbidden, and counts nothing, when the grant is expired, used up or revoked.
        """
        usable = {
            "_id": ObjectId(grant.id),
            "used": {"$lt": grant.uses},
            "expires_at": {"$gt": now},
            "noted": {"$ne": upload_id},
        }
        change = {
            "$inc": {"used": 1},
            "$push": {"noted": {"$each": [upload_id], "$slice": -NOTED}},
        }
        result = await persist(lambda: self._collection.update_one(usable, change))
        if not result.matched_count:
            await self._explain(grant.id, upload_id, now)

    async def _explain(self, grant_id: str, upload_id: str, now: float) -> None:
        """Raise Forbidden with the reason, unless this very use was counted already."""
        found = await self._read(lambda: self._collection.find_one({"_id": ObjectId(grant_id)}))
        if found is None:
            raise Forbidden("The grant was revoked.")
        if upload_id in found["noted"]:
            return
        if found["expires_at"] <= now:
            raise Forbidden(
                "The grant expired; uploads that were created with it can still be finished."
            )
        raise Forbidden(
            "The grant is used up; uploads that were created with it can still be finished."
        )

    async def give_back(self, grant_id: str, upload_id: str) -> None:
        """The upload was not created: its use no longer counts. Applied once at most."""
        noted = {"_id": ObjectId(grant_id), "noted": upload_id}
        change = {"$inc": {"used": -1}, "$pull": {"noted": upload_id}}
        await persist(lambda: self._collection.update_one(noted, change))

    async def remove_user(self, user_id: str) -> int:
        """Delete the grants that a user created, and those to act for that user.

        Returns how many, without those that the server created by itself.
        """
        query: dict[str, Any] = {"$or": [{"minter": user_id}, {"user_id": user_id}]}
        minted = {**query, "minter": {"$ne": ""}}
        result = await persist(lambda: self._collection.delete_many(minted))
        await persist(lambda: self._collection.delete_many(query))
        return int(result.deleted_count)

    async def note_watcher(self, grant: Grant, watcher: str) -> None:
        """Note who uses a download grant; applied once, and for the first `WATCHERS` only."""
        if watcher in grant.watchers or len(grant.watchers) >= WATCHERS:
            return
        fresh = {"_id": ObjectId(grant.id), "watchers": {"$ne": watcher}}
        change = {"$push": {"watchers": {"$each": [watcher], "$slice": WATCHERS}}}
        await persist(lambda: self._collection.update_one(fresh, change))

    async def revoke(self, grant_id: str) -> None:
        """Delete a grant; its token is invalid at once."""
        await persist(lambda: self._collection.delete_one({"_id": ObjectId(grant_id)}))
