"""What the protocol class below knows of a connection: the channel's view of `server/net`."""

from __future__ import annotations

from typing import Protocol


class Socket(Protocol):
    """A `ChannelProtocol`. Tests may serve a channel without one."""

    arrived: int
    """Bytes that came so far."""
    heard_at: float
    """When bytes came last, on the loop's clock."""
    owner: str | None
    """The user of the connection, once that is known: long messages count as that user's."""
    longest: int
    """Bytes of the longest message that an open upload may bring."""

    @property
    def paused(self) -> bool:
        """Whether reading waits for the byte budget or for the application."""
        ...

    def forget_handshake(self) -> None:
        """Free the memory that the request's headers take."""
        ...
