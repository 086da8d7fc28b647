"""The messages of `lading.v1` as values.

Their numbers and fields. `codec.py` has their bytes; `receiver/` and `sender/` decide which message
may come when. Source: page 3 of the design.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from lading.protocol.manifest import Range
from lading.protocol.spec import UploadSpec

SUBPROTOCOL = "lading.v1"
MAX_REF = 65_535
EARLY = re.compile(re.escape(SUBPROTOCOL) + r"\.early-([0-9]{1,15})-([0-9]{1,15})")
OVERHEAD = 64 * 1024
"""A message may be as large as the largest chunk and this much more."""

Nonce = int | str | bytes


@dataclass(frozen=True, slots=True)
class EarlyPieces:
    """A server that agrees to this takes pieces before OPENED, also before WELCOME.

    `chunk_size` is the cell of an upload whose CREATE names none. `window` is the credit until
    WELCOME, in bytes. Both sides say it as the name of a subprotocol.
    """

    chunk_size: int
    window: int

    @property
    def subprotocol(self) -> str:
        return f"{SUBPROTOCOL}.early-{self.chunk_size}-{self.window}"

    @classmethod
    def of(cls, subprotocol: str | None) -> Self | None:
        """What a subprotocol says; None where it says nothing of it."""
        found = EARLY.fullmatch(subprotocol or "")
        return None if found is None else cls(int(found[1]), int(found[2]))


USUAL = EarlyPieces(chunk_size=2**20, window=2**24)
"""What clients offer, since servers with the default settings agree to it."""


@dataclass(frozen=True, slots=True)
class Hello:
    number: ClassVar[int] = 1
    token: str | None = field(default=None, repr=False)
    client: str | None = None


@dataclass(frozen=True, slots=True)
class Create:
    number: ClassVar[int] = 2
    ref: int
    spec: UploadSpec


@dataclass(frozen=True, slots=True)
class Resume:
    number: ClassVar[int] = 3
    ref: int
    upload_id: str


@dataclass(frozen=True, slots=True)
class Chunk:
    number: ClassVar[int] = 4
    ref: int
    slice_start: int
    crc32c: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Finish:
    number: ClassVar[int] = 5
    ref: int
    size: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Abort:
    number: ClassVar[int] = 6
    ref: int


@dataclass(frozen=True, slots=True)
class Detach:
    number: ClassVar[int] = 7
    ref: int


@dataclass(frozen=True, slots=True)
class Token:
    number: ClassVar[int] = 8
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Ping:
    number: ClassVar[int] = 9
    nonce: Nonce


@dataclass(frozen=True, slots=True)
class Welcome:
    number: ClassVar[int] = 65
    user_id: str
    window: int
    max_chunk_size: int
    heartbeat: int
    server: str


@dataclass(frozen=True, slots=True)
class Opened:
    number: ClassVar[int] = 66
    ref: int
    id: str
    name: str
    size: int | None
    chunk_size: int
    upload_size: int
    missing: tuple[Range, ...]
    expires_at: int | None
    state: str
    kind_rules: Mapping[str, Any] | None = None
    """What the kind of the file asks for; only in the answer to a CREATE that names one."""


@dataclass(frozen=True, slots=True)
class Stored:
    number: ClassVar[int] = 67
    ref: int
    pieces: tuple[tuple[int, int], ...]
    upload_size: int


@dataclass(frozen=True, slots=True)
class Refused:
    number: ClassVar[int] = 68
    ref: int
    slice_start: int
    problem: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Window:
    number: ClassVar[int] = 69
    bytes: int


@dataclass(frozen=True, slots=True)
class Complete:
    number: ClassVar[int] = 70
    ref: int
    id: str
    size: int
    mime_type: str
    sha256: str | None
    crc32c: int | None
    url: str


@dataclass(frozen=True, slots=True)
class Closed:
    number: ClassVar[int] = 71
    ref: int


@dataclass(frozen=True, slots=True)
class Problem:
    number: ClassVar[int] = 72
    ref: int | None
    problem: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class GoAway:
    number: ClassVar[int] = 73
    reason: str
    retry_after: int


@dataclass(frozen=True, slots=True)
class Pong:
    number: ClassVar[int] = 74
    nonce: Nonce


@dataclass(frozen=True, slots=True)
class Verifying:
    number: ClassVar[int] = 75
    ref: int
    done: int
    total: int


ClientMessage = Hello | Create | Resume | Chunk | Finish | Abort | Detach | Token | Ping
ServerMessage = (
    Welcome
    | Opened
    | Stored
    | Refused
    | Window
    | Complete
    | Closed
    | Problem
    | GoAway
    | Pong
    | Verifying
)
