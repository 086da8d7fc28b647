"""How much credit fills the line of a connection, as the receiver sees it.

The receiver does not know the line. But it sees how long a window's worth of pieces takes to
arrive: a *round*. While the window is what limits the client, a round takes as long as an answer
and the pieces that it allows: one round trip, and the time in which a piece becomes durable. A
larger window then brings more bytes in the same time. Once the line is full, twice the window takes
twice the time. So the window for which the line suffices is

    the bytes of the round, by its time (the rate of delivery), times the shortest round's time

and twice of that is granted, so that it can grow from round to round, as TCP's receiver does for
its own window. Nothing is granted where the store is the limit, and not the line: then most of the
window is here, waiting to be stored.
Source: page 3 of the design, rule 1; W. Feng et al., "Dynamic Right-Sizing: TCP flow-control
adaptation", 2001.
"""

from __future__ import annotations

STEP = 1.25
"""A growth by less than this is not worth a message."""

HELD = 0.5
"""If more than this share of the window is here on average, a larger one would only wait here."""


class Growth:
    """What one connection's arrivals say. Sizes are bytes, times are seconds of one clock."""

    __slots__ = ("_began", "_due", "_held", "_pieces", "_round", "_shortest")

    def __init__(self) -> None:
        self._shortest = float("inf")
        self._began: float | None = None
        self._due = 0
        """Bytes of the round that are still to arrive."""
        self._round = 0
        self._held = 0.0
        self._pieces = 0

    def arrived(self, size: int, now: float, *, window: int, held: int) -> int:
        """A piece came, of `held` bytes that are here now; returns the window that is wanted."""
        if self._began is None:
            self._begin(now, window)
            return window
        self._due -= size
        self._held += held
        self._pieces += 1
        if self._due > 0:
            return window
        took = max(now - self._began, 1e-6)
        self._shortest = min(self._shortest, took)
        wanted = int(2 * self._round * self._shortest / took)
        waiting = self._held / self._pieces > HELD * self._round
        self._begin(now, window)
        return window if waiting or wanted < STEP * window else wanted

    def rest(self) -> None:
        """The client is idle; the round that began is over."""
        self._began = None

    def _begin(self, now: float, window: int) -> None:
        self._began, self._due, self._round = now, window, window
        self._held, self._pieces = 0.0, 0
