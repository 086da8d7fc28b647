"""How many connections there are, in all and of each user, over all processes that serve a port.

The processes share a table of numbers in memory, with one row each. A process writes only its own
row and adds up all rows, so no lock is needed. When a process is killed, the supervisor clears its
row.

A user's column is chosen by a keyed digest of the name, so nobody can choose a column. Two users
that share one are counted together.
"""

from __future__ import annotations

import os
from hashlib import blake2b

KEY = 16
PLACES = 2**14
"""With a thousand users connected, one in seventeen shares a place with another."""

_ROW = 4 * (1 + PLACES)


def table_size(processes: int) -> int:
    """The size of the table in bytes, for this number of processes."""
    return KEY + processes * _ROW


class ConnectionCounts:
    """One process's view of the table; without a table, a new one for this process alone."""

    def __init__(
        self, table: memoryview | None = None, *, processes: int = 1, number: int = 0
    ) -> None:
        """`table` has `table_size(processes)` bytes; its first were made by `prepare`."""
        if table is None:
            table = memoryview(bytearray(table_size(processes)))
            prepare(table)
        self._key = bytes(table[:KEY])
        rows = [
            table[KEY + place * _ROW : KEY + (place + 1) * _ROW].cast("I")
            for place in range(processes)
        ]
        self._rows = rows
        self._mine = rows[number]

    @property
    def connections(self) -> int:
        """The connections of all processes."""
        return sum(row[0] for row in self._rows)

    @property
    def mine(self) -> int:
        """The connections of this process."""
        return self._mine[0]

    def note_connections(self, count: int) -> None:
        """Set the number of this process's connections."""
        self._mine[0] = count

    def of(self, user_id: str) -> int:
        """The channels that a user has open."""
        place = self._place(user_id)
        return sum(row[place] for row in self._rows)

    def enter(self, user_id: str) -> None:
        """A user opened a channel to this process."""
        self._mine[self._place(user_id)] += 1

    def leave(self, user_id: str) -> None:
        """A user's channel to this process ended."""
        self._mine[self._place(user_id)] -= 1

    def clear(self, number: int) -> None:
        """A process ended, and all its connections with it."""
        self._rows[number].cast("B")[:] = bytes(_ROW)

    def _place(self, user_id: str) -> int:
        digest = blake2b(user_id.encode(), digest_size=8, key=self._key).digest()
        return 1 + int.from_bytes(digest, "big") % PLACES


def prepare(table: memoryview) -> None:
    """Choose the key of a new table."""
    table[:KEY] = os.urandom(KEY)
