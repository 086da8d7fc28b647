"""One table from error codes to what they are on each transport.

`http` is the status of an answer (RFC 9110). `close` is the code with which a WebSocket connection
closes when the error ends it; None where the error alone never ends one. `tus` is the status of an
answer of tus 1.0; None where it is the usual one. Clients of tus give up at a 4xx that is not 409
or 423, and a request that lost its turn has a client that should ask for the offset again.
Source: page 3 of the design, rule 10; page 4, "Codes".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lading.protocol.errors import LadingError


@dataclass(frozen=True, slots=True)
class Statuses:
    http: int
    close: int | None = None
    tus: int | None = None


STATUSES: Mapping[str, Statuses] = {
    "not-ready": Statuses(202),
    "invalid-message": Statuses(400, close=1002),
    "invalid-argument": Statuses(400),
    "unauthorized": Statuses(401, close=4401),
    "forbidden": Statuses(403, close=4403),
    "rejected": Statuses(403),
    "not-found": Statuses(404),
    "method-not-allowed": Statuses(405),
    "request-timeout": Statuses(408, tus=409),
    "chunk-conflict": Statuses(409),
    "incomplete": Statuses(409),
    "already-complete": Statuses(409),
    "offset-mismatch": Statuses(409),
    "name-taken": Statuses(409),
    "in-progress": Statuses(409),
    "gone": Statuses(410),
    "precondition-failed": Statuses(412),
    "too-large": Statuses(413),
    "unsupported-media-type": Statuses(415),
    "range-not-satisfiable": Statuses(416),
    "out-of-bounds": Statuses(422),
    "unprocessable-image": Statuses(422),
    "checksum-mismatch": Statuses(422, tus=460),
    "key-reused": Statuses(422),
    "rate-limited": Statuses(429, close=4429),
    "too-many-connections": Statuses(429, close=4429),
    "window-exceeded": Statuses(400, close=1008),
    "internal": Statuses(500, close=1011),
    "unavailable": Statuses(503, close=1011),
    "shutting-down": Statuses(503, close=1012),
    "quota-exceeded": Statuses(507),
    "storage-full": Statuses(507),
}

GOING_AWAY = 1001
PROTOCOL = 1002
TEXT = 1003
POLICY = 1008
"""Closes a connection that does not keep to the order or the time of its first messages."""
RESTART = 1012


def close_code(error: LadingError, otherwise: int) -> int:
    """How a connection closes that `error` ends."""
    return STATUSES[error.code].close or otherwise
