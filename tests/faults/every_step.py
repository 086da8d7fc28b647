"""At which step of its work a process is killed: in turn at each that there is.

How many steps a piece of work has is counted by doing it once without a kill.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Generic, TypeVar

from tests.faults.fault import Trial
from tests.faults.lanes import Lane, Lanes

S = TypeVar("S")

GOLDEN = 0.618


class EveryStep(Generic[S]):
    """Draws for a row of `trials` trials, which take the scenarios in turn."""

    def __init__(self, scenarios: Sequence[S], trials: int) -> None:
        self._scenarios = scenarios
        self._each = trials // len(scenarios)
        self._counted: dict[int, int] = {}
        self._locks = [asyncio.Lock() for _ in scenarios]

    def scenario(self, trial: Trial) -> S:
        return self._scenarios[trial.number % len(self._scenarios)]

    async def last(self, trial: Trial, count: Callable[[], Awaitable[int]]) -> int:
        """The number of the step at which a trial's process dies, from 1 on.

        `count` does the work without a kill and returns its steps. Trials that follow each other
        die at steps that lie far apart; a whole row reaches them all.
        """
        nth, which = divmod(trial.number, len(self._scenarios))
        async with self._locks[which]:
            if which not in self._counted:
                self._counted[which] = await count()
        steps = self._counted[which]
        assert 0 < steps <= self._each, (
            f"{self._scenarios[which]} has {steps} steps; the row has {self._each} trials for it"
        )
        return 1 + nth * _stride(steps) % steps


Strike = Callable[[Lane, S, Random, int], Awaitable[int]]
"""Does a scenario's work, whose process dies at step number so many, or never at 0; checks what
follows, and returns how many steps there were."""


@dataclass
class Context(Generic[S]):
    """The setup of a row that kills at every step."""

    lanes: Lanes
    steps: EveryStep[S]


def trial_of(strike: Strike[S]) -> Callable[[Context[S], Trial], Awaitable[None]]:
    """The trial of a row: `strike` at the step whose turn it is."""

    async def trial(context: Context[S], trial: Trial) -> None:
        lane, scenario = context.lanes.of(trial.number), context.steps.scenario(trial)

        async def count() -> int:
            return await strike(lane, scenario, Random(0), 0)

        last = await context.steps.last(trial, count)
        await strike(lane, scenario, trial.random, last)

    return trial


def _stride(steps: int) -> int:
    """A number without a common divisor, so that its multiples reach every step."""
    stride = max(1, round(steps * GOLDEN))
    while math.gcd(stride, steps) != 1:
        stride += 1
    return stride


@contextmanager
def at_step(what: object, log: Path) -> Iterator[None]:
    """Say in a failure where the process died."""
    try:
        yield
    except Exception as error:
        passed = steps_in(log)
        where = f"step {len(passed)}, {passed[-1]}" if passed else "no step"
        raise AssertionError(f"{what}, ended at {where}") from error


def steps_in(log: Path) -> list[str]:
    """The steps that a process noted."""
    return log.read_text().splitlines() if log.exists() else []
