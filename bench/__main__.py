"""The command: runs the chosen measures or the curves, writes the results, prints the tables.

It owns the order of runs. In each round every side runs once, and from round to round the order
turns round, so that what warms up or wears off falls on all of them alike.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import shutil
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import structlog

from bench import peers, save
from bench.growth import Curve, Values, curves, medians
from bench.machine import machine, versions
from bench.measure import Measure, Options, Sample
from bench.measures import MEASURES, QUICK
from bench.process import ROOT, ChildFailed
from bench.report import Result, summarize, table
from bench.workspace import NoSpace, Workspace
from lading.storage.embedded.process import EmbeddedError

ROUNDS, QUICK_ROUNDS, GROWTH_ROUNDS = 5, 1, 3

BEGAN = time.monotonic()


def say(text: str) -> None:
    """Report progress on standard error; only the tables go to standard output."""
    print(f"{time.monotonic() - BEGAN:5.0f} s  {text}", file=sys.stderr, flush=True)


async def run(
    measure: Measure, rounds: int, workspace: Workspace, *, warm_up: bool = True
) -> Result:
    """One measure: all its rounds, in one setup."""
    rounds = min(rounds, measure.rounds or rounds)
    warm_up = warm_up and measure.warm_up
    found: list[list[Sample]] = []
    async with measure.setup(workspace) as setup:
        for number in range(0 if warm_up else 1, rounds + 1):
            samples: dict[int, Sample] = {}
            places = range(len(measure.sides))
            for place in places if number % 2 == 0 else reversed(places):
                side = measure.sides[place]
                samples[place] = await side.run(setup)
                value = f"{samples[place].value:.3g} {measure.unit}"
                turn = f"{number}/{rounds}" if number else "warming up"
                say(f"{measure.name}, {turn}: {side.name}: {value}")
            if number:
                found.append([samples[place] for place in places])
    return summarize(measure, found)


async def draw(curve: Curve, rounds: int, workspace: Workspace) -> Result:
    """One curve: all its rounds."""
    found: list[list[Values]] = []
    for number in range(1, rounds + 1):
        found.append(await curve.run(workspace, curve.points))
        say(f"{curve.name}, {number}/{rounds}")
    return {
        "name": curve.name,
        "title": curve.title,
        "along": curve.along,
        "points": list(curve.points),
        "values": medians(found),
    }


Work = Callable[[Workspace], Awaitable[list[Result]]]


async def run_all(work: Work, kind: str, rounds: int, quick: bool, place: Path) -> Result:
    """Run everything that was asked for in one workspace; the results are stored under `kind`."""
    # SIGTERM ends the run like Ctrl-C: cleanly, with nothing left behind.
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    now = datetime.now(UTC)
    async with Workspace.open(place) as workspace:
        kinds = machine(workspace.scratch)
        return {
            "run": {"when": f"{now:%Y-%m-%d %H:%M} UTC", "rounds": rounds, "quick": quick},
            "machine": kinds,
            "versions": {**versions(await workspace.mongo_version()), **await peers.versions()},
            kind: await work(workspace),
        }


def parse(names: Sequence[str]) -> argparse.Namespace:
    """Parse the command line; exits if it is wrong."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="Runs Lading and its peers in turn and compares them."
    )
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help=f"of: {', '.join(names)}")
    parser.add_argument(
        "--growth", action="store_true", help="measure how time and memory grow instead"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="small sizes; without a MEASURE only those of the core, in under two minutes",
    )
    parser.add_argument(
        "--rounds", type=int, help=f"default {ROUNDS}, {GROWTH_ROUNDS} with --growth, 1 if --quick"
    )
    parser.add_argument(
        "--scratch", type=Path, default=ROOT / "build", help="directory for the data"
    )
    options = parser.parse_args()
    if unknown := set(options.measures) - set(names):
        parser.error(f"there is no {', '.join(sorted(unknown))}; of: {', '.join(names)}")
    if options.rounds is None:
        usual = GROWTH_ROUNDS if options.growth else ROUNDS
        options.rounds = QUICK_ROUNDS if options.quick else usual
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    return options


def main() -> int:
    """Run what the command line asks for; returns the exit code."""
    growth = "--growth" in sys.argv
    names = [part.name for part in (curves(Options()) if growth else _measures(Options()))]
    given = parse(names)
    given.scratch.mkdir(parents=True, exist_ok=True)
    options = Options(given.quick, shutil.disk_usage(given.scratch).free)
    whole = not given.quick and not given.measures

    def chosen(name: str) -> bool:
        return not given.measures or name in given.measures

    usual = QUICK if given.quick and not given.measures else MEASURES

    failed: list[str] = []

    async def measures(workspace: Workspace) -> list[Result]:
        done = []
        for measure in (make(options) for make in usual):
            if not chosen(measure.name):
                continue
            try:
                warm_up = not given.quick
                done.append(await run(measure, given.rounds, workspace, warm_up=warm_up))
            except ChildFailed as error:  # what the others found took half an hour
                say(f"{measure.name} FAILED. {error}")
                failed.append(measure.name)
        return done

    async def growing(workspace: Workspace) -> list[Result]:
        some = [curve for curve in curves(options) if chosen(curve.name)]
        return [await draw(curve, given.rounds, workspace) for curve in some]

    structlog.configure(
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
    )
    work, kind = (growing, "curves") if growth else (measures, "measures")
    try:
        result = asyncio.run(run_all(work, kind, given.rounds, given.quick, given.scratch))
    except (ChildFailed, EmbeddedError, NoSpace) as error:
        say(str(error))
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        say("Stopped; nothing was kept.")
        return 130
    if growth:
        save.growth(result, whole)
        print("\n".join(save.curve_table(curve) for curve in result["curves"]))
    else:
        save.measures(result, whole and not failed)
        print(table(result), end="")
    if failed:
        say(f"Without figures: {', '.join(failed)}.")
    return 1 if failed else 0


def _measures(options: Options) -> list[Measure]:
    return [make(options) for make in MEASURES]


if __name__ == "__main__":
    sys.exit(main())
