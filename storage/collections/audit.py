"""The `audit` collection: who did what, for a while.

An entry is stored when an action has taken effect and before its caller gets the answer, without
waiting for MongoDB's journal. So a server that is killed loses none that was answered; only a
database that loses power may lose those of the last moment. An entry that cannot be stored is
written to the log and fails nothing. No entry holds a token. Times are Unix seconds; an index of
MongoDB deletes entries after their time.
Source: page 12 of the design, audit log; `docs/decisions/0059`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import structlog
from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from lading.protocol.errors import LadingError
from lading.storage.collections.inserts import Inserts
from lading.storage.database import Database, persist

log = structlog.get_logger()


class Act(StrEnum):
    """What somebody did. Every name is a contract."""

    CREATED = "created"
    REJECTED = "rejected"
    FETCHED = "fetched"
    CHANGED = "changed"
    REPLACED = "replaced"
    SHARED = "shared"
    TRASHED = "trashed"
    RESTORED = "restored"
    DELETED = "deleted"
    ABORTED = "aborted"
    MINTED = "minted"
    REVOKED = "revoked"
    SIGNED_IN = "signed-in"
    QUOTA_SET = "quota-set"
    USER_CREATED = "user-created"
    USER_CHANGED = "user-changed"
    USER_DELETED = "user-deleted"
    WEBHOOK_ADDED = "webhook-added"
    WEBHOOK_CHANGED = "webhook-changed"
    WEBHOOK_REMOVED = "webhook-removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Who did what, and to what. `owner` is whose file or account it is.

    With a `grant_id` the bearer of that grant did it, for the user. `request_id` is that of the
    log.
    """

    id: str
    at: float
    act: str
    user_id: str
    owner: str | None = None
    file_id: str | None = None
    name: str | None = None
    grant_id: str | None = None
    request_id: str | None = None
    detail: str | None = None


_FIELDS = tuple(field.name for field in fields(Entry) if field.name != "id")

FILTERS = ("act", "user_id", "owner", "file_id")


class AuditLog:
    """All entries, each kept for `ttl` seconds; with 0 none is stored."""

    def __init__(self, database: Database, ttl: float) -> None:
        self._read = database.read
        self._collection = database.audit
        self._inserts = Inserts(database.audit)
        self.ttl = ttl

    async def add(self, entry: Entry) -> None:
        """Store an entry. Never fails: what cannot be stored is in the log."""
        if not self.ttl:
            return
        kept_until = datetime.fromtimestamp(entry.at + self.ttl, UTC)
        values = asdict(entry)
        document = {"_id": ObjectId(values.pop("id")), "kept_until": kept_until, **values}
        try:
            await persist(lambda: self._inserts.insert(document), seconds=0)
        except DuplicateKeyError:
            pass  # the answer to the first try was lost
        except LadingError as error:
            log.error("audit-not-stored", error=str(error), **values)

    async def page(
        self, wanted: Mapping[str, str], *, before: str | None, most: int
    ) -> list[Entry]:
        """Entries, the newest first, with ids smaller than `before`, with what is `wanted`.

        `wanted` are values of `FILTERS`.
        """
        query: dict[str, Any] = dict(wanted)
        if before is not None:
            query["_id"] = {"$lt": ObjectId(before)}
        found = await self._read(
            lambda: self._collection.find(query).sort("_id", -1).limit(most).to_list(most)
        )
        return [
            Entry(id=str(each["_id"]), **{name: each[name] for name in _FIELDS if name in each})
            for each in found
        ]
