"""The events of `GET /v1/events`. Every name is a contract.

They tell what has become of a file, not each step to it. Source: page 13 of the design; WHATWG
HTML, "Server-sent events".
"""

from __future__ import annotations

from enum import StrEnum


class Event(StrEnum):
    """What a stream tells."""

    FILE_CHANGED = "file.changed"
    """A file is new, or differs: its manifest."""
    FILE_DELETED = "file.deleted"
    """A file is gone, or its time is over."""
    UPLOAD_CHANGED = "upload.changed"
    """An upload was begun, or its name, directory or tags were changed: its manifest."""
    UPLOAD_ENDED = "upload.ended"
    """An upload was aborted, refused or expired, and never became a file."""
    RESYNC = "resync"
    """More has changed than can be told: read the lists again."""
