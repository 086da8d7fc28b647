"""The `leases` collection: one worker at a time, among any number of processes.

The fencing number grows each time the work changes hands. Times are the database's (`clock.py`), so
processes whose own clocks disagree still agree on the holder.
Source: page 2 of the design, "Expiry".
"""

from __future__ import annotations

from dataclasses import dataclass

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from lading.storage.database import Database, persist


@dataclass(frozen=True, slots=True)
class Lease:
    """A right to work that ends by itself. `fence` is larger than that of every earlier holder."""

    name: str
    holder: str
    fence: int


class Leases:
    """The leases of one database. Times are Unix seconds."""

    def __init__(self, database: Database) -> None:
        self._collection = database.leases

    async def acquire(self, name: str, holder: str, *, now: float, until: float) -> Lease | None:
        """Take the lease when it is free or over; None when another holds it."""
        free = {"_id": name, "until": {"$lte": now}}
        taken = {"$set": {"holder": holder, "until": until}, "$inc": {"fence": 1}}
        try:
            found = await persist(
                lambda: self._collection.find_one_and_update(
                    free, taken, upsert=True, return_document=ReturnDocument.AFTER
                )
            )
        except DuplicateKeyError:
            return None
        return Lease(name, holder, int(found["fence"]))

    async def renew(self, lease: Lease, *, until: float) -> bool:
        """Keep the lease; False when it has passed to another, who must not be disturbed."""
        longer = {"$set": {"until": until}}
        result = await persist(lambda: self._collection.update_one(_mine(lease), longer))
        return bool(result.matched_count)

    async def release(self, lease: Lease) -> None:
        """Let the next one have it at once; does nothing when it has passed on already.

        Tried once, since the lease also ends by itself; raises Unavailable.
        """
        over = {"$set": {"until": 0.0}}
        await persist(lambda: self._collection.update_one(_mine(lease), over), seconds=0)


def _mine(lease: Lease) -> dict[str, object]:
    return {"_id": lease.name, "holder": lease.holder, "fence": lease.fence}
