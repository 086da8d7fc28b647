"""What a caller asks of a transfer and hears of it, as values.

It owns their fields and meaning. It refuses to know how the bytes travel.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

File = dict[str, Any]
"""The finished file as COMPLETE tells it: id, size, mime_type, sha256, crc32c, url."""


class State(StrEnum):
    """What an upload is doing."""

    LOOKING = "looking"
    SENDING = "sending"
    WAITING = "waiting"
    HASHING = "hashing"
    VERIFYING = "verifying"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an upload is: `stored` of `total` bytes are durable (None while unknown).

    `checked` bytes are hashed here or verified there, in the states of that name; `reason` says
    why it is waiting.
    """

    state: State = State.LOOKING
    stored: int = 0
    total: int | None = None
    checked: int = 0
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the caller wants of the upload; the fields are those of `Client.upload`."""

    name: str | None
    directory: str
    tags: tuple[str, ...]
    mime_type: str | None
    sha256: bool
    resume: bool
    chunk_size: int | None
