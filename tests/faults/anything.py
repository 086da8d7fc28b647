"""Anything, in any order: the state machine of `tests/test_model.py`, for many more steps.

One trial is a run of STEPS steps with a seed of its own.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.faults.fault import Base, Fault, NotHere, Trial
from tests.faults.processes import clean_environment, ended, kill
from tests.support.children import start

MODEL = Path(__file__).parents[1] / "test_model.py"
VARIABLE = "LADING_MODEL_STEPS"
STEPS = 1000

SECONDS = 900.0


@asynccontextmanager
async def setup(_base: Base, folder: Path) -> AsyncIterator[Path]:
    if not MODEL.exists():
        raise NotHere(f"there is no tests/{MODEL.name}")
    yield folder


async def trial(folder: Path, trial: Trial) -> None:
    """One run of pytest, in a process of its own."""
    output = folder / f"output{trial.number}"
    seed = str(trial.random.randrange(2**32))
    options = ["-q", "-x", "-p", "no:cacheprovider", "-o", f"timeout={SECONDS:.0f}"]
    program = [sys.executable, "-m", "pytest", *options, f"--hypothesis-seed={seed}", str(MODEL)]
    environment = clean_environment() | {VARIABLE: str(STEPS)}
    child = start(program, output, environment)
    try:
        code = await ended(child, SECONDS)
    finally:
        kill(child)
    assert code == 0, output.read_text()[-8000:]


FAULT = Fault(
    name="anything",
    title="anything, in any order",
    how="a Hypothesis state machine against a dumb model, `tests/test_model.py`",
    holds="model equal",
    trials=20,
    quick=1,
    few=0,
    setup=setup,
    trial=trial,
    seconds=SECONDS + 10,
    steps=STEPS,
)
