"""What happens to an upload next, decided from its manifest and the time alone.

    uploading --expires_at passed--> expired: a tombstone that answers `gone`; its bytes and its
                                     quota are given back
    expired, deleted, bytes left --> emptied: the bytes are deleted
    expired, deleted, emptied, expires_at passed, nothing left to do --> purged: the bytes are
                                     deleted once more, then the manifest

The second deletion catches a piece that was on its way in another process when the upload died.
A finished file is never touched. Source: page 2 of the design, "Expiry".
"""

from __future__ import annotations

from enum import Enum, auto

from lading.protocol.manifest import Manifest, State


class Action(Enum):
    KEEP = auto()
    EXPIRE = auto()
    EMPTY = auto()
    PURGE = auto()


def decide(manifest: Manifest, now: float) -> Action:
    """What the janitor does with this manifest at `now` (Unix seconds)."""
    over = manifest.expires_at is not None and manifest.expires_at <= now
    match manifest.state:
        case State.UPLOADING:
            return Action.EXPIRE if over else Action.KEEP
        case State.READY:
            return Action.KEEP
        case State.EXPIRED | State.DELETED:
            if not manifest.emptied:
                return Action.EMPTY
            return Action.PURGE if over and not manifest.todo else Action.KEEP
