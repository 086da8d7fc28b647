"""What a client may ask of one connection, and how long it may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReceiverLimits:
    """Deadlines in seconds, and bounds of one connection."""

    hello_seconds: float = 5.0
    """HELLO must come within this time."""
    idle_seconds: float = 60.0
    """A connection that has no upload open is closed after this time."""
    heartbeat: int = 20
    """Seconds after which either side says something."""
    silent_heartbeats: float = 3
    """A client that is silent for so many heartbeats is gone."""
    max_uploads: int = 1024
    """Uploads that may be open at once, so that memory is bounded."""
    max_opening: int = 16
    """CREATE and RESUME messages that may wait for an answer before the next message is read."""
