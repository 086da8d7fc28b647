"""The command: runs the chosen measures, writes the results, prints the table.

It owns the order of runs. In each round every side runs once, and from round to round the order
turns round, so that what warms up or wears off falls on all of them alike.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import structlog

from bench.machine import machine, versions
from bench.measure import Measure, Sample
from bench.measures import MEASURES
from bench.process import ROOT, ChildFailed
from bench.report import BEGIN, END, Result, summarize, table
from bench.scene import NoRoom, Scene
from storage.embedded import EmbeddedError

RESULTS = ROOT / "bench" / "results"
PAGE = ROOT / "docs" / "performance.md"

ROUNDS, QUICK_ROUNDS = 5, 2


def say(text: str) -> None:
    """Tell how far it is; the table alone goes to standard output."""
    print(text, file=sys.stderr, flush=True)


async def run(measure: Measure, rounds: int, scene: Scene) -> Result:
    """One measure: all its rounds."""
    found: list[list[Sample]] = []
    for number in range(0 if measure.warm_up else 1, rounds + 1):
        samples: dict[int, Sample] = {}
        places = range(len(measure.sides))
        for place in places if number % 2 == 0 else reversed(places):
            side = measure.sides[place]
            samples[place] = await side.run(scene)
            value = f"{samples[place].value:.1f} {measure.unit}"
            turn = f"{number}/{rounds}" if number else "warming up"
            say(f"{measure.name}, {turn}: {side.name}: {value}")
        if number:
            found.append([samples[place] for place in places])
    return summarize(measure, found)


async def run_all(measures: Sequence[Measure], rounds: int, quick: bool, place: Path) -> Result:
    """All measures in one scene."""
    # SIGTERM ends the run as Ctrl-C does: in order, with nothing left behind.
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    now = datetime.now(UTC)
    async with Scene.open(place) as scene:
        return {
            "run": {"when": f"{now:%Y-%m-%d %H:%M} UTC", "rounds": rounds, "quick": quick},
            "machine": machine(scene.scratch),
            "versions": versions(await scene.mongo_version()),
            "measures": [await run(measure, rounds, scene) for measure in measures],
        }


def keep(result: Result, whole: bool) -> None:
    """Write the results; those of a whole run are the last ones that the documentation shows."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    text = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
    name = result["run"]["when"].removesuffix(" UTC").replace(" ", "-").replace(":", "")
    (RESULTS / f"{name}.json").write_text(text, encoding="utf-8")
    if not whole:
        return
    (RESULTS / "latest.json").write_text(text, encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    PAGE.write_text(f"{head}{BEGIN}{table(result)}{END}{tail}", encoding="utf-8")


def main() -> int:
    """Run what the command line asks for; gives the exit code."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="Runs Lading and its peers in turn and compares them."
    )
    names = [make(False).name for make in MEASURES]
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help=f"of: {', '.join(names)}")
    parser.add_argument("--quick", action="store_true", help="small files, in under two minutes")
    parser.add_argument("--rounds", type=int, help=f"default {ROUNDS}, {QUICK_ROUNDS} with --quick")
    parser.add_argument("--scratch", type=Path, default=ROOT / "build", help="where data may lie")
    options = parser.parse_args()
    if unknown := set(options.measures) - set(names):
        parser.error(f"there is no measure {', '.join(sorted(unknown))}; of: {', '.join(names)}")
    rounds = options.rounds
    if rounds is None:
        rounds = QUICK_ROUNDS if options.quick else ROUNDS
    if rounds < 1:
        parser.error("--rounds must be at least 1")
    measures = [make(options.quick) for make in MEASURES]
    chosen = [m for m in measures if not options.measures or m.name in options.measures]
    structlog.configure(
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
    )
    try:
        result = asyncio.run(run_all(chosen, rounds, options.quick, options.scratch))
    except (ChildFailed, EmbeddedError, NoRoom) as error:
        say(str(error))
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        say("Stopped; nothing was kept.")
        return 130
    keep(result, whole=not options.quick and len(chosen) == len(MEASURES))
    print(table(result), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
