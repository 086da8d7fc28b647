"""How many connections there are, in all and of each user, over all processes that serve a port.

The processes share a table of numbers in memory, with a row for each of them. A process
writes its own row only and adds up all of them, so there is no lock, and nothing to mend when one
is killed: whoever starts it again clears its row.

Users have no names in it, only places, chosen by a keyed digest: two users that share a place are
counted together, and nobody can choose a place.
"""

from __future__ import annotations

import os
from hashlib import blake2b

KEY = 16
PLACES = 2**14
"""With a thousand users connected, one in seventeen shares a place with another."""

_ROW = 4 * (1 + PLACES)


def table_size(processes: int) -> int:
    """The bytes that the table for so many processes takes."""
    return KEY + processes * _ROW


class ConnectionCounts:
    """One process's view of the table; alone in a table of its own when none is given."""

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

    def note_connections(self, count: int) -> None:
        """This process has so many connections now."""
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
