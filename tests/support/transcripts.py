"""Dialogues with a receiver as lines: `protocol/readable.py` writes them, this reads them.

Beside the lines that are described there:

    = name key=value ...      the driver tells the receiver, at the time that `=` lines move

A CHUNK's `crc32c` is left out when it is right.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args

from lading.protocol import messages as m
from lading.protocol.digests import crc32c
from lading.protocol.errors import CATALOGUE, LadingError
from lading.protocol.manifest import Manifest, Piece, State, coverage
from lading.protocol.readable import show
from lading.protocol.receiver import Receiver, ReceiverLimits
from lading.protocol.spec import UploadSpec

CLIENT_KINDS = {kind.__name__.upper(): kind for kind in get_args(m.ClientMessage)}


def manifest(
    id: str,  # noqa: A002
    size: int | None = 20,
    *,
    chunk_size: int = 10,
    state: str = "uploading",
    name: str = "file",
    expires_at: float | None = None,
) -> Manifest:
    """A manifest as a store would give it."""
    return Manifest(
        id=id,
        user_id="ann",
        name=name,
        size=size,
        chunk_size=chunk_size,
        created_at=0.0,
        updated_at=0.0,
        expires_at=expires_at,
        state=State(state),
        crc32c=0 if state == "ready" else None,
    )


# -- lines to values


def parse(line: str) -> tuple[str, dict[str, Any]]:
    """The name and the fields of a line without its sign."""
    name, _, rest = line.partition(" ")
    found: dict[str, Any] = {}
    while rest := rest.strip():
        key, _, rest = rest.partition("=")
        found[key], length = json.JSONDecoder().raw_decode(rest)
        rest = rest[length:]
    return name, found


def message_of(line: str) -> m.ClientMessage:
    """The client's message that a line without its sign stands for."""
    name, found = parse(line)
    kind = CLIENT_KINDS[name]
    if kind is m.Create:
        found["tags"] = tuple(found.get("tags", ()))
        return m.Create(found.pop("ref"), UploadSpec(**found))
    if kind is m.Chunk:
        data = found["data"].encode("ascii")
        found = {"crc32c": crc32c(data), **found, "data": data}
    message: m.ClientMessage = kind(**found)
    return message


def _error(code: str, facts: dict[str, Any]) -> LadingError:
    return CATALOGUE[code](None, **facts)


# -- the hand


class Desk:
    """A receiver and the time at it. `play` feeds lines and gives the lines that come of it."""

    def __init__(
        self, window: int = 100, max_chunk_size: int = 10, heartbeat: int = 20, now: float = 0.0
    ) -> None:
        self.now = now
        self.receiver = Receiver(
            now,
            window=window,
            max_chunk_size=max_chunk_size,
            server="lading",
            limits=ReceiverLimits(heartbeat=heartbeat),
        )

    def play(self, script: str) -> list[str]:
        """Feed each line of a script; gives all that comes of it."""
        return [answer for line in lines(script) for answer in self.feed(line)]

    def feed(self, line: str) -> list[str]:
        """Feed one line; gives what comes of it."""
        sign, _, rest = line.partition(" ")
        if sign == ">":
            self.receiver.receive(message_of(rest), self.now)
        elif sign == "=":
            name, found = parse(rest)
            self._tell(name, found)
        else:
            raise ValueError(f"nothing to feed: {line}")
        return [show(effect, whole=True) for effect in self.receiver.effects()]

    def _tell(self, name: str, found: dict[str, Any]) -> None:
        receiver, ref = self.receiver, found.get("ref", 0)
        match name:
            case "at":
                self.now = found["time"]
                receiver.tick(self.now)
            case "authenticated":
                receiver.authenticated(found["user_id"], found.get("expires"), self.now)
            case "opened":
                pieces = [Piece(start, size, 0) for start, size in found.pop("stored", [])]
                opened = manifest(**{key: found[key] for key in found if key != "ref"})
                receiver.opened(ref, opened, coverage(pieces, opened.size))
            case "completed":
                receiver.completed(ref, manifest(found["id"], found["size"], state="ready"), "/f")
            case "closed":
                receiver.closed(ref, self.now)
            case "failed" | "lost" | "refused" | "rejected" | "unreadable":
                self._tell_trouble(name, found)
            case _:  # stored, verifying, set_window, drain, restart, text, heard
                getattr(receiver, name)(**found)

    def _tell_trouble(self, name: str, found: dict[str, Any]) -> None:
        named = ("ref", "slice_start", "size", "code")
        facts = {key: value for key, value in found.items() if key not in named}
        error = _error(found["code"], facts)
        match name:
            case "failed":
                self.receiver.failed(found["ref"], error, self.now)
            case "lost":
                self.receiver.lost(found["ref"], error, self.now)
            case "refused":
                self.receiver.refused(found["ref"], found["slice_start"], found["size"], error)
            case "rejected":
                self.receiver.rejected(error)
            case "unreadable":
                self.receiver.unreadable(error)


def lines(script: str) -> Iterator[str]:
    """The lines of a script that are not empty."""
    return (line.strip() for line in script.splitlines() if line.strip())
