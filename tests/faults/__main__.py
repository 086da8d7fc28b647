"""`scripts/faults`: many trials of every fault, and the table of the results."""

from __future__ import annotations

import argparse
import asyncio
import logging
import secrets
import signal
import sys
import tempfile
import time
from pathlib import Path

import structlog

from lading.storage.embedded.process import EmbeddedMongo
from tests.faults.fault import Base, Fault, NotHere, Result, run
from tests.faults.report import Record, keep, load, markdown, stamp, table
from tests.faults.rows import ROWS

INTERRUPTED = 130
REPORT_SECONDS = 10.0


def arguments() -> argparse.Namespace:
    names = [fault.name for fault in ROWS]
    parser = argparse.ArgumentParser(prog="scripts/faults", description=__doc__)
    parser.add_argument(
        "--full", action="store_true", help="run as many trials as the design requires"
    )
    parser.add_argument(
        "--only", action="append", choices=names, metavar="NAME", help="run this row only"
    )
    parser.add_argument("--trials", type=int, metavar="N", help="run N trials of each row")
    parser.add_argument("--seed", help="the seed of an earlier run, to repeat its trials")
    parser.add_argument(
        "--continue", action="store_true", dest="go_on", help="continue where the last run ended"
    )
    parser.add_argument("--minutes", type=float, help="end after this time; continue later")
    parser.add_argument("--because", default="", help="the reason for fewer trials, for the page")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the table as markdown")
    parser.add_argument("--saved", action="store_true", help="run nothing, show the saved results")
    parser.add_argument("--list", action="store_true", help="list the rows and exit")
    return parser.parse_args()


class Runner:
    """Runs the chosen rows and saves their results after each batch."""

    def __init__(self, options: argparse.Namespace, rows: list[Fault]) -> None:
        self._options = options
        self._rows = rows
        self._seed = options.seed or secrets.token_hex(4)
        self._reported_at = 0.0
        self.records = load()

    async def all(self) -> None:
        """Run every row; end early when the minutes are over."""
        with tempfile.TemporaryDirectory(prefix="lf-") as folder:
            async with EmbeddedMongo(Path(folder, "data")) as mongo:
                base = Base(mongo.url, Path(folder))
                for fault in self._rows:
                    await self._row(fault, base)

    def _target(self, fault: Fault) -> tuple[int, str]:
        """How many trials, and why not more."""
        options = self._options
        if options.trials is not None:
            return options.trials, options.because or f"run with --trials {options.trials}"
        if options.full:
            return fault.trials, ""
        return fault.quick, options.because or "the quick set; `scripts/faults --full` runs all"

    async def _row(self, fault: Fault, base: Base) -> None:
        trials, reason = self._target(fault)
        record = self.records.get(fault.name)
        if record is None or not self._options.go_on:
            record = self.records[fault.name] = Record(self._seed)
        record.reason = reason
        stamp(record)
        say(f"{fault.name}: {trials} trials, seed {record.seed}, from {record.result.trials}")
        try:
            await run(
                fault,
                base,
                trials,
                seed=record.seed,
                result=record.result,
                on_batch=lambda result: self._keep(fault, trials, result),
            )
        except NotHere as error:
            record.reason = str(error)
            say(f"{fault.name}: not run: {error}")
        keep(self.records)
        for failure in record.result.details:
            say(failure)

    def _keep(self, fault: Fault, trials: int, result: Result) -> None:
        keep(self.records)
        if time.monotonic() - self._reported_at >= REPORT_SECONDS or result.trials >= trials:
            self._reported_at = time.monotonic()
            say(
                f"{fault.name}: {result.trials} of {trials}, {result.failures} failures, "
                f"{result.seconds:.0f} s"
            )


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


async def work(runner: Runner, minutes: float | None) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with asyncio.timeout(None if minutes is None else minutes * 60):
        await runner.all()


def main() -> int:
    options = arguments()
    rows = [fault for fault in ROWS if not options.only or fault.name in options.only]
    if options.list:
        for fault in rows:
            few, quick, full = (n * fault.steps for n in (fault.few, fault.quick, fault.trials))
            print(f"{fault.name:20} {few:6} {quick:6} {full:6}  {fault.title}")
        return 0
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    runner = Runner(options, rows)
    code = 0
    if not options.saved:
        try:
            asyncio.run(work(runner, options.minutes))
        except TimeoutError:
            say("The time is over; run again with --continue.")
        except (KeyboardInterrupt, asyncio.CancelledError):
            say("Interrupted; run again with --continue.")
            code = INTERRUPTED
    print(table(rows, runner.records))
    if options.write is not None:
        options.write.write_text(markdown(ROWS, runner.records), "utf-8")
    failed = any(
        record.result.failures
        for fault in rows
        if (record := runner.records.get(fault.name)) is not None
    )
    return code or int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
