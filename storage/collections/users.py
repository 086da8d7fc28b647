"""The `users` collection: who has an account, and what proves it.

One document for each account:

    _id         the name, which is the id of the user everywhere else
    key         what is the same for names that look the same; unique
    password    the argon2id hash; null where another way leads in
    scopes      what its principal may do beside its own affairs
    disabled    whether nobody may sign in
    revision    random, and another after each change: a session that was begun under an earlier
                one is over
    created_at  Unix seconds
    identity    who it is at an OpenID provider; unique, absent for others

The quota is in `quotas`, as that of every user.
Source: page 13 of the design, "Accounts".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from lading.protocol.accounts import account_key
from lading.protocol.errors import NameTaken
from lading.storage.database import Database, persist


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """An account. `password` is a hash, None where nobody signs in with one."""

    name: str
    password: str | None
    scopes: tuple[str, ...]
    revision: str
    created_at: float
    disabled: bool = False
    identity: str | None = None


def to_document(user: User) -> dict[str, Any]:
    """The account as MongoDB stores it."""
    own = {} if user.identity is None else {"identity": user.identity}
    return {
        **own,
        "_id": user.name,
        "key": account_key(user.name),
        "password": user.password,
        "scopes": list(user.scopes),
        "disabled": user.disabled,
        "revision": user.revision,
        "created_at": user.created_at,
    }


def from_document(document: Mapping[str, Any]) -> User:
    """The account that `to_document` made `document` of."""
    return User(
        name=document["_id"],
        password=document["password"],
        scopes=tuple(document["scopes"]),
        disabled=document["disabled"],
        revision=document["revision"],
        created_at=document["created_at"],
        identity=document.get("identity"),
    )


class Users:
    """All accounts."""

    def __init__(self, database: Database) -> None:
        self._read = database.read
        self._collection = database.users

    async def insert(self, user: User) -> None:
        """Store a new account; raises NameTaken if it, one that looks like it, or another for the
        same identity exists.

        A second call with the same account changes nothing.
        """
        document = to_document(user)
        try:
            await persist(lambda: self._collection.insert_one(document))
        except DuplicateKeyError as error:
            if await self.get(user.name) != user:
                raise NameTaken("There is an account of this name.") from error

    async def get(self, name: str) -> User | None:
        """The account of exactly this name."""
        found = await self._read(lambda: self._collection.find_one({"_id": name}))
        return None if found is None else from_document(found)

    async def find(self, name: str) -> User | None:
        """The account that somebody means who types this name."""
        query = {"key": account_key(name)}
        found = await self._read(lambda: self._collection.find_one(query))
        return None if found is None else from_document(found)

    async def of_identity(self, identity: str) -> User | None:
        """The account of somebody whom a provider knows."""
        found = await self._read(lambda: self._collection.find_one({"identity": identity}))
        return None if found is None else from_document(found)

    async def page(self, *, after: str | None, most: int) -> list[User]:
        """The accounts by name, those after `after`."""
        query: dict[str, Any] = {} if after is None else {"_id": {"$gt": after}}
        found = await self._read(
            lambda: self._collection.find(query).sort("_id", 1).limit(most).to_list(most)
        )
        return [from_document(document) for document in found]

    async def change(self, name: str, revision: str, changes: Mapping[str, Any]) -> User | None:
        """Change `password`, `scopes` or `disabled`; None when there is no such account."""
        given = {"$set": {**changes, "revision": revision}}
        found = await persist(
            lambda: self._collection.find_one_and_update(
                {"_id": name}, given, return_document=ReturnDocument.AFTER
            )
        )
        return None if found is None else from_document(found)

    async def rehash(self, user: User, password: str) -> None:
        """Store a better hash of the same password, unless the account changed meanwhile."""
        same = {"_id": user.name, "revision": user.revision}
        better = {"$set": {"password": password}}
        await persist(lambda: self._collection.update_one(same, better))

    async def remove(self, name: str) -> bool:
        """Delete an account; False when there was none."""
        result = await persist(lambda: self._collection.delete_one({"_id": name}))
        return bool(result.deleted_count)
