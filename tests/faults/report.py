"""The results of the rows: saved on disk so that a long run can continue, shown as a table.

There are two forms of the table, for a terminal and as markdown.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from lading.storage.embedded.mongod import find
from tests.faults.fault import Fault, Result, upper_bound

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "build" / "faults" / "results.json"

HEAD = ("fault", "trials", "failures", "95 % bound", "seconds")


@dataclass(slots=True)
class Record:
    """A saved row: the seed with which it continues, and why there are not more trials."""

    seed: str
    reason: str = ""
    date: str = ""
    commit: str = ""
    result: Result = field(default_factory=Result)


def load() -> dict[str, Record]:
    """The results of earlier runs; empty if there are none, or if they cannot be read."""
    try:
        kept = json.loads(RESULTS.read_text("utf-8"))
        return {
            name: Record(**{**record, "result": Result(**record["result"])})
            for name, record in kept.items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def keep(records: Mapping[str, Record]) -> None:
    """Save all rows, atomically."""
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    draft = RESULTS.with_suffix(f".{os.getpid()}")
    rows = {name: asdict(record) for name, record in records.items()}
    draft.write_text(json.dumps(rows, indent=1), "utf-8")
    draft.replace(RESULTS)


def stamp(record: Record) -> None:
    """Note when, and on which commit, the row ran last."""
    record.date = datetime.now(UTC).date().isoformat()
    record.commit = _output_of("git", "-C", str(ROOT), "describe", "--always", "--dirty")


def _output_of(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip().splitlines()[0]


def versions() -> str:
    """The versions that the trials ran with."""
    mongod = _output_of(str(find()), "--version").removeprefix("db version v")
    libraries = ("pymongo", "uvicorn", "websockets")
    parts = [f"Python {platform.python_version()}", f"mongod {mongod}"]
    parts += [f"{name} {version(name)}" for name in libraries]
    return ", ".join([*parts, f"Linux {platform.release()}", f"{os.cpu_count()} cores"])


def _cells(fault: Fault, record: Record | None) -> tuple[str, ...]:
    result = record.result if record is not None else Result()
    if not result.trials:
        return fault.title, "0", "-", "-", "-"
    bound = upper_bound(result.trials * fault.steps, result.failures)
    return (
        fault.title,
        f"{result.trials * fault.steps:,}",
        str(result.failures),
        f"{bound:.2%}" if bound >= 0.001 else f"{bound:.3%}",
        f"{result.seconds:.0f}",
    )


def table(rows: Sequence[Fault], records: Mapping[str, Record]) -> str:
    """For a terminal."""
    lines = [HEAD, *(_cells(fault, records.get(fault.name)) for fault in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    text = []
    for line in lines:
        first = line[0].ljust(widths[0])
        rest = (cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))
        text.append("  ".join([first, *rest]))
    notes = [f"{fault.title}: {why}" for fault in rows if (why := _why(fault, records))]
    return "\n".join([*text, *notes])


def _why(fault: Fault, records: Mapping[str, Record]) -> str:
    """Why fewer trials ran than the design requires; empty if all did."""
    record = records.get(fault.name)
    if record is None:
        return "not run"
    if record.result.trials >= fault.trials:
        return ""
    return record.reason or "the run was ended before all trials were done"


def markdown(rows: Sequence[Fault], records: Mapping[str, Record]) -> str:
    """The whole page for `docs/`."""
    ran = [record for fault in rows if (record := records.get(fault.name)) and record.date]
    dates = sorted({record.date for record in ran})
    commits = sorted({record.commit for record in ran})
    lines = [
        "# Faults",
        "",
        "Lading's promises are tested on real processes: servers and mongods are killed, stopped",
        "and starved, networks are cut and corrupt bytes. `scripts/faults` makes this page; a few",
        "trials of every row are part of `scripts/test`. The bound is the largest rate of failures",
        "that would still give such a row once in twenty runs.",
        "",
        f"Run {' to '.join(dict.fromkeys((dates[0], dates[-1]))) if dates else 'never'}"
        f" on {', '.join(commits) or 'nothing'} with {versions()}.",
        "",
        "| fault | how | must hold | trials | failures | 95 % bound | seconds |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for fault in rows:
        title, *counts = _cells(fault, records.get(fault.name))
        lines.append("| " + " | ".join([title, fault.how, fault.holds, *counts]) + " |")
    fewer = [
        f"- {fault.title}, {fault.trials * fault.steps:,} required: {why}."
        for fault in rows
        if (why := _why(fault, records))
    ]
    if fewer:
        lines += ["", "Fewer trials than the design requires:", "", *fewer]
    return "\n".join([*lines, ""])
