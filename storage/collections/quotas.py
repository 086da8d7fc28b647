"""The `quotas` collection: how many bytes a user may have, has, and has reserved.

One document for each user:

    quota      the limit in bytes, null for none; absent: the server's default
    charged    bytes of finished files and of uploads under way
    reserved   the part of it that uploads under way have reserved
    open       for each upload under way, what it has reserved
    leaving    finished files whose release is applied here and not yet noted in their manifest
    version    grows whenever something leaves

A quota and a manifest are two documents, and MongoDB promises nothing over two; so each change is
made exactly once by a mark in the document that it changes. An upload's reservation is an entry
of `open`: it becomes use, or is given back, by the one update that finds the entry and removes
it. A finished file has no entry; its release is guarded by `version`, read before the manifest is
looked at, and by its mark in `leaving`. A crash between two steps leaves a state from which the
next attempt, the janitor's at the latest, continues.

Pictures that are made of a finished file change what it is charged for. They are reserved under a
key of their own, `<id>-<claim>`, where the number is the manifest's `todo_tries`: two processes
that both believe to have the claim never share an entry. The write that adds the pictures to the
manifest also notes `picture_debt`, the claim and by how much the charge grows. So an entry whose
claim is noted there becomes use, and one of an older claim is given back.
Source: page 2 of the design; page 5, "quota holds".
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pymongo.errors import DuplicateKeyError

from lading.protocol.errors import QuotaExceeded
from lading.protocol.manifest import FINISHED, Manifest
from lading.storage.database import Database, persist
from lading.together import Together

MOST = 2**63 - 1
"""The largest integer of MongoDB: the limit of a user without a limit."""

CHANGED_AT_ONCE = 64
"""As many changes of accounts are one operation at most."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user's account as it was read. Sizes are bytes; `quota` is None for no limit."""

    user_id: str
    quota: int | None
    charged: int = 0
    reserved: int = 0
    open: Mapping[str, int] = field(default_factory=dict)
    leaving: frozenset[str] = frozenset()
    version: int = 0
    limited: bool = False
    """Whether the limit was set for this user; else it is the default."""
    known: bool = True
    """Whether there is a document."""

    @property
    def used(self) -> int:
        return self.charged - self.reserved

    @property
    def most(self) -> int:
        """The most bytes that may be charged."""
        return MOST if self.quota is None else min(self.quota, MOST)


@dataclass(frozen=True, slots=True)
class _Change:
    """A new reservation, or with `settles` one of just that size that becomes use."""

    user_id: str
    upload_id: str
    size: int
    settles: bool = False
    bounded: bool = True

    @property
    def entry(self) -> str:
        return f"open.{self.upload_id}"


def picture_key(claimed: Manifest) -> str:
    """The key in `open` of pictures that are made of a file under the claim of `claimed`."""
    return f"{claimed.id}-{claimed.todo_tries}"


def split_key(key: str) -> tuple[str, int | None]:
    """The id of the upload or file that a key in `open` is for, and the claim of its pictures."""
    upload_id, _, claim = key.partition("-")
    return upload_id, int(claim) if claim else None


