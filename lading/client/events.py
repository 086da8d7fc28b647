"""The part of `Client` that hears of changes: `GET /v1/events`, read for as long as wanted.

Source: WHATWG HTML, "Server-sent events"; docs/decisions/0095.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from lading.client import lookup
from lading.client.base import Base
from lading.client.retry import Retry
from lading.client.types import Manifest, Upload
from lading.protocol import events as protocol
from lading.protocol.errors import LadingError, Unavailable

SILENCE = httpx.Timeout(60.0, connect=10.0)
"""A stream that is quiet for so long is lost: the server shows every 20 s that it lives."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something has changed. `type` is a name of `lading.protocol.events.Event`.

    `file` is the file or upload as it is now, where it is still there; `data` is what the server
    sent. After `resync` more has changed than it could tell: read the lists again. Give `id` to
    `Client.events` to go on behind this event.
    """

    type: str
    id: str
    data: dict[str, Any] = field(repr=False)
    file: Manifest | Upload | None = None


class Events(Base):
    """What changes among the files of a user, or of all users for an admin."""

    async def events(self, after: str | None = None) -> AsyncGenerator[Event, None]:
        """What changes from now on, or since the event with the id `after`.

        It never ends by itself: a connection that is lost is made again, and what came meanwhile
        follows. An event may come twice.
        """
        last, retry = after or "", Retry(self._patience, self._api.timing, self._api.credential)
        while True:
            try:
                async with aclosing(self._stream(last)) as stream:
                    async for each in stream:
                        retry.progressed()
                        last = each.id
                        if each.type:
                            yield each
                failure: LadingError = Unavailable("The server ended the stream of events.")
            except LadingError as error:
                failure = error
            await retry.wait(failure)

    async def _stream(self, last: str) -> AsyncGenerator[Event, None]:
        """The events of one connection; those without a type only tell how far it is."""
        headers = {"accept": "text/event-stream"} | ({"last-event-id": last} if last else {})
        options: Any = {"headers": headers, "timeout": SILENCE, "silent": True}
        params = self._api.for_user
        async with self._api.stream("GET", "/v1/events", params, **options) as response:
            found = Event("", last, {})
            async for line in response.aiter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    found = replace(found, type=value)
                elif name == "data":
                    with self._api.reading():
                        found = replace(found, data=dict(json.loads(value)))
                elif name == "id":
                    found = replace(found, id=value)
                elif not line:
                    yield replace(found, file=self._file(found))
                    found = Event("", found.id, {})

    def _file(self, event: Event) -> Manifest | Upload | None:
        if event.type == protocol.Event.FILE_CHANGED:
            return lookup.manifest_of(self._api, event.data)
        if event.type == protocol.Event.UPLOAD_CHANGED:
            return lookup.read(self._api, Upload.of, event.data)
        return None
