"""Webhooks: the events that are reported, and the signature of a delivery.

A delivery is a POST with three headers: `webhook-id` is the same for every try of one event,
`webhook-timestamp` is the time of the try in Unix seconds, and `webhook-signature` proves who sent
both and the body. Source: the Standard Webhooks specification; page 12 of the design.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from enum import StrEnum

SECRET_PREFIX = "whsec_"  # noqa: S105 - what every secret begins with, and no secret itself

SECRET_BYTES = 32
"""Random bytes of a secret. The specification asks for 24 to 64."""


class Event(StrEnum):
    """What can be reported. Every name is a contract."""

    FILE_READY = "file.ready"
    FILE_REPLACED = "file.replaced"
    FILE_DERIVED = "file.derived"
    FILE_TRASHED = "file.trashed"
    FILE_RESTORED = "file.restored"
    FILE_DELETED = "file.deleted"
    UPLOAD_EXPIRED = "upload.expired"
    QUOTA_EXCEEDED = "quota.exceeded"


TEST = "webhook.test"
"""The event that `lading webhooks test` sends; nobody has to ask for it."""


def secret_of(random: bytes) -> str:
    """The secret that `random` bytes make, as its receiver gets it."""
    return SECRET_PREFIX + b64encode(random).decode()


def headers(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of one try. `timestamp` is in Unix seconds."""
    key = b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = f"{message_id}.{timestamp}.".encode() + body
    signature = b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature}",
    }
