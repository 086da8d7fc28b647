"""What a measure is: sides that run in turn, and goals that compare their results.

It owns these values and the arithmetic of medians and ratios. It refuses to know how a side is
run, and where its numbers are printed. Source: page 6 of the design.
"""

from __future__ import annotations

import statistics
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bench.workspace import Workspace

MIB = 2**20
GIB = 2**30


@dataclass(frozen=True, slots=True)
class Options:
    """What a measure may know of the run: `room` are the bytes free where the data will lie."""

    quick: bool = False
    room: int = 0


class Sample(NamedTuple):
    """What one run of one side gave: its value in the measure's unit, and what it cost.

    The costs are for the table's further columns; each name carries its unit.
    """

    value: float
    costs: Mapping[str, float]


Run = Callable[[Any], Awaitable[Sample]]
"""Runs a side once; it is given what the measure's `setup` gave."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the sides that are compared. `durable` says what a crash cannot lose."""

    name: str
    durable: str
    run: Run = field(repr=False)


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound for the value of a side, or for its ratio to that of the side `over`.

    With `cost` it is that cost and not the value. Sides are named by their place in the measure.
    A ratio is taken in each round and its median counts: what slows a round down slows both
    sides. `row` is the number of the target on the design's page.
    """

    row: int
    title: str
    side: int
    over: int | None = None
    cost: str | None = None
    at_least: float | None = None
    at_most: float | None = None

    def values(self, rounds: Sequence[Sequence[Sample]]) -> list[float]:
        """The value or ratio of each round; a round has one sample for each side."""
        if self.over is None:
            return [self._of(samples[self.side]) for samples in rounds]
        return [self._of(samples[self.side]) / self._of(samples[self.over]) for samples in rounds]

    def _of(self, sample: Sample) -> float:
        return sample.value if self.cost is None else sample.costs[self.cost]

    def met(self, median: float) -> bool:
        """Whether the median is within the bound."""
        enough = self.at_least is None or median >= self.at_least
        return enough and (self.at_most is None or median <= self.at_most)

    def reached(self, median: float) -> float:
        """The share of the bound that was reached: 1 is just enough, more is better."""
        if self.at_least is not None:
            return median / self.at_least
        assert self.at_most is not None
        return self.at_most / median

    @property
    def bound(self) -> str:
        """The bound as it is printed."""
        return f"≥ {self.at_least:g}" if self.at_least is not None else f"≤ {self.at_most:g}"


@asynccontextmanager
async def bare(workspace: Workspace) -> AsyncIterator[Workspace]:
    """The setup of sides that need the workspace only, and put everything else up themselves."""
    yield workspace


Setup = Callable[[Workspace], AbstractAsyncContextManager[Any]]


@dataclass(frozen=True, slots=True)
class Measure:
    """A row of the design's table of targets, or two rows that come from the same runs.

    `name` is how it is chosen on the command line. `setup` is entered once and holds what all
    rounds share, such as a large file that is only read. With `warm_up` a round goes before that
    does not count: a database that has just been started fills its cache and makes its journal
    files, which costs whoever comes first. `rounds` is the most that make sense, where each is
    long and its value hardly varies.
    """

    name: str
    title: str
    unit: str
    sides: tuple[Side, ...]
    goals: tuple[Goal, ...]
    note: str = ""
    warm_up: bool = True
    rounds: int | None = None
    setup: Setup = field(default=bare, repr=False)


def left_out(name: str, title: str, unit: str, why: str) -> Measure:
    """A row that cannot be measured on this machine."""
    return Measure(
        name, title, unit, sides=(), goals=(), note=f"Left out: {why}", warm_up=False, rounds=1
    )


class Spread(NamedTuple):
    """The median, minimum and maximum of several rounds."""

    median: float
    least: float
    most: float


def spread(values: Sequence[float]) -> Spread:
    """The spread of at least one value."""
    return Spread(statistics.median(values), min(values), max(values))


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of the values that at least `percent` per cent of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-len(ordered) * percent // 100) - 1)]


def in_words(size: int) -> str:
    """A number of bytes for a title: `4 GiB`, `100 MiB`, `64 KiB`."""
    for unit, name in ((GIB, "GiB"), (MIB, "MiB")):
        if size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size // 1024} KiB"
