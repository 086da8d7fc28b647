"""The credit of a connection: bytes of pieces that were sent and are not answered yet."""

from __future__ import annotations


class Window:
    """At most `size` bytes may be in flight.

    After it shrank, one old window is still accepted: the client sent those bytes before it could
    know.
    """

    __slots__ = ("_grace", "_old", "in_flight", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.in_flight = 0
        self._old = size
        self._grace = 0
        """Bytes of the old window that may still come."""

    def admit(self, size: int) -> bool:
        """Whether a piece of `size` bytes is within the window."""
        limit = max(self.size, self._old if self._grace > 0 else 0)
        if self.in_flight + size > limit:
            return False
        self._grace = max(0, self._grace - size)
        return True

    def take(self, size: int) -> None:
        """A piece is in flight."""
        self.in_flight += size

    def give_back(self, size: int) -> None:
        """A piece is answered."""
        self.in_flight -= size

    def resize(self, size: int) -> None:
        """Use another size from now on."""
        if size < self.size:
            # The client may not know of the change before this one either.
            before = self._old if self._grace > 0 else 0
            self._old = self._grace = max(self.size, before)
        self.size = size
