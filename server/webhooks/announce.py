"""The step `notify`: what a manifest notes becomes one delivery for each webhook that wants it.

The events of a file are numbered by how many were told before, so a step that is repeated, or that
two processes do at once, stores each delivery once. A refusal for the quota changes no manifest:
it becomes deliveries at once, at most once an hour for each user.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

from lading.janitor.sweep import Lost
from lading.protocol.errors import QuotaExceeded
from lading.protocol.manifest import Manifest
from lading.protocol.webhooks import Event
from lading.server.webhooks import payload
from lading.storage.blobs.base import Check
from lading.storage.collections.deliveries import Delivery
from lading.storage.collections.manifests import new_id
from lading.storage.open import Storage

QUOTA_SECONDS = 3600.0
"""Of one user's refusals for the quota, one in so many seconds is an event."""

_STATES = {
    Event.FILE_READY: "ready",
    Event.FILE_REPLACED: "ready",
    Event.FILE_DERIVED: "ready",
    Event.FILE_TRASHED: "trashed",
    Event.FILE_RESTORED: "ready",
    Event.FILE_DELETED: "deleted",
    Event.UPLOAD_EXPIRED: "expired",
}


class Announcer:
    """Makes deliveries of events. `news` is set when this process made some."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.news = asyncio.Event()

    async def notify(self, manifest: Manifest, _check: Check) -> None:
        """Make deliveries of what a manifest notes; raises Lost, Unavailable."""
        if not manifest.notices:
            return
        for number, notice in enumerate(manifest.notices, manifest.told):
            event = Event(notice.event)
            was_file = manifest.upload_end and manifest.replaces is None
            if event is Event.FILE_DELETED and not was_file:
                continue  # it was an upload that was aborted, or could not replace a file
            data = payload.file(manifest, _STATES[event])
            await _store(self._storage, event, manifest.id, number, at=notice.at, data=data)
        if not await self._storage.outbox.told(manifest):
            raise Lost
        self.news.set()


async def announce_quota(storage: Storage, refused: Manifest, error: QuotaExceeded) -> None:
    """Something of a user's was refused for the quota; raises Unavailable."""
    event = Event.QUOTA_EXCEEDED
    if event not in storage.notices.wanted:
        return
    now = storage.clock()
    user = hashlib.sha256(refused.user_id.encode("utf-8", "surrogatepass")).hexdigest()[:24]
    data = {
        "user_id": refused.user_id,
        "name": refused.name,
        "size": refused.size,
        "quota": error.extra.get("limit"),
        "used": error.extra.get("used"),
        "reserved": error.extra.get("reserved"),
    }
    await _store(storage, event, f"quota-{user}", int(now // QUOTA_SECONDS), at=now, data=data)


async def _store(
    storage: Storage, event: Event, subject: str, number: int, *, at: float, data: dict[str, Any]
) -> None:
    """Store one delivery for each webhook that wants the event."""
    now, text = storage.clock(), payload.body(event, at, data)
    for webhook in await storage.webhooks.look():
        if event in webhook.events:
            delivery = Delivery(
                id=new_id(now),
                webhook_id=webhook.id,
                event=event,
                subject=subject,
                number=number,
                body=text,
                created_at=now,
                due_at=now,
            )
            await storage.deliveries.add(delivery)