class Quotas:
    """The accounts of all users. `default` is the limit of users for whom none was set."""

    def __init__(self, database: Database, default: int | None = None) -> None:
        self._read = database.read
        self._collection = database.quotas
        self._changes = Together(self._apply, most=CHANGED_AT_ONCE)
        self._default = default

    # -- looking and setting

    async def account(self, user_id: str) -> Account:
        """A user's account."""
        found = await self._read(lambda: self._collection.find_one({"_id": user_id}))
        return self.unknown(user_id) if found is None else self._of(found)

    def unknown(self, user_id: str) -> Account:
        """The account of a user who has nothing yet."""
        return Account(user_id, self._default, known=False)

    def _of(self, document: Mapping[str, Any]) -> Account:
        return Account(
            document["_id"],
            document.get("quota", self._default),
            document["charged"],
            document["reserved"],
            document["open"],
            frozenset(document["leaving"]),
            document["version"],
            "quota" in document,
        )

    async def page(self, *, after: str | None, most: int) -> list[Account]:
        """The accounts by user id, those after `after`."""
        query: dict[str, Any] = {} if after is None else {"_id": {"$gt": after}}
        found = await self._read(
            lambda: self._collection.find(query).sort("_id", 1).limit(most).to_list(most)
        )
        return [self._of(document) for document in found]

    async def users(self) -> list[str]:
        """The ids of all users who have an account."""
        found = await self._read(lambda: self._collection.find({}, {"_id": 1}).to_list(None))
        return [str(document["_id"]) for document in found]

    async def set_quota(self, user_id: str, quota: int | None) -> Account:
        """Set a user's limit in bytes, None for no limit; stored files stay in any case."""
        await self._make(user_id)
        change = {"$set": {"quota": quota}}
        await persist(lambda: self._collection.update_one({"_id": user_id}, change))
        return await self.account(user_id)

    async def remove(self, user_id: str) -> bool:
        """Delete the account of a user who has nothing left; False while something is charged."""
        nothing = {"charged": 0, "reserved": 0, "open": {}, "leaving": {}}
        query = {"_id": user_id, **nothing}
        await persist(lambda: self._collection.delete_one(query))
        return not (await self.account(user_id)).known

    async def _make(self, user_id: str) -> None:
        fresh: dict[str, Any] = {"_id": user_id, "charged": 0, "reserved": 0, "version": 0}
        try:
            await persist(lambda: self._collection.insert_one({**fresh, "open": {}, "leaving": {}}))
        except DuplicateKeyError:
            return

    # -- an upload's reservation

    async def reserve(
        self, user_id: str, upload_id: str, size: int, *, bounded: bool = True
    ) -> None:
        """Reserve `size` bytes for a new upload; a second call changes nothing.

        Raises QuotaExceeded, with `limit`, `used` and `reserved`, when the user may not have so
        much; never unless it is `bounded`.
        """
        change = _Change(user_id, upload_id, size, bounded=bounded)
        if not await persist(lambda: self._changes(change)):
            await self._raise(user_id, upload_id, size, new=True, bounded=bounded)

    async def grow(self, user_id: str, upload_id: str, size: int) -> bool:
        """Reserve `size` bytes in all for an upload of unknown length; never fewer than before.

        False when it has no reservation, because it ended: one made now would outlive it. Raises
        QuotaExceeded.
        """
        return await self._raise(user_id, upload_id, size, new=False)

    async def _raise(
        self, user_id: str, upload_id: str, size: int, *, new: bool, bounded: bool = True
    ) -> bool:
        while True:
            account = await self.account(user_id)
            most = account.most if bounded else MOST
            before = account.open.get(upload_id)
            if before is None and not new:
                return False
            more = size - (before or 0)
            if before is not None and more <= 0:
                return True
            if account.charged + more > most:
                raise _exceeded(account, more)
            change = {
                "$inc": {"charged": more, "reserved": more},
                "$set": {f"open.{upload_id}": size},
            }
            within = {"charged": {"$lte": most - more}}
            if await self._update(account, upload_id, change, within):
                return True
            if account.version == 0 and account.charged == 0:
                await self._make(user_id)

    async def _update(
        self, account: Account, upload_id: str, change: dict[str, Any], more: dict[str, Any]
    ) -> bool:
        """Change the account if the upload's entry and the limit are as they were read."""
        before = account.open.get(upload_id)
        unchanged = {
            "_id": account.user_id,
            "quota": account.quota if account.limited else {"$exists": False},
            f"open.{upload_id}": {"$exists": False} if before is None else before,
            **more,
        }
        result = await persist(lambda: self._collection.update_one(unchanged, change))
        return bool(result.matched_count)

    async def keep(self, user_id: str, upload_id: str, size: int) -> None:
        """The upload is finished: its reservation becomes `size` bytes of use, once at most.

        Where pictures were replaced by smaller ones, `size` is negative.
        """
        await self._settle(user_id, upload_id, size)

    async def release(self, user_id: str, upload_id: str) -> None:
        """The upload died: give its reservation back, once at most."""
        await self._settle(user_id, upload_id, 0)

    async def _settle(self, user_id: str, upload_id: str, size: int) -> None:
        exactly = _Change(user_id, upload_id, size, settles=True)
        if size > 0 and await persist(lambda: self._changes(exactly)):
            return
        while True:
            account = await self.account(user_id)
            reserved = account.open.get(upload_id)
            if reserved is None:
                return
            change = {
                "$inc": {"reserved": -reserved, "charged": size - reserved},
                "$unset": {f"open.{upload_id}": ""},
            }
            if await self._update(account, upload_id, change, {}):
                return

    # -- without looking before

    async def _apply(self, changes: list[_Change]) -> list[bool | Exception]:
        """Make changes, those of each user by one update; whether each was made.

        Not where only a look can tell what is in the way of it, or of another that went with it.
        """
        accounts: dict[tuple[str, bool], dict[str, _Change]] = {}
        for each in changes:
            accounts.setdefault((each.user_id, each.bounded), {}).setdefault(each.entry, each)
        made = await asyncio.gather(
            *(self._apply_to_one([*of_one.values()]) for of_one in accounts.values())
        )
        outcomes = {
            id(change): outcome
            for of_one, outcome in zip(accounts.values(), made, strict=True)
            for change in of_one.values()
        }
        # Of two for the same entry the second one is to look.
        return [outcomes.get(id(each), False) for each in changes]

    async def _apply_to_one(self, changes: Sequence[_Change]) -> bool | Exception:
        """Make changes of one account, all or none; whether they were made, or what failed."""
        new = [each for each in changes if not each.settles]
        settled = [each for each in changes if each.settles]
        more = sum(each.size for each in new)
        less = sum(each.size for each in settled)
        if max(more, less) > MOST:
            return False  # more than can be counted, together
        wanted: dict[str, Any] = {"_id": changes[0].user_id}
        wanted |= {each.entry: {"$exists": False} for each in new}
        wanted |= {each.entry: each.size for each in settled}
        if new and changes[0].bounded:
            most = Account(changes[0].user_id, self._default).most
            within = {"$lte": [{"$add": ["$charged", more]}, "$quota"]}
            wanted["$or"] = [
                {"quota": {"$exists": False}, "charged": {"$lte": most - more}},
                {"quota": {"$gte": 0}, "$expr": within},
                {"quota": {"$exists": True, "$eq": None}, "charged": {"$lte": MOST - more}},
            ]
        change: dict[str, Any] = {"$inc": {"charged": more, "reserved": more - less}}
        if new:
            change["$set"] = {each.entry: each.size for each in new}
        if settled:
            change["$unset"] = {each.entry: "" for each in settled}
        try:
            result = await self._collection.update_one(wanted, change)
        except Exception as error:
            return error
        return bool(result.matched_count)

    # -- pictures of a finished file

    async def settle_pictures(self, account: Account, manifest: Manifest) -> None:
        """Settle what earlier claims left reserved for pictures of a file.

        What belongs to the claim that `manifest` has is left alone, unless its file is deleted.
        """
        debt = manifest.picture_debt
        for key in account.open:
            upload_id, claim = split_key(key)
            if upload_id != manifest.id or claim is None:
                continue
            if debt is not None and claim == debt.tries:
                await self._settle(account.user_id, key, debt.size)
            elif manifest.state not in FINISHED or claim < manifest.todo_tries:
                await self._settle(account.user_id, key, 0)

    # -- a finished file that is deleted

    async def leave(self, account: Account, upload_id: str, size: int, pictures: int = 0) -> bool:
        """A finished file of `size` bytes, and that of its pictures, was deleted: charge no more.

        Once at most.

        `account` must have been read before the manifest was seen to be still charged. False when
        the account changed since: read both again. Afterwards note it in the manifest, then call
        `left`.
        """
        if upload_id in account.leaving or not account.known:
            return True  # without an account nobody is charged
        # With an entry in `open` it was deleted before its reservation became use.
        reserved = account.open.get(upload_id)
        change = {
            "$inc": {
                "charged": -(size if reserved is None else reserved) - pictures,
                "reserved": -(reserved or 0),
                "version": 1,
            },
            "$set": {f"leaving.{upload_id}": True},
            "$unset": {f"open.{upload_id}": ""},
        }
        same = {"version": account.version, f"leaving.{upload_id}": {"$exists": False}}
        return await self._update(account, upload_id, change, same)

    async def left(self, user_id: str, upload_id: str) -> None:
        """The manifest notes that the file left: remove its mark here."""
        mark = f"leaving.{upload_id}"
        there = {"_id": user_id, mark: {"$exists": True}}
        change = {"$inc": {"version": 1}, "$unset": {mark: ""}}
        await persist(lambda: self._collection.update_one(there, change))

    async def stir(self, user_id: str) -> None:
        """Let a recount that is under way find nothing: the manifests that it reads change."""
        change = {"$inc": {"version": 1}}
        await persist(lambda: self._collection.update_one({"_id": user_id}, change))

    async def correct(self, account: Account, *, charged: int, reserved: int) -> bool:
        """Set the result of a recount; False when the account changed since it was read."""
        unchanged = {
            "_id": account.user_id,
            "charged": account.charged,
            "reserved": account.reserved,
            "version": account.version,
            "open": dict(account.open),
        }
        change = {"$set": {"charged": charged, "reserved": reserved}}
        result = await persist(lambda: self._collection.update_one(unchanged, change))
        return bool(result.matched_count)


def _exceeded(account: Account, more: int) -> QuotaExceeded:
    advice = (
        "Delete files, or ask for a larger quota." if account.used else "Ask for a larger quota."
    )
    return QuotaExceeded(
        f"This needs {more} bytes. The limit is {account.most} bytes; files use {account.used}, "
        f"unfinished uploads reserve {account.reserved}. {advice}",
        limit=account.most,
        used=account.used,
        reserved=account.reserved,
    )
