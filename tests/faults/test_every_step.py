"""The trials of a row reach every step of every scenario."""

from __future__ import annotations

from random import Random

import pytest

from tests.faults.every_step import EveryStep
from tests.faults.fault import Trial


@pytest.mark.parametrize("steps", [*range(1, 41)])
async def test_every_step_is_reached(steps: int) -> None:
    trials, scenarios, reached = 3 * steps, ("a", "b", "c"), set()
    draw = EveryStep(scenarios, trials)
    counted = []

    async def count() -> int:
        counted.append(steps)
        return steps

    for number in range(trials):
        trial = Trial(number, Random(number))
        reached.add((draw.scenario(trial), await draw.last(trial, count)))
    assert reached == {(each, step) for each in scenarios for step in range(1, steps + 1)}
    assert len(counted) == len(scenarios)


async def test_a_row_with_too_few_trials_is_noticed() -> None:
    async def count() -> int:
        return 4

    with pytest.raises(AssertionError, match="has 4 steps; the row has 3 trials"):
        await EveryStep(("a",), 3).last(Trial(0, Random(0)), count)
