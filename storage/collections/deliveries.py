"""The `deliveries` collection: which webhook gets which event; the pending ones and the log.

One document for each event and webhook. Of one subject (a file, or whatever else an event is about)
the events are numbered; a webhook gets them in that order. Subject and number are the event's id,
so to store an event twice is to store it once. A delivery is `pending` until its receiver took it
(`delivered`) or it was given up (`failed`); then it is kept for the log until `kept_until`, when an
index of MongoDB deletes it. Times are Unix seconds.
Source: page 12 of the design, webhooks; `docs/decisions/0057`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from lading.protocol.webhooks import TEST
from lading.storage.collections.outbox import MOST_COUNTED, Backlog
from lading.storage.database import Database, persist


class State(StrEnum):
    """What became of a delivery."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event for one webhook. `status`, `error` and `seconds` are of the last try."""

    id: str
    webhook_id: str
    event: str
    subject: str
    number: int
    body: str
    created_at: float
    due_at: float
    state: State = State.PENDING
    tries: int = 0
    begun_at: float | None = None
    """When it was tried first."""
    tried_at: float | None = None
    status: int | None = None
    error: str | None = None
    seconds: float | None = None

    @property
    def message_id(self) -> str:
        """The id of the event, the same for every webhook and every try."""
        return f"msg_{self.subject}_{self.number}"


_FIELDS = tuple(field.name for field in fields(Delivery) if field.name != "id")


def _from_document(document: Mapping[str, Any]) -> Delivery:
    values = {name: document[name] for name in _FIELDS if name in document}
    values["state"] = State(values["state"])
    return Delivery(id=str(document["_id"]), **values)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


class Deliveries:
    """The deliveries of all webhooks."""

    def __init__(self, database: Database) -> None:
        self._read = database.read
        self._collection = database.deliveries

    async def add(self, delivery: Delivery, kept_until: float | None = None) -> None:
        """Store a delivery; durable then. One of the same event to the same webhook stays."""
        document = asdict(delivery)
        document["_id"] = ObjectId(document.pop("id"))
        document["state"] = str(delivery.state)
        if kept_until is not None:
            document["kept_until"] = _moment(kept_until)
        with suppress(DuplicateKeyError):
            await persist(lambda: self._collection.insert_one(document))

    async def due(self, webhook_id: str, now: float, most: int) -> list[Delivery]:
        """Up to `most` of a webhook's that are to be tried, the longest due first."""
        query = {"webhook_id": webhook_id, "state": str(State.PENDING), "due_at": {"$lte": now}}
        return await self._list(query, "due_at", 1, most)

    async def earlier(self, delivery: Delivery) -> Delivery | None:
        """The first delivery of the same subject that must come before, if one is pending."""
        query = {
            "webhook_id": delivery.webhook_id,
            "subject": delivery.subject,
            "number": {"$lt": delivery.number},
            "state": str(State.PENDING),
        }
        found = await self._list(query, "number", 1, 1)
        return found[0] if found else None

    async def postpone(self, delivery: Delivery, due_at: float) -> None:
        """Do not try it before then."""
        await self._change(delivery, {"$set": {"due_at": due_at}})

    async def note_try(
        self,
        tried: Delivery,
        *,
        due_at: float,
        kept_until: float | None = None,
    ) -> None:
        """Note a try, as `tried` has its outcome. It is over if `kept_until` is given.

        Does nothing where another process noted one since.
        """
        names = ("state", "tries", "begun_at", "tried_at", "status", "error", "seconds")
        values = {name: getattr(tried, name) for name in names}
        values |= {"state": str(tried.state), "due_at": due_at}
        if kept_until is not None:
            values["kept_until"] = _moment(kept_until)
        await self._change(tried, {"$set": values}, tries=tried.tries - 1)

    async def _change(self, delivery: Delivery, change: dict[str, Any], **more: Any) -> None:
        query = {"_id": ObjectId(delivery.id), "state": str(State.PENDING), **more}
        await persist(lambda: self._collection.update_one(query, change))

    # -- all of a webhook

    async def log(
        self, webhook_id: str, *, state: State | None, before: str | None, most: int
    ) -> list[Delivery]:
        """A webhook's deliveries, the newest first, with ids smaller than `before`."""
        query: dict[str, Any] = {"webhook_id": webhook_id}
        if state is not None:
            query["state"] = str(state)
        if before is not None:
            query["_id"] = {"$lt": ObjectId(before)}
        return await self._list(query, "_id", -1, most)

    async def keep(self, webhook_id: str, until: float) -> None:
        """Keep what is pending only until then: the webhook is disabled."""
        query = {"webhook_id": webhook_id, "state": str(State.PENDING), "kept_until": None}
        change = {"$set": {"kept_until": _moment(until)}}
        await persist(lambda: self._collection.update_many(query, change))

    async def begin_again(self, webhook_id: str, now: float) -> None:
        """Try again what was not delivered, from `now` on as if for the first time."""
        undelivered = [str(State.PENDING), str(State.FAILED)]
        query = {"webhook_id": webhook_id, "state": {"$in": undelivered}, "event": {"$ne": TEST}}
        fresh = {"state": str(State.PENDING), "due_at": now, "tries": 0, "begun_at": None}
        change = {"$set": fresh, "$unset": {"kept_until": ""}}
        await persist(lambda: self._collection.update_many(query, change))

    async def remove(self, webhook_id: str) -> None:
        """Delete all of a webhook's."""
        await persist(lambda: self._collection.delete_many({"webhook_id": webhook_id}))

    async def remove_lost(self, known: Collection[str], before: float) -> None:
        """Delete those of webhooks that are not `known`, if they were stored before a time."""
        query = {"webhook_id": {"$nin": sorted(known)}, "created_at": {"$lt": before}}
        await persist(lambda: self._collection.delete_many(query))

    async def backlog(self, now: float) -> Backlog:
        """What is pending of all webhooks. The age is that of the oldest, in seconds."""
        query = {"state": str(State.PENDING), "kept_until": None}
        count = await self._read(
            lambda: self._collection.count_documents(query, limit=MOST_COUNTED)
        )
        oldest = await self._list(query, "created_at", 1, 1) if count else []
        return Backlog(count, max(0.0, now - oldest[0].created_at) if oldest else 0.0)

    async def _list(self, query: dict[str, Any], by: str, order: int, most: int) -> list[Delivery]:
        found = await self._read(
            lambda: self._collection.find(query).sort(by, order).limit(most).to_list(most)
        )
        return [_from_document(document) for document in found]
