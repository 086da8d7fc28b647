"""Which events webhooks want, and how a change of a manifest notes one.

A change that makes an event true notes it in the same update, in `notices` of the manifest, and the
step `notify` of its `todo` turns it into deliveries. So no event is lost, and none is made up.
Where no webhook wants an event, nothing is noted, and an upload costs what it costs without
webhooks. Each process looks every few seconds which events are wanted.
Source: page 2 of the design, "the manifest is the outbox"; `docs/decisions/0057`.
"""

from __future__ import annotations

from typing import Any

from lading.protocol.webhooks import Event
from lading.storage.collections.outbox import NOTIFY


class Notices:
    """The events that are wanted, as this process knows it. `Webhooks.look` keeps it current."""

    def __init__(self) -> None:
        self.wanted: frozenset[str] = frozenset()

    def noted(self, event: Event, at: float) -> dict[str, Any]:
        """The part of an update that notes an event at a time; empty where nobody wants it."""
        if event not in self.wanted:
            return {}
        return {"$push": {"notices": {"event": str(event), "at": at}}}

    def words(self, event: Event | None = None) -> list[str]:
        """The step that a change sets which notes an event, or which keeps what was noted."""
        wanted = self.wanted if event is None else event in self.wanted
        return [NOTIFY] if wanted else []
