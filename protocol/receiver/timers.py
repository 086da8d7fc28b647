"""The deadlines of a connection, each with a name. Times are seconds of any steady clock."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lading.protocol.receiver.limits import ReceiverLimits


@dataclass(slots=True)
class Timer:
    """Rings `seconds` after it was started last."""

    seconds: float
    at: float = math.inf
    """The moment at which it rings."""

    def start(self, now: float) -> None:
        self.at = now + self.seconds

    def due(self, now: float) -> bool:
        return now >= self.at


class Timers:
    """All timers of a connection. Which of them count depends on its state."""

    __slots__ = ("expiry", "heartbeat", "hello", "idle", "silence")

    def __init__(self, now: float, limits: ReceiverLimits) -> None:
        self.hello = Timer(limits.hello_seconds)
        """Starts with the connection."""
        self.silence = Timer(limits.silent_heartbeats * limits.heartbeat)
        """Starts again with every byte of the client."""
        self.heartbeat = Timer(limits.heartbeat)
        """Starts again when the server answers a PING or sends a heartbeat."""
        self.idle = Timer(limits.idle_seconds)
        """Starts again as long as an upload is open."""
        self.expiry = Timer(math.inf)
        """Rings when the credential expires."""
        for timer in (self.hello, self.silence, self.heartbeat, self.idle):
            timer.start(now)
