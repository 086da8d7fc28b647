"""What a sender reports to its driver, and what it asks the driver to read."""

from __future__ import annotations

from dataclasses import dataclass

from lading.protocol import messages as m
from lading.protocol.errors import LadingError


@dataclass(frozen=True, slots=True)
class Welcomed:
    """HELLO was accepted; uploads may be opened."""

    user_id: str
    max_chunk_size: int


@dataclass(frozen=True, slots=True)
class Opened:
    """The upload is open; `stored` bytes of it are durable already."""

    ref: int
    upload: m.Opened


@dataclass(frozen=True, slots=True)
class Progress:
    """`stored` bytes of the upload are durable."""

    ref: int
    stored: int


@dataclass(frozen=True, slots=True)
class Verifying:
    """The server checks `done` of `total` bytes against the digest."""

    ref: int
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Completed:
    """The server verified and published the file."""

    ref: int
    file: m.Complete


@dataclass(frozen=True, slots=True)
class Failed:
    """The upload cannot go on here; `ref` is None when it is the connection that cannot.

    With `piece` the error is about one piece, and not about the file.
    """

    ref: int | None
    error: LadingError
    piece: bool = False


@dataclass(frozen=True, slots=True)
class GoingAway:
    """The server stops; connect again after `retry_after` seconds."""

    retry_after: int


Event = Welcomed | Opened | Progress | Verifying | Completed | Failed | GoingAway


@dataclass(frozen=True, slots=True)
class Wanted:
    """Read `[start, end)` of the upload and hand it to `Sender.piece`."""

    ref: int
    start: int
    end: int
