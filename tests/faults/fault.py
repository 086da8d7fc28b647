"""What a fault is for the runner: a setup, a trial, how often; and what so many trials prove.

Runs trials, one after the other or several at once, and counts them. Every trial has a seed of its
own, made from the run's seed, the fault's name and the trial's number, so that it can be repeated.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import shutil
import time
import traceback
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

from tests.faults.early import early_offered
from tests.support.seaweedfs import SeaweedFS

CONFIDENCE = 0.95

KEPT_FAILURES = 20


class NotHere(Exception):
    """This machine cannot run the fault; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class Base:
    """What all faults share: a mongod that none of them harms, and a folder with a short path.

    `trials` is how many the setup that is made of it will see. `seaweed`, where there is one, is a
    store that none of them harms, started when it is first asked for.
    """

    mongod: str
    folder: Path
    seaweed: Callable[[], SeaweedFS] | None = None
    trials: int | None = None

    def database(self, name: str) -> str:
        """The address of a database of the shared mongod."""
        return self.mongod.replace("/?", f"/{name}?")


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial: its number in the row, and its own random numbers."""

    number: int
    random: Random


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A row of the table.

    `setup` makes what stays up over trials, from the base and a folder of its own; `trial` runs
    in it and raises when a promise is broken; `settle`, if there is one, checks and tidies after
    each batch of `at_once` trials. `trials` is what the design promises, `quick` and `few` what
    `scripts/faults` and the ordinary tests run; `seconds` is the deadline of a batch;
    a trial counts for `steps` of those in the table.
    """

    name: str
    title: str
    how: str
    holds: str
    trials: int
    quick: int
    few: int
    setup: Callable[[Base, Path], AbstractAsyncContextManager[Any]]
    trial: Callable[[Any, Trial], Awaitable[None]]
    settle: Callable[[Any], Awaitable[None]] | None = None
    at_once: int = 1
    seconds: float = 120.0
    steps: int = 1


@dataclass(slots=True)
class Result:
    """The results of a row so far."""

    trials: int = 0
    failures: int = 0
    seconds: float = 0.0
    details: list[str] = field(default_factory=list)
    """The first failures, each with its trial's number and the traceback."""


OnBatch = Callable[[Result], None]


async def run(
    fault: Fault,
    base: Base,
    trials: int,
    *,
    seed: str,
    result: Result | None = None,
    on_batch: OnBatch = lambda _: None,
) -> Result:
    """Run the row until it has `trials` trials, continuing from `result`; call `on_batch` after
    each batch. After a failure a new setup is made. Raises NotHere."""
    result = result or Result()
    if result.trials >= trials:
        return result
    for attempt in itertools.count():
        folder = base.folder / f"{fault.name[:12]}{result.trials}-{attempt}"
        folder.mkdir()
        try:
            left = replace(base, trials=trials - result.trials)
            with early_offered():
                async with fault.setup(left, folder) as setup:
                    failed = await _in_setup(fault, setup, _Plan(trials, seed, on_batch), result)
            if failed:
                result.details[-1] += _logs(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if not failed:
            break
    return result


@dataclass(frozen=True, slots=True)
class _Plan:
    trials: int
    seed: str
    on_batch: OnBatch


async def _in_setup(fault: Fault, setup: Any, plan: _Plan, result: Result) -> bool:
    """Batch after batch; whether one failed."""
    while result.trials < plan.trials:
        count = min(fault.at_once, plan.trials - result.trials)
        batch = [
            Trial(number, Random(f"{plan.seed}/{fault.name}/{number}"))
            for number in range(result.trials, result.trials + count)
        ]
        began = time.monotonic()
        failures = await _batch(fault, setup, batch)
        result.seconds += time.monotonic() - began
        result.trials += count
        result.failures += len(failures)
        result.details = (result.details + failures)[:KEPT_FAILURES]
        plan.on_batch(result)
        if failures:
            return True
    return False


async def _batch(fault: Fault, setup: Any, batch: list[Trial]) -> list[str]:
    """What went wrong, trial by trial."""
    failures: list[str] = []

    async def one(trial: Trial) -> None:
        try:
            async with asyncio.timeout(fault.seconds):
                await fault.trial(setup, trial)
        except Exception as error:
            failures.append(_describe(f"trial {trial.number}", error))

    await asyncio.gather(*map(one, batch))
    if not failures and fault.settle is not None:
        numbers = f"after trials {batch[0].number} to {batch[-1].number}"
        try:
            async with asyncio.timeout(fault.seconds):
                await fault.settle(setup)
        except Exception as error:
            failures.append(_describe(numbers, error))
    return failures


def _describe(where: str, error: Exception) -> str:
    return f"{where}: {''.join(traceback.format_exception(error))}"


def _logs(folder: Path) -> str:
    """The ends of what the servers of a setup wrote."""
    parts = [
        f"\n--- {path.relative_to(folder)}\n{path.read_text(errors='replace')[-4000:]}"
        for path in sorted(folder.glob("**/output"))
    ]
    return "".join(parts)


def upper_bound(trials: int, failures: int) -> float:
    """The largest rate of failures that would still give so few failures once in twenty runs.

    For none: 1 - 0.05^(1/n); else by Clopper and Pearson, one-sided.
    """
    if failures >= trials:
        return 1.0
    low, high = failures / trials, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _at_most(failures, trials, middle) > 1 - CONFIDENCE:
            low = middle
        else:
            high = middle
    return high


def _at_most(failures: int, trials: int, rate: float) -> float:
    """The chance of at most so many failures."""
    if rate >= 1.0:
        return 0.0
    logs = (
        math.lgamma(trials + 1)
        - math.lgamma(k + 1)
        - math.lgamma(trials - k + 1)
        + (k * math.log(rate) if k else 0.0)
        + (trials - k) * math.log1p(-rate)
        for k in range(failures + 1)
    )
    return math.fsum(math.exp(value) for value in logs)
