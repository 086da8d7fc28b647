"""The `webhooks` collection: who is to hear of which events.

The secret is stored as it is: each delivery is signed with it. Whoever reads the database reads the
files, too; with the secret they could only make events up. Times are Unix seconds.
Source: page 12 of the design, webhooks; `docs/decisions/0057`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from typing import Any

from bson import ObjectId
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from lading.storage.collections.notices import Notices
from lading.storage.database import Database, persist


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """An address that events are sent to."""

    id: str
    url: str
    events: tuple[str, ...]
    secret: str
    created_at: float
    disabled_at: float | None = None
    disabled_because: str | None = None

    @property
    def enabled(self) -> bool:
        return self.disabled_at is None


_FIELDS = tuple(field.name for field in fields(Webhook) if field.name != "id")


def _from_document(document: Mapping[str, Any]) -> Webhook:
    values = {name: document[name] for name in _FIELDS if name in document}
    values["events"] = tuple(values["events"])
    return Webhook(id=str(document["_id"]), **values)


class Webhooks:
    """All webhooks. `notices` hears which events they want."""

    def __init__(self, database: Database, notices: Notices) -> None:
        self._read = database.read
        self._collection = database.webhooks
        self._notices = notices
        self.known = 0
        """How many were enabled at the last look."""

    async def look(self) -> list[Webhook]:
        """The webhooks that are enabled; what they want is noted from now on."""
        found = [each for each in await self.all() if each.enabled]
        self.known = len(found)
        self._notices.wanted = frozenset(event for each in found for event in each.events)
        return found

    async def all(self) -> list[Webhook]:
        """Every webhook, the oldest first."""
        found = await self._read(lambda: self._collection.find({}).sort("_id", 1).to_list(None))
        return [_from_document(document) for document in found]

    async def get(self, webhook_id: str) -> Webhook | None:
        """One of them."""
        query = {"_id": ObjectId(webhook_id)}
        found = await self._read(lambda: self._collection.find_one(query))
        return None if found is None else _from_document(found)

    async def insert(self, webhook: Webhook) -> None:
        """Store a new one; durable then. The id is fresh, so a second call is harmless."""
        document = asdict(webhook)
        document["_id"] = ObjectId(document.pop("id"))
        document["events"] = list(webhook.events)
        with suppress(DuplicateKeyError):
            await persist(lambda: self._collection.insert_one(document))

    async def change(
        self, webhook_id: str, *, url: str | None, events: tuple[str, ...] | None
    ) -> Webhook | None:
        """Change where it is, or what it wants; None leaves a field. None when it is gone."""
        given = {"url": url, "events": None if events is None else list(events)}
        values = {name: value for name, value in given.items() if value is not None}
        return await self._set(webhook_id, values) if values else await self.get(webhook_id)

    async def enable(self, webhook_id: str) -> Webhook | None:
        """Let it get events again. None when it is gone."""
        return await self._set(webhook_id, {"disabled_at": None, "disabled_because": None})

    async def disable(self, webhook_id: str, now: float, reason: str) -> Webhook | None:
        """Let it get none. The first reason stays. None when it is gone, or disabled already."""
        change = {"disabled_at": now, "disabled_because": reason}
        return await self._set(webhook_id, change, disabled_at=None)

    async def _set(self, webhook_id: str, values: dict[str, Any], **more: Any) -> Webhook | None:
        query = {"_id": ObjectId(webhook_id), **more}
        found = await persist(
            lambda: self._collection.find_one_and_update(
                query, {"$set": values}, return_document=ReturnDocument.AFTER
            )
        )
        return None if found is None else _from_document(found)

    async def delete(self, webhook_id: str) -> None:
        """Delete it."""
        await persist(lambda: self._collection.delete_one({"_id": ObjectId(webhook_id)}))
