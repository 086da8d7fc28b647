"""What a measure is: sides that are run in turn, and goals that compare what they gave.

It owns these values and the arithmetic of medians and ratios. It refuses to know how a side is
run, and where its numbers are printed. Source: page 6 of the design.
"""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bench.scene import Scene

MIB = 2**20
GIB = 2**30


class Sample(NamedTuple):
    """What one run of one side gave: its value in the measure's unit, and what it cost.

    The costs are for the table's further columns; each name carries its unit.
    """

    value: float
    costs: Mapping[str, float]


Run = Callable[[Scene], Awaitable[Sample]]


@dataclass(frozen=True, slots=True)
class Side:
    """One of those compared. `durable` says what a crash cannot take once it is done."""

    name: str
    durable: str
    run: Run = field(repr=False)


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound for the value of a side, or for its ratio to that of the side `over`.

    Sides are named by their place in the measure. A ratio is taken in each round and its median
    counts: what slows a round down slows both sides.
    """

    title: str
    side: int
    over: int | None = None
    at_least: float | None = None
    at_most: float | None = None

    def values(self, rounds: Sequence[Sequence[Sample]]) -> list[float]:
        """The value or ratio of each round; a round has one sample for each side."""
        if self.over is None:
            return [samples[self.side].value for samples in rounds]
        return [samples[self.side].value / samples[self.over].value for samples in rounds]

    def met(self, median: float) -> bool:
        """Whether the median keeps within the bound."""
        enough = self.at_least is None or median >= self.at_least
        return enough and (self.at_most is None or median <= self.at_most)

    @property
    def bound(self) -> str:
        """The bound as it is printed."""
        parts = []
        if self.at_least is not None:
            parts.append(f"≥ {self.at_least:g}")
        if self.at_most is not None:
            parts.append(f"≤ {self.at_most:g}")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Measure:
    """A row of the design's table of targets. `name` is how it is chosen on the command line.

    With `warm_up` a round goes before that does not count: a database that has just been started
    fills its cache and makes its journal files, which costs whoever comes first.
    """

    name: str
    title: str
    unit: str
    sides: tuple[Side, ...]
    goals: tuple[Goal, ...]
    warm_up: bool = True


class Spread(NamedTuple):
    """The middle and the ends of what several rounds gave."""

    median: float
    least: float
    most: float


def spread(values: Sequence[float]) -> Spread:
    """The spread of at least one value."""
    return Spread(statistics.median(values), min(values), max(values))


def in_words(size: int) -> str:
    """A number of bytes for a title: `4 GiB`, `100 MiB`."""
    return f"{size // GIB} GiB" if size % GIB == 0 else f"{size // MIB} MiB"
