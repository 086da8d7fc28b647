"""The tables of the protocol that clients in other languages need, as plain data.

`scripts/tables` writes them for the browser client: error codes, message numbers and fields, limits
and close codes. Source: page 3 of the design.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from enum import IntEnum
from typing import Any, get_args

from lading.protocol.errors import CATALOGUE
from lading.protocol.manifest import MAX_INTEGER
from lading.protocol.messages import (
    MAX_REF,
    OVERHEAD,
    SUBPROTOCOL,
    USUAL,
    ClientMessage,
    Create,
    ServerMessage,
)
from lading.protocol.spec import UploadSpec

HTTP_ONLY = frozenset({"public", "meta", "concat"})
"""Fields of a specification that CREATE does not carry."""

CHANNEL_ONLY = frozenset({"sha256_follows"})
"""Fields of a specification that only CREATE carries: over HTTP nothing knows them."""


class CloseCode(IntEnum):
    """How a WebSocket of `lading.v1` ends. 1006 is never sent: it stands for a lost connection."""

    DONE = 1000
    GOING_AWAY = 1001
    PROTOCOL = 1002
    TEXT = 1003
    LOST = 1006
    POLICY = 1008
    TOO_BIG = 1009
    FAULT = 1011
    RESTART = 1012
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    TOO_MANY = 4429


def tables() -> dict[str, Any]:
    """All tables, as values that JSON can write."""
    return {
        "subprotocol": SUBPROTOCOL,
        "early": {"subprotocol": USUAL.subprotocol, **asdict(USUAL)},
        "limits": {"max_ref": MAX_REF, "max_integer": MAX_INTEGER, "overhead": OVERHEAD},
        "close_codes": {code.name: code.value for code in CloseCode},
        "messages": {
            "client": _messages(ClientMessage),
            "server": _messages(ServerMessage),
        },
        "errors": {
            code: {"title": kind.title, "retryable": kind.retryable}
            for code, kind in CATALOGUE.items()
        },
    }


def _messages(union: Any) -> dict[str, Any]:
    return {
        kind.__name__.upper(): {"number": kind.number, "fields": _fields(kind)}
        for kind in get_args(union)
    }


def _fields(kind: Any) -> list[str]:
    """The names of the items, or of the keys of the map, in the order of the wire."""
    if kind is Create:
        names = (field.name for field in fields(UploadSpec))
        return ["ref", *(name for name in names if name not in HTTP_ONLY)]
    return [field.name for field in fields(kind)]
