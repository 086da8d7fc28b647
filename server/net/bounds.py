"""What the protocol classes must know of the server: its byte budget and its limits."""

from __future__ import annotations

from dataclasses import dataclass, field

from lading.server.limits import NetLimits
from lading.server.net.byte_budget import ByteBudget
from lading.server.net.connection_counts import ConnectionCounts
from lading.server.net.payload_reader import Places
from lading.server.net.record import Observe, unobserved


@dataclass(frozen=True, slots=True)
class Bounds:
    """Handed to every connection in uvicorn's state, under `bounds`.

    `max_message` is in bytes; `max_connections` counts those of all processes on the port. Pages
    of `origins` may read what is refused. `observe` hears of requests that are refused before the
    application sees them. `places` is memory that long messages are read into.
    """

    budget: ByteBudget
    connection_counts: ConnectionCounts
    max_message: int
    max_connections: int
    limits: NetLimits
    origins: tuple[str, ...] = ()
    observe: Observe = unobserved
    places: Places = field(default_factory=Places)
