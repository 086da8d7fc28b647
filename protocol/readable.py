"""Messages and effects as lines for people: in the transcripts of the tests and in the debug log.

    > NAME key=value ...      the client says
    < NAME key=value ...      the server says
    ! Name key=value ...      the receiver asks its driver for this work

Values are JSON, so control characters are escaped. Fields at their defaults are left out. Of a
problem, its code and its facts are shown, not its sentences. A token and the bytes of a piece are
shown only in a `whole` line: a log must not contain them.
"""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from lading.protocol import effects as e
from lading.protocol import messages as m
from lading.protocol.digests import crc32c
from lading.protocol.spec import UploadSpec

_SENTENCES = ("code", "title", "detail", "retryable")


def show_client(message: m.ClientMessage, *, whole: bool = False) -> str:
    """The line of a client's message."""
    return _line(">", type(message).__name__.upper(), message, whole)


def show_server(message: m.ServerMessage) -> str:
    """The line of a server's message."""
    return _line("<", type(message).__name__.upper(), message, whole=True)


def show(effect: e.Effect, *, whole: bool = False) -> str:
    """The line of an effect."""
    if isinstance(effect, e.Send):
        return show_server(effect.message)
    return _line("!", type(effect).__name__, effect, whole)


def _line(sign: str, name: str, value: Any, whole: bool) -> str:
    found = _fields(value, whole)
    if whole and isinstance(value, (m.Chunk, e.Write)) and value.crc32c == crc32c(value.data):
        del found["crc32c"]
    return " ".join([sign, name, *(f"{_key(key)}={json.dumps(found[key])}" for key in found)])


def _key(key: str) -> str:
    """A fact's name, which a problem's sender chose."""
    return key if key.isascii() and key.isidentifier() else json.dumps(key)


def _fields(value: Any, whole: bool) -> dict[str, Any]:
    """Fields that are not at their defaults; problems and specifications spread out."""
    found: dict[str, Any] = {}
    for field in fields(value):
        content = getattr(value, field.name)
        if content == field.default:
            continue
        if field.name == "problem":
            found["problem"] = content.get("code")
            found.update({key: fact for key, fact in content.items() if key not in _SENTENCES})
        elif isinstance(content, UploadSpec):
            found.update(_fields(content, whole))
        elif not whole and not field.repr and content is not None:
            found[field.name] = (
                f"({len(content)} bytes)" if isinstance(content, bytes) else "(secret)"
            )
        elif isinstance(content, bytes):
            found[field.name] = content.decode("ascii", "backslashreplace")
        else:
            found[field.name] = content
    return found
