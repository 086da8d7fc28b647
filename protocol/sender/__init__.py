"""The client's side of one `lading.v1` connection, without the connection.

The driver says what it wants (`create`, `resume`, `finish`, ...) and feeds each message of the
server to `receive`. It sends what `outgoing` returns, looks at `events`, and reads the bytes of
each `Wanted`. The sender decides what to send next within the window, and what to send again; it
needs no socket, no file and no clock.

    events    what the driver hears, and what it is asked to read
    upload    one upload: what is still to send, and what is in flight
    machine   the Sender, which shares the window among the uploads

A connection carries many uploads, each under a `ref`. Progress counts acknowledged bytes only. An
upload that failed for good is forgotten; later messages about its `ref` change nothing.
Source: page 3 of the design.
"""

from lading.protocol.sender.events import (
    Completed,
    Event,
    Failed,
    GoingAway,
    Opened,
    Progress,
    Verifying,
    Wanted,
    Welcomed,
)
from lading.protocol.sender.machine import MAX_CORRUPTIONS, Sender

__all__ = [
    "MAX_CORRUPTIONS",
    "Completed",
    "Event",
    "Failed",
    "GoingAway",
    "Opened",
    "Progress",
    "Sender",
    "Verifying",
    "Wanted",
    "Welcomed",
]
