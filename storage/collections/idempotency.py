"""The `idempotency` collection: which request came under which key, and what was answered.

One document for each key of a user or of a grant:

    request     the digest of the request without its body
    holder      the call that carries it out, or did
    until       the end of that call's lease, which it renews; after it another call may begin anew
    body        the digest of the body; absent until the request was answered
    answer      the answer, sealed by the caller; absent until then
    begun_at, kept_until  when the call began, and when the document goes

A call holds the key by one compare-and-set on the holder that it found. An answer is stored once,
and only what a call created is: a refused request created nothing, and frees its key. Times are
Unix seconds, by the database's clock.
Source: draft-ietf-httpapi-idempotency-key-header.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bson import Binary
from pymongo.errors import DuplicateKeyError

from lading.storage.database import Database, persist

KEPT_SECONDS = 24 * 3600.0
"""How long a key is remembered."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What stands under a key. `answer` is None while the request is being carried out."""

    key: bytes
    request: bytes
    holder: str
    body: bytes | None = None
    answer: str | None = None


class IdempotencyKeys:
    """The keys of all users. Keys and digests are bytes of the caller's."""

    def __init__(self, database: Database) -> None:
        self._read = database.read
        self._collection = database.idempotency

    async def begin(
        self, key: bytes, request: bytes, user_id: str, holder: str, *, now: float, until: float
    ) -> Kept:
        """Take the key `until` then, or find what stands under it.

        The caller holds it if `holder` is its own. A second call with that holder is harmless.
        """
        fresh = {
            "_id": Binary(key),
            "request": Binary(request),
            "user_id": user_id,
            "holder": holder,
            "begun_at": now,
            "until": until,
            "kept_until": datetime.fromtimestamp(now + KEPT_SECONDS, UTC),
        }
        while True:
            try:
                await persist(lambda: self._collection.insert_one(dict(fresh)))
            except DuplicateKeyError:
                pass
            else:
                return Kept(key, request, holder)
            found = await self._find(key)
            if found is None:
                continue  # it was freed just now
            forgotten = found["begun_at"] + KEPT_SECONDS <= now  # the index deletes it later
            same = bytes(found["request"]) == request
            if forgotten or ("answer" not in found and found["until"] <= now and same):
                await self._replace(found, fresh)
            else:
                return _kept(found)

    async def _find(self, key: bytes) -> dict[str, Any] | None:
        query = {"_id": Binary(key)}
        found: dict[str, Any] | None = await self._read(lambda: self._collection.find_one(query))
        return found

    async def _replace(self, found: dict[str, Any], fresh: dict[str, Any]) -> None:
        """Give the key of a call that is over to another, unless it moved."""
        unmoved = {name: found[name] for name in ("_id", "holder", "until")}
        await persist(lambda: self._collection.replace_one(unmoved, dict(fresh)))

    async def renew(self, kept: Kept, until: float) -> None:
        """Keep the key while the request is being carried out."""
        await persist(lambda: self._collection.update_one(_held(kept), {"$set": {"until": until}}))

    async def answered(self, kept: Kept, body: bytes, answer: str) -> None:
        """Store the answer; does nothing when the key has passed to another call."""
        change = {"$set": {"body": Binary(body), "answer": answer}}
        await persist(lambda: self._collection.update_one(_held(kept), change))

    async def free(self, kept: Kept) -> None:
        """The request created nothing: forget it."""
        await persist(lambda: self._collection.delete_one(_held(kept)))

    async def remove_user(self, user_id: str) -> None:
        """Forget all requests for a user."""
        await persist(lambda: self._collection.delete_many({"user_id": user_id}))


def _held(kept: Kept) -> dict[str, Any]:
    return {"_id": Binary(kept.key), "holder": kept.holder, "answer": {"$exists": False}}


def _kept(found: dict[str, Any]) -> Kept:
    body = found.get("body")
    return Kept(
        bytes(found["_id"]),
        bytes(found["request"]),
        found["holder"],
        None if body is None else bytes(body),
        found.get("answer"),
    )
