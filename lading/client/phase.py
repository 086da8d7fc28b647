"""Where an upload stands on its way from a local file to an open upload on the server.

    LOOKING ── found ──▶ FOUND ── opened ──▶ OPEN
       │                 ▲  │                ▲ │
     absent            found└─ start_over ─┐ │ │
       ▼                 │                 ▼ │ │
      NEW ── create ──▶ CREATING ── opened ──┘ │
       ▲ ◀── absent ─────┘                     │
       └────────────── start_over ─────────────┘

A lost connection alone changes nothing: the next attempt begins in the phase of the last one.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Literal

Event = Literal["found", "absent", "create", "opened", "start_over"]


class Phase(Enum):
    LOOKING = auto()
    """Ask the server for the same file, or for an unfinished upload of it."""
    FOUND = auto()
    """An unfinished upload is there; it may be another client's until it is opened."""
    NEW = auto()
    """Nothing is there: create an upload."""
    CREATING = auto()
    """CREATE was sent and its answer is not known. Look for the upload, or there would be two."""
    OPEN = auto()
    """The server opened the upload: resume it."""


NEXT: dict[Phase, dict[Event, Phase]] = {
    Phase.LOOKING: {"found": Phase.FOUND, "absent": Phase.NEW},
    Phase.FOUND: {"opened": Phase.OPEN, "start_over": Phase.NEW},
    Phase.NEW: {"create": Phase.CREATING},
    Phase.CREATING: {"found": Phase.FOUND, "absent": Phase.NEW, "opened": Phase.OPEN},
    Phase.OPEN: {"opened": Phase.OPEN, "start_over": Phase.NEW},
}


def after(phase: Phase, event: Event) -> Phase:
    """The phase that follows. Raises ValueError for an event that cannot happen in this phase."""
    try:
        return NEXT[phase][event]
    except KeyError:
        raise ValueError(f"{event} cannot happen in {phase.name}") from None
