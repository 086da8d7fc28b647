"""What happens to an upload next, decided from its manifest and the time alone.

    uploading, or ready --expires_at passed--> expired: a tombstone that answers `gone`; its bytes
                                     and its quota are given back
    trashed --expires_at passed--> deleted: the same, but it answers `not-found`
    expired, deleted, bytes left --> emptied: the bytes are deleted
    expired, deleted, emptied, expires_at passed, nothing left to do --> purged: the bytes are
                                     deleted once more, then the manifest

An upload that is `replacing` is a step of the outbox. What a file had before is kept for readers
until `kept_until`, and a file is not purged while its `former` bytes are not handed over.

The second deletion catches a piece that was on its way in another process when the upload died.
A finished file without `expires_at` is never touched. Source: page 2 of the design, "Expiry".
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
        case State.UPLOADING | State.READY | State.TRASHED:
            return Action.EXPIRE if over else Action.KEEP
        case State.EXPIRED | State.DELETED:
            if not manifest.emptied:
                read = manifest.kept_until is not None and manifest.kept_until > now
                return Action.KEEP if read else Action.EMPTY
            done = not manifest.todo and manifest.former is None
            return Action.PURGE if over and done else Action.KEEP
        case State.REPLACING:
            return Action.KEEP
