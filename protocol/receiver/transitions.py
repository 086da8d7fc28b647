"""Which event may come in which state, and the state that follows.

One table for the connection and one for an upload. An event that is absent from a state's row is
illegal there: `step` raises IllegalEvent, and nothing has changed. The Receiver answers an illegal
message of the client; an illegal answer of the driver is a fault in the driver.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import TypeVar


class IllegalEvent(AssertionError):
    """The event cannot come in this state. Nothing has changed."""


class Connection(Enum):
    GREETING = auto()
    """Waits for HELLO."""
    KNOCKING = auto()
    """The credential of HELLO is checked."""
    OPEN = auto()
    DRAINING = auto()
    """GOAWAY was sent: nothing new is opened."""
    ENDING = auto()
    """Nothing new is taken; what is in flight is still answered."""
    CLOSED = auto()


class ConnectionEvent(Enum):
    HELLO = auto()
    MESSAGE = auto()
    """Any other message of the client."""
    WELCOME = auto()
    """The credential of HELLO is accepted."""
    DRAIN = auto()
    END = auto()
    """The credential expired, or the server restarts."""
    CLOSE = auto()


_CE = ConnectionEvent

CONNECTION: Mapping[Connection, Mapping[ConnectionEvent, Connection]] = {
    Connection.GREETING: {
        _CE.HELLO: Connection.KNOCKING,
        _CE.END: Connection.ENDING,
        _CE.CLOSE: Connection.CLOSED,
    },
    Connection.KNOCKING: {
        _CE.WELCOME: Connection.OPEN,
        _CE.END: Connection.ENDING,
        _CE.CLOSE: Connection.CLOSED,
    },
    Connection.OPEN: {
        _CE.MESSAGE: Connection.OPEN,
        _CE.DRAIN: Connection.DRAINING,
        _CE.END: Connection.ENDING,
        _CE.CLOSE: Connection.CLOSED,
    },
    Connection.DRAINING: {
        _CE.MESSAGE: Connection.DRAINING,
        _CE.END: Connection.ENDING,
        _CE.CLOSE: Connection.CLOSED,
    },
    Connection.ENDING: {
        _CE.CLOSE: Connection.CLOSED,
    },
    Connection.CLOSED: {},
}


class Upload(Enum):
    """What a `ref` stands for."""

    AWAY = auto()
    """Nothing."""
    OPENING = auto()
    OPEN = auto()
    FINISHING = auto()
    READY = auto()
    """The file is published."""
    FINISHING_AGAIN = auto()
    """FINISH on a file that is published, or RESUME of one: COMPLETE is repeated."""
    ABORTING = auto()
    ABORTING_READY = auto()
    GONE = auto()
    """It ended elsewhere or could not be opened; its pieces in flight are still answered."""


class UploadEvent(Enum):
    # of the client
    USE = auto()
    """CREATE or RESUME."""
    CHUNK = auto()
    FINISH = auto()
    ABORT = auto()
    DETACH = auto()
    # of the driver
    OPENED = auto()
    OPENED_READY = auto()
    COMPLETED = auto()
    CLOSED = auto()
    FAILED = auto()
    """The request was refused; the upload is as it was before."""
    ENDED = auto()
    """The request was refused because the upload exists no more."""
    LOST = auto()
    """The upload ended elsewhere while no request was under way."""


_UE = UploadEvent

UPLOAD: Mapping[Upload, Mapping[UploadEvent, Upload]] = {
    Upload.AWAY: {
        _UE.USE: Upload.OPENING,
        _UE.ABORT: Upload.AWAY,
        _UE.DETACH: Upload.AWAY,
    },
    Upload.OPENING: {
        _UE.CHUNK: Upload.OPENING,
        _UE.OPENED: Upload.OPEN,
        _UE.OPENED_READY: Upload.FINISHING_AGAIN,
        _UE.FAILED: Upload.GONE,
        _UE.ENDED: Upload.GONE,
    },
    Upload.OPEN: {
        _UE.CHUNK: Upload.OPEN,
        _UE.FINISH: Upload.FINISHING,
        _UE.ABORT: Upload.ABORTING,
        _UE.DETACH: Upload.AWAY,
        _UE.LOST: Upload.GONE,
    },
    Upload.FINISHING: {
        _UE.CHUNK: Upload.FINISHING,
        _UE.COMPLETED: Upload.READY,
        _UE.FAILED: Upload.OPEN,
        _UE.ENDED: Upload.GONE,
    },
    Upload.READY: {
        _UE.USE: Upload.OPENING,
        _UE.CHUNK: Upload.READY,
        _UE.FINISH: Upload.FINISHING_AGAIN,
        _UE.ABORT: Upload.ABORTING_READY,
        _UE.DETACH: Upload.AWAY,
    },
    Upload.FINISHING_AGAIN: {
        _UE.CHUNK: Upload.FINISHING_AGAIN,
        _UE.COMPLETED: Upload.READY,
        _UE.FAILED: Upload.READY,
        _UE.ENDED: Upload.GONE,
    },
    Upload.ABORTING: {
        _UE.CLOSED: Upload.AWAY,
        _UE.FAILED: Upload.OPEN,
        _UE.ENDED: Upload.GONE,
    },
    Upload.ABORTING_READY: {
        _UE.CLOSED: Upload.AWAY,
        _UE.FAILED: Upload.READY,
        _UE.ENDED: Upload.GONE,
    },
    Upload.GONE: {
        _UE.USE: Upload.OPENING,
        _UE.ABORT: Upload.AWAY,
        _UE.DETACH: Upload.AWAY,
    },
}

REQUESTED = (
    Upload.OPENING,
    Upload.FINISHING,
    Upload.FINISHING_AGAIN,
    Upload.ABORTING,
    Upload.ABORTING_READY,
)
"""A request is under way. FINISH, ABORT and DETACH wait for its answer."""

S = TypeVar("S", bound=Enum)
E = TypeVar("E", bound=Enum)


def step(table: Mapping[S, Mapping[E, S]], state: S, event: E) -> S:
    """The state after `event`. Raises IllegalEvent where the table does not list it."""
    try:
        return table[state][event]
    except KeyError:
        raise IllegalEvent(f"{event.name} cannot come in the state {state.name}") from None
