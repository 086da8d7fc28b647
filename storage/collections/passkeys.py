"""The `passkeys` collection: public keys with which people sign in without a password.

One document for each, by the id that the authenticator gave it. `sign_count` is the authenticator's
own count of its signatures; many report none, and it stays 0.
Source: Web Authentication Level 3, 4 (credential record); page 13 of the design.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bson import Binary
from pymongo.errors import DuplicateKeyError

from lading.protocol.errors import NameTaken
from lading.storage.database import Database, persist

MOST = 20
"""Passkeys of one user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passkey:
    """A public key, and what its owner calls it. Times are Unix seconds."""

    id: bytes
    user_id: str
    public_key: bytes
    label: str
    sign_count: int
    created_at: float
    used_at: float | None = None

    @property
    def text_id(self) -> str:
        """The id in Base64 for URLs, as browsers have it."""
        return urlsafe_b64encode(self.id).decode().rstrip("=")


class Passkeys:
    """The passkeys of all users."""

    def __init__(self, database: Database) -> None:
        self._read = database.read
        self._collection = database.passkeys

    async def insert(self, passkey: Passkey) -> None:
        """Store a new one; raises NameTaken for one that is known."""
        document = {
            "_id": Binary(passkey.id),
            "user_id": passkey.user_id,
            "public_key": Binary(passkey.public_key),
            "label": passkey.label,
            "sign_count": passkey.sign_count,
            "created_at": passkey.created_at,
            "used_at": passkey.used_at,
        }
        try:
            await persist(lambda: self._collection.insert_one(document))
        except DuplicateKeyError as error:
            if await self.get(passkey.id) != passkey:
                raise NameTaken("This passkey is known already.") from error

    async def get(self, passkey_id: bytes) -> Passkey | None:
        """The one with this id."""
        query = {"_id": Binary(passkey_id)}
        found = await self._read(lambda: self._collection.find_one(query))
        return None if found is None else _from_document(found)

    async def of_user(self, user_id: str) -> list[Passkey]:
        """A user's, the newest first."""
        query = {"user_id": user_id}
        found = await self._read(
            lambda: self._collection.find(query).sort("created_at", -1).to_list(MOST)
        )
        return [_from_document(document) for document in found]

    async def used(self, passkey: Passkey, sign_count: int, now: float) -> None:
        """Note that it signed. A count never goes down."""
        change = {"$max": {"sign_count": sign_count}, "$set": {"used_at": now}}
        query = {"_id": Binary(passkey.id)}
        await persist(lambda: self._collection.update_one(query, change))

    async def remove(self, passkey_id: bytes, user_id: str) -> bool:
        """Delete one of this user; False when there was none."""
        query = {"_id": Binary(passkey_id), "user_id": user_id}
        result = await persist(lambda: self._collection.delete_one(query))
        return bool(result.deleted_count)

    async def remove_user(self, user_id: str) -> None:
        """Delete all of a user."""
        await persist(lambda: self._collection.delete_many({"user_id": user_id}))


def _from_document(document: Mapping[str, Any]) -> Passkey:
    return Passkey(
        id=bytes(document["_id"]),
        user_id=document["user_id"],
        public_key=bytes(document["public_key"]),
        label=document["label"],
        sign_count=document["sign_count"],
        created_at=document["created_at"],
        used_at=document["used_at"],
    )
