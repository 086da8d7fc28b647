"""The `Prefer` field (RFC 7240): how long a client would wait, whether it comes back for an answer
that takes longer, and who should send the bytes.
"""

from __future__ import annotations

import re

_WAIT = re.compile(
    r"""(?:^|,)[ \t]*wait[ \t]*=[ \t]*(?:"([0-9]{1,9})"|([0-9]{1,9}))[ \t]*(?=[;,]|$)""",
    re.IGNORECASE,
)

_DELIVERY = re.compile(
    r"""(?:^|,)[ \t]*delivery[ \t]*=[ \t]*(?:"self"|self)[ \t]*(?=[;,]|$)""", re.IGNORECASE
)

_RESPOND_ASYNC = re.compile(r"(?:^|,)[ \t]*respond-async[ \t]*(?=[;,]|$)", re.IGNORECASE)


def parse_wait(field: str | None) -> int | None:
    """The seconds of `wait`; the first counts, and None stands for a field without a valid one."""
    match = _WAIT.search(field or "")
    return None if match is None else int(match[1] or match[2])


def prefers_async(field: str | None) -> bool:
    """Whether the client wants 202 instead of a long wait, and asks again (RFC 7240, 4.1)."""
    return _RESPOND_ASYNC.search(field or "") is not None


def prefers_self(field: str | None) -> bool:
    """Whether the server itself should send the bytes, and no proxy or bucket for it.

    `delivery=self` is a preference of Lading's own.
    """
    return _DELIVERY.search(field or "") is not None
