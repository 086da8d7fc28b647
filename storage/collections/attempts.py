"""The `attempts` collection: how often a password was tried lately.

One document for each thing that is counted (an address, a name, both together) in each window of
time. It is counted before the attempt is made, by one update, so that attempts which come together,
on any number of servers, are not more than those that come one by one. What is counted is a digest:
a name that somebody types may be a password by mistake.
Source: page 13 of the design, "Accounts".
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from lading.storage.database import Database, persist


@dataclass(frozen=True, slots=True)
class Counted:
    """Something that is counted, and how often it may come in a window."""

    what: str
    most: int


class Attempts:
    """The counts. `seconds` is the length of a window."""

    def __init__(self, database: Database) -> None:
        self._collection = database.attempts

    async def count(self, counted: Counted, now: float, seconds: float) -> float | None:
        """Count one attempt. None when it is allowed, else the seconds until the next window."""
        end = _end(now, seconds)
        change = {
            "$inc": {"count": 1},
            "$setOnInsert": {"kept_until": datetime.fromtimestamp(end, UTC)},
        }
        key = _key(counted, end)
        while True:
            try:
                found = await persist(
                    lambda: self._collection.find_one_and_update(
                        {"_id": key}, change, upsert=True, return_document=ReturnDocument.AFTER
                    )
                )
            except DuplicateKeyError:
                continue  # two made it at once; the second finds it
            return None if found["count"] <= counted.most else end - now

    async def give_back(self, counted: Counted, at: float, seconds: float) -> None:
        """The attempt of then succeeded, and does not count."""
        key = {"_id": _key(counted, _end(at, seconds))}
        await persist(lambda: self._collection.update_one(key, {"$inc": {"count": -1}}))


def _end(now: float, seconds: float) -> float:
    return (now // seconds + 1) * seconds


def _key(counted: Counted, end: float) -> str:
    digest = hashlib.sha256(counted.what.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{digest}:{end:.0f}"
