"""What the protocol classes must know of the server: its byte budget and its limits."""

from __future__ import annotations

from dataclasses import dataclass

from lading.server.limits import NetLimits
from lading.server.net.byte_budget import ByteBudget
from lading.server.net.connection_counts import ConnectionCounts


@dataclass(frozen=True, slots=True)
class Bounds:
    """Handed to every connection in uvicorn's state, under `bounds`.

    `max_message` is in bytes; `max_connections` counts those of all processes on the port. Pages
    of `origins` may read what is refused.
    """

    budget: ByteBudget
    connection_counts: ConnectionCounts
    max_message: int
    max_connections: int
    limits: NetLimits
    origins: tuple[str, ...] = ()
