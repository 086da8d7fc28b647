"""The effects that a receiver asks for and its driver has not taken yet."""

from __future__ import annotations

from lading.protocol import effects as e
from lading.protocol import messages as m
from lading.protocol.errors import LadingError


class Outbox:
    """Effects in order. Nothing is added after a Close."""

    __slots__ = ("_closed", "_effects")

    def __init__(self) -> None:
        self._effects: list[e.Effect] = []
        self._closed = False

    def take(self) -> list[e.Effect]:
        """All effects, each returned once."""
        effects, self._effects = self._effects, []
        return effects

    def do(self, effect: e.Effect) -> None:
        if not self._closed:
            self._effects.append(effect)
            self._closed = isinstance(effect, e.Close)

    def send(self, message: m.ServerMessage) -> None:
        self.do(e.Send(message))

    def problem(self, ref: int | None, error: LadingError) -> None:
        self.send(m.Problem(ref, error.problem()))

    def stored(self, ref: int, slice_start: int, size: int, upload_size: int) -> None:
        """Acknowledge a piece, in one message with those of the same upload just before it."""
        pieces: tuple[tuple[int, int], ...] = ((slice_start, size),)
        match self._effects[-1:]:
            case [e.Send(m.Stored(ref=same) as before)] if same == ref:
                self._effects.pop()
                pieces = before.pieces + pieces
        self.send(m.Stored(ref, pieces, upload_size))
