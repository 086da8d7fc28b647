"""What a receiver asks of its driver: messages to send and work for the store, as values.

Each says which answer the receiver waits for.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lading.protocol import messages as m
from lading.protocol.spec import UploadSpec


@dataclass(frozen=True, slots=True)
class Send:
    """Send this message."""

    message: m.ServerMessage


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection once what was sent before is out."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Check the credential; answer `authenticated` or `rejected`."""

    token: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Create:
    """Create an upload; answer `opened` or `failed`."""

    ref: int
    spec: UploadSpec


@dataclass(frozen=True, slots=True)
class Resume:
    """Look an upload up; answer `opened` or `failed`."""

    ref: int
    upload_id: str


@dataclass(frozen=True, slots=True)
class Write:
    """Make a piece durable; answer `stored` or `refused`.

    `upload_id` is empty where the piece came before `opened` of its `ref`. It waits for that, and
    is refused if the upload cannot be opened.
    """

    ref: int
    upload_id: str
    slice_start: int
    crc32c: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Finish:
    """Prove and publish; answer `completed` or `failed`."""

    ref: int
    upload_id: str
    size: int | None
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Abort:
    """Delete the upload; answer `closed` or `failed`."""

    ref: int
    upload_id: str


Effect = Send | Close | Authenticate | Create | Resume | Write | Finish | Abort
