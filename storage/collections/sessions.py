"""The `sessions` collection: who is signed in, in which browser.

One document for each sign-in, whose refresh tokens are a family (RFC 9700, 4.14.2):

    user_id, scopes  whose it is, and what its principal may do
    revision         that of the account when it began
    generation       the number of the refresh token that is good now
    rotated_at       when that number came to be
    created_at, used_at, address, agent   for people who look which of them are theirs
    expires_at       the end unless it is used; `kept_until` is the same for the index

No token is stored, nor a digest of one: the server's secret makes each of the session and its
number. Times are Unix seconds, by the database's clock.
Source: page 13 of the design, "Accounts"; docs/decisions/0070.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from lading.storage.database import Database, persist

MOST = 100
"""Sessions of one user. A sign-in beyond that ends the one that was used the longest ago."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A sign-in that is not over."""

    id: str
    user_id: str
    scopes: tuple[str, ...]
    revision: str
    created_at: float
    used_at: float
    rotated_at: float
    expires_at: float
    address: str
    agent: str
    generation: int = 1


_FIELDS = tuple(field.name for field in fields(Session) if field.name != "id")


def _to_document(session: Session) -> dict[str, Any]:
    document = {name: getattr(session, name) for name in _FIELDS}
    document["scopes"] = list(session.scopes)
    return {"_id": ObjectId(session.id), "kept_until": _moment(session.expires_at), **document}


def _from_document(document: Mapping[str, Any]) -> Session:
    values = {name: document[name] for name in _FIELDS}
    values["scopes"] = tuple(values["scopes"])
    return Session(id=str(document["_id"]), **values)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


class Sessions:
    """All sessions."""

    def __init__(self, database: Database) -> None:
        self._read = database.read
        self._collection = database.sessions

    async def insert(self, session: Session) -> None:
        """Store a new session; the id is fresh, so a second call is harmless.

        The user's oldest ones beyond `MOST` end.
        """
        document = _to_document(session)
        with suppress(DuplicateKeyError):
            await persist(lambda: self._collection.insert_one(document))
        mine = {"user_id": session.user_id}
        found = await self._read(
            lambda: (
                self._collection.find(mine, {"_id": 1}).sort("used_at", -1).skip(MOST).to_list(None)
            )
        )
        if found:
            old = {"_id": {"$in": [each["_id"] for each in found]}}
            await persist(lambda: self._collection.delete_many(old))

    async def get(self, session_id: str, now: float) -> Session | None:
        """The session, unless it is over."""
        query = {"_id": ObjectId(session_id), "expires_at": {"$gt": now}}
        found = await self._read(lambda: self._collection.find_one(query))
        return None if found is None else _from_document(found)

    async def of_user(self, user_id: str, now: float) -> list[Session]:
        """A user's sessions, the last used one first."""
        query = {"user_id": user_id, "expires_at": {"$gt": now}}
        found = await self._read(
            lambda: self._collection.find(query).sort("used_at", -1).to_list(MOST)
        )
        return [_from_document(document) for document in found]

    async def living(self, session_ids: Collection[str], now: float) -> set[str]:
        """The ids among these whose session is not over."""
        ids = [ObjectId(each) for each in session_ids]
        query = {"_id": {"$in": ids}, "expires_at": {"$gt": now}}
        found = await self._read(lambda: self._collection.find(query, {"_id": 1}).to_list(None))
        return {str(document["_id"]) for document in found}

    async def rotate(
        self, session: Session, *, now: float, expires_at: float, address: str, agent: str
    ) -> Session | None:
        """Make the next refresh token the good one; None when another call did, or it is over."""
        same = {"_id": ObjectId(session.id), "generation": session.generation}
        change = {
            "$set": {
                "generation": session.generation + 1,
                "rotated_at": now,
                "used_at": now,
                "expires_at": expires_at,
                "kept_until": _moment(expires_at),
                "address": address,
                "agent": agent,
            }
        }
        found = await persist(
            lambda: self._collection.find_one_and_update(
                same, change, return_document=ReturnDocument.AFTER
            )
        )
        return None if found is None else _from_document(found)

    async def end(self, session_id: str, user_id: str) -> bool:
        """End a session of this user; False when there was none."""
        query = {"_id": ObjectId(session_id), "user_id": user_id}
        result = await persist(lambda: self._collection.delete_one(query))
        return bool(result.deleted_count)

    async def end_user(self, user_id: str, *, but: str | None = None) -> int:
        """End a user's sessions, all or all `but` one; returns how many."""
        query: dict[str, Any] = {"user_id": user_id}
        if but is not None:
            query["_id"] = {"$ne": ObjectId(but)}
        result = await persist(lambda: self._collection.delete_many(query))
        return int(result.deleted_count)
