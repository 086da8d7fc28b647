"""What is noted of a request or a channel while it is served, and reported once when it ends.

Each has an id: the client's or a proxy's `X-Request-Id`, or one that is made here. It is in the
answer, in every problem document, and in every line of the log that the request causes. Whoever
learns something about a request writes it into its record: the route, the user, the upload. Whoever
wants to hear of requests (the log, the metrics) gets the record at the end. Paths and credentials
are never in it.
"""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Callable, Iterable, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal

from lading.server.net.cross_origin import METHODS

HEADER = "X-Request-Id"

VALID = re.compile(rb"(?!lg_)[A-Za-z0-9][A-Za-z0-9._:=+/-]{0,127}")
"""An id that is taken over: the usual forms of proxies, and nothing that looks like a grant's token
or could break a line of the log."""

ID = "lading.request_id"
"""The key of a scope under which the protocol class below leaves the id that it chose."""

RECORD = "lading.record"
"""The key of a scope under which its record is."""

OPEN = "lading.open"
"""The key of a scope of a request that needs no credential, by the port at which it came."""

TEMPLATE = "lading.template"
"""The key of a scope under which a matched route leaves its path, such as `/v1/files/{id}`."""

REST = "lading.rest"
"""The key of a scope of a handshake. The application may leave a coroutine function there, and
return: the protocol class below then awaits it, and so the rest of the connection holds nothing of
the layers through which the handshake came."""

Elsewhere = Literal["proxy", "bucket"]

_current: ContextVar[str | None] = ContextVar("request_id", default=None)
_arrival: ContextVar[int] = ContextVar("arrival", default=0)
_arrivals = itertools.count(1)


@dataclass(slots=True, kw_only=True)
class Record:
    """One request, or one channel from its handshake to its end.

    `method` and `route` are empty where they are none that the server knows, so that a client
    cannot make up new ones. `seconds` are those until the last byte, `received` and `sent` bytes of
    bodies or messages. A refusal has its `code`. A `channel` that was opened has a `close_code`,
    and counts its uploads and pieces.
    """

    request_id: str
    method: str = ""
    route: str = ""
    status: int = 500
    code: str | None = None
    seconds: float = 0.0
    received: int = 0
    sent: int = 0
    user_id: str | None = None
    upload_id: str | None = None
    elsewhere: Elsewhere | None = None
    """Who sends the bytes instead of this server, and how many: `elsewhere_bytes`."""
    elsewhere_bytes: int = 0
    channel: bool = False
    settled: bool = False
    """Answered below the application, whose own answer is sent nowhere."""
    close_code: int | None = None
    uploads: int = 0
    pieces: int = 0

    def note_elsewhere(self, who: Elsewhere, size: int) -> None:
        """Somebody else sends the bytes: all of them, unless the client breaks off."""
        self.elsewhere, self.elsewhere_bytes = who, size

    def note_upload(self, upload_id: str) -> None:
        """An upload or file is what this is about. With several it is about none in particular."""
        if upload_id != self.upload_id:
            self.uploads += 1
            self.upload_id = upload_id if self.uploads == 1 else None


Observe = Callable[[Record], None]
"""Gets the record of each request and channel when it has ended."""


def unobserved(_record: Record, /) -> None:
    """Nobody wants to hear of it."""


def record_of(scope: MutableMapping[str, Any]) -> Record:
    """The record of what is served; where nobody observes, one that nobody reads."""
    found: Record | None = scope.get(RECORD)
    if found is None:
        found = scope[RECORD] = Record(request_id=current() or new_id())
    return found


def choose_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The id in the headers if there is one valid one, else a new one."""
    name = HEADER.lower().encode()
    found = [value for key, value in headers if key == name]
    if len(found) == 1 and VALID.fullmatch(found[0]):
        return found[0].decode()
    return new_id()


def known(method: str) -> str:
    """The method, and nothing for an unusual one."""
    return method if method in METHODS or method == "OPTIONS" else ""


def new_id() -> str:
    """An id that no other request has."""
    return secrets.token_hex(8)


def set_current(request_id: str) -> None:
    """From here on, all that this task does and begins belongs to the request, which just came."""
    _current.set(request_id)
    _arrival.set(next(_arrivals))


def current() -> str | None:
    """The id of the request that this task serves, if it serves one."""
    return _current.get()


def arrival() -> int:
    """Requests that came to this process later have larger numbers than the one that this task
    serves. A task that serves none comes now."""
    return _arrival.get() or next(_arrivals)
