"""One upload as the client sees it: what is still to send, and what is in flight."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from lading.protocol.manifest import Range, cell_end


class State(Enum):
    """How far the server has got with an upload."""

    OPENING = auto()
    """CREATE or RESUME is not answered yet."""
    SENDING = auto()
    READY = auto()
    """It was finished before this connection opened it; COMPLETE follows."""


@dataclass(slots=True)
class Upload:
    state: State = State.OPENING
    chunk_size: int = 0
    size: int | None = None
    early: bool = False
    """Its pieces may be sent before the server has opened it."""
    stored: int = 0
    todo: deque[Range] = field(default_factory=deque)
    offered: int = 0
    in_flight: dict[int, int] = field(default_factory=dict)
    corrupted: dict[int, int] = field(default_factory=dict)

    @property
    def sending(self) -> bool:
        """Whether it is open, and not finished yet."""
        return self.state is State.SENDING

    def next_range(self) -> Range | None:
        """The next piece: from where something is missing to the end of that cell.

        While the length is unknown only whole cells are taken, since more may come.
        """
        early = self.early and self.state is State.OPENING
        if not (self.sending or early) or not self.todo:
            return None
        start, end = self.todo[0]
        stop = min(end, cell_end(start, self.chunk_size, self.size))
        if self.size is None and stop == self.offered and stop % self.chunk_size:
            return None
        return start, stop

    def take(self, piece: Range) -> None:
        """Move a piece from what is to do to what is in flight."""
        _, end = self.todo.popleft()
        if piece[1] < end:
            self.todo.appendleft((piece[1], end))
        self.in_flight[piece[0]] = piece[1] - piece[0]


def ranges_of(value: object) -> list[Range]:
    """The ranges in a problem's extra facts, which the grammar of messages leaves open."""
    pairs = value if isinstance(value, list) else []
    return [
        (pair[0], pair[1])
        for pair in pairs
        if isinstance(pair, list) and [type(item) for item in pair] == [int, int]
    ]


def without(ranges: Iterable[Range], in_flight: Mapping[int, int]) -> Iterator[Range]:
    """The parts of the ranges that are not in flight."""
    flying = sorted((start, start + size) for start, size in in_flight.items())
    for first, end in ranges:
        start = first
        for begin, stop in flying:
            if start < stop and begin < end:
                if start < begin:
                    yield start, begin
                start = stop
        if start < end:
            yield start, end
