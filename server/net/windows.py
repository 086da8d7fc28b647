"""How large the windows of connections may grow: they share what the byte budget can hold.

A window is credit and not memory: on a long line most of it is on its way. Still all of it may
arrive at once, so together the grown windows never exceed the budget. Each connection whose window
has grown may have the same part; when another joins, the others' shrink with their next piece.
Source: page 3 of the design, rule 1; decision 100.
"""

from __future__ import annotations


class Windows:
    """The connections whose windows have grown, and the `total` of bytes that they share."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._grown: set[object] = set()

    def most(self, connection: object) -> int:
        """What the window of this connection may be, in bytes."""
        others = len(self._grown) - (connection in self._grown)
        return self._total // (others + 1)

    def note(self, connection: object, *, grown: bool) -> None:
        """Whether the window of this connection is larger than the first."""
        if grown:
            self._grown.add(connection)
        else:
            self._grown.discard(connection)
