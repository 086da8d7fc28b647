"""The `grants` collection: what was minted, and how often it was used.

It owns how a grant is kept and found. Of its token only the SHA-256 is kept: who reads the
database, or a backup of it, cannot use a grant. Tokens are found by the index on that digest. The
search may take longer the more digits agree, and that tells nothing: nobody can choose a token by
its digest, and a token holds 256 random bits.

A use is counted by one conditional update, which also notes the upload that it is for, so that
the update means the same when it is done twice. It refuses to know what a grant allows
(`protocol/grants.py`). Times are Unix seconds, by the database's clock.
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
"""How long an expired grant is kept for those who go on with an upload that it began. While it is
still asked for, it is kept on."""

KEPT_ELSE_SECONDS = 24 * 3600.0
"""How long other expired grants are kept, so that their bearers hear that they expired."""

NOTED = 256
"""Uploads noted with their grant: far more than are created in the time of one retry."""

_FIELDS = tuple(field.name for field in fields(Grant) if field.name != "id")


def to_document(grant: Grant, token: str) -> dict[str, Any]:
    """The grant as MongoDB keeps it."""
    document = {name: getattr(grant, name) for name in _FIELDS}
    document["action"] = str(grant.action)
    document["mime_types"] = list(grant.mime_types)
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
    values["mime_types"] = tuple(values.get("mime_types", ()))
    return Grant(id=str(document["_id"]), **values)


def _digest(token: str) -> Binary:
    return Binary(hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest())


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


class Grants:
    """All grants that were minted and neither revoked nor forgotten."""

    def __init__(self, database: Database) -> None:
        self._read = database.read
        self._collection = database.grants

    async def insert(self, grant: Grant, token: str) -> None:
        """Keep a new grant; durable on return. The id is fresh, so once more is no harm."""
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
        """Those of the ids whose grant is not revoked."""
        query = {"_id": {"$in": [ObjectId(each) for each in grant_ids]}}
        found = await self._read(lambda: self._collection.find(query).to_list(None))
        grants = [from_document(document) for document in found]
        await self._keep(grants, now)
        return {grant.id for grant in grants}

    async def _keep(self, grants: list[Grant], now: float) -> None:
        """Keep those on that are asked for long after they expired."""
        old = [ObjectId(g.id) for g in grants if now - g.expires_at > KEPT_SECONDS / 2]
        if old:
            longer = {"$max": {"kept_until": _moment(now + KEPT_SECONDS)}}
            await persist(lambda: self._collection.update_many({"_id": {"$in": old}}, longer))

    async def minted(self, minter: str, *, before: str | None, most: int) -> list[Grant]:
        """What someone minted, the newest first, those with ids smaller than `before`."""
        query: dict[str, Any] = {"minter": minter}
        if before is not None:
            query["_id"] = {"$lt": ObjectId(before)}
        found = await self._read(
            lambda: self._collection.find(query).sort("_id", -1).limit(most).to_list(most)
        )
        return [from_document(document) for document in found]

    async def use(self, grant: Grant, upload_id: str, now: float) -> None:
        """Count the creation of an upload; once more changes nothing.

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
        """Raise Forbidden with the reason; nothing, when this very use was counted already."""
        found = await self._read(lambda: self._collection.find_one({"_id": ObjectId(grant_id)}))
        if found is None:
            raise Forbidden("The grant was revoked.")
        if upload_id in found["noted"]:
            return
        if found["expires_at"] <= now:
            raise Forbidden("The grant expired; uploads that it began can still be finished.")
        raise Forbidden("The grant is used up; uploads that it began can still be finished.")

    async def give_back(self, grant_id: str, upload_id: str) -> None:
        """The upload came to nothing: the use counts no longer. Once at most."""
        noted = {"_id": ObjectId(grant_id), "noted": upload_id}
        change = {"$inc": {"used": -1}, "$pull": {"noted": upload_id}}
        await persist(lambda: self._collection.update_one(noted, change))

    async def revoke(self, grant_id: str) -> None:
        """Forget a grant, and with it its token, at once."""
        await persist(lambda: self._collection.delete_one({"_id": ObjectId(grant_id)}))
