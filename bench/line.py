"""A long or broken line, as arithmetic: when the bytes that enter it leave, and what is cut when.

It owns rate, delay and the router's queue. It refuses to know sockets and clocks: times are passed
in, in seconds of one steady clock. The kernels that the bench runs on need not have netem. TCP's
slow start and its losses are not in it: a queue that is full makes the sender wait.
Source: page 6 of the design, rows 14 to 16.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

BLOCK_SECONDS = 0.002
"""The longest that one block keeps the line, so that connections take turns often."""
LEAST_BLOCK, LARGEST_BLOCK = 4 * 1024, 256 * 1024


@dataclass(frozen=True, slots=True)
class LineKind:
    """A line: `rate` in bytes a second each way, `round_trip` in seconds, the router's `queue` in
    bytes. Of the open connections the share `cut_share` is cut each second."""

    rate: float
    round_trip: float
    queue: int
    cut_share: float = 0.0
    seed: int = 1

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Self:
        return cls(**raw)

    @property
    def job(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)

    @property
    def block(self) -> int:
        """The most bytes that one connection hands over at a time."""
        return max(LEAST_BLOCK, min(LARGEST_BLOCK, int(self.rate * BLOCK_SECONDS)))


class Lane:
    """One direction of a line, which all its connections share."""

    def __init__(self, kind: LineKind) -> None:
        self._rate = kind.rate
        self._delay = kind.round_trip / 2
        self._queue = kind.queue
        self._free_at = 0.0
        self.carried = 0

    def wait(self, size: int, now: float) -> float:
        """The seconds until the queue has room for a block of `size` bytes; 0 if it has it now.

        A block longer than the queue has it when the queue is empty.
        """
        backlog = max(0.0, self._free_at - now)
        return max(0.0, backlog - max(0, self._queue - size) / self._rate)

    def carry(self, size: int, now: float) -> float:
        """Put a block on the line; returns when its last byte arrives at the other end."""
        self._free_at = max(self._free_at, now) + size / self._rate
        self.carried += size
        return self._free_at + self._delay


class Cuts:
    """Which of the open connections are cut in a second: each with the same probability."""

    def __init__(self, kind: LineKind) -> None:
        self._share = kind.cut_share
        self._random = random.Random(kind.seed)

    def chosen(self, connections: int) -> list[int]:
        """The places of those that are cut, of so many in the order of their age."""
        return [place for place in range(connections) if self._random.random() < self._share]
