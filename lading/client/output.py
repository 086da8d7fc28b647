"""What the commands show: bars for eyes, JSON lines for programs, nothing when nobody looks.

It owns the two streams: data goes to standard output, everything else to standard error. It
refuses to know servers. Names come from anyone, so what a terminal would act on is shown escaped.
Source: page 7 of the design, "Command line".
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from rich import progress as rich
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lading.client.errors import TargetFailed
from lading.client.progress import Progress, State
from lading.protocol.errors import LadingError

PROGRESS_SECONDS = 0.2
"""JSON progress comes no more often than this, except when the state changes."""

ADVICE = {
    "unreachable": "Is it running? Check LADING_URL or --server.",
    "unauthorized": "Give a valid token with LADING_TOKEN or --token.",
    "quota-exceeded": "Delete files, or ask for a larger quota.",
    "storage-full": "Try again when the server has room.",
    "target-exists": "Use --force to replace it, or -o for another name.",
    "source-changed": "Run the command again to send it as it is now.",
    "unavailable": "Try again later.",
}

SELF_ADVISED = ("quota-exceeded", "storage-full", "unavailable")
"""Errors whose detail, where there is one, ends by saying what to do."""

EXIT_CODES = {
    "unauthorized": 3,
    "forbidden": 3,
    "quota-exceeded": 3,
    "invalid-argument": 2,
    "no-server": 2,
}
"""Exit codes other than 1, by the error's code."""


FOLDED = ("TYPE", "NAME", "USER")
"""Columns that are broken where a terminal is narrow; the others are for copying or comparing."""

FOLDED_WIDTH = 8
"""Characters that they have at least, even where the terminal must break the whole line."""


def printable(text: str) -> str:
    """The text with what does not print, such as a terminal's escape sequences, escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def sentence(error: LadingError, advice: str | None = None) -> str:
    """What happened and what to do, in one line."""
    if advice is None and not (error.code in SELF_ADVISED and error.detail):
        advice = ADVICE.get(error.code)
    return printable(" ".join(f"{error} {advice or ''}".split()))


def size_text(size: int | None) -> str:
    """A size for eyes, in decimal units."""
    if size is None:
        return "?"
    value, unit = float(size), "bytes"
    for larger in ("kB", "MB", "GB", "TB", "PB"):
        if value < 999.95:
            break
        value, unit = value / 1000, larger
    return f"{size} bytes" if unit == "bytes" else f"{value:.1f} {unit}"


def time_text(time: str) -> str:
    """A time of a manifest for eyes: that of this machine's clock, to the minute."""
    return datetime.fromisoformat(time).astimezone().strftime("%Y-%m-%d %H:%M")


def put_line(text: str) -> None:
    """Print to standard output, at once. Raises TargetFailed when it takes no more, as on a full
    disk; that of a reader who has left is BrokenPipeError, at which a command ends in silence."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        drop_output()
        raise TargetFailed(f"The output cannot be written: {error.strerror}.") from error


def drop_output() -> None:
    """Let what standard output still holds go nowhere: it would fail again as the program ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, sys.stdout.fileno())
    finally:
        os.close(nowhere)


class Output:
    """Where a command writes to. As a context manager it shows bars while it is open."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self.for_eyes = sys.stdout.isatty() and not as_json
        self._bars: rich.Progress | None = None
        self._held: list[str] = []
        self._noted: set[str] = set()
        self._shown: dict[str, tuple[State, float]] = {}
        self._tasks: dict[str, rich.TaskID] = {}

    # -- lines

    def data(self, line: str, **facts: Any) -> None:
        """One line of result: `facts` as JSON, else the line."""
        text = json.dumps(facts) if self.as_json else line
        if self._bars is not None and self.for_eyes:
            self._held.append(text)  # below the bars, when they are done
        else:
            put_line(text)

    def note(self, text: str) -> None:
        """Something for the user's eyes, not for programs."""
        if self._bars is not None:
            self._bars.console.print(Text(text), soft_wrap=True)
        else:
            print(text, file=sys.stderr, flush=True)

    def once(self, text: str) -> None:
        """A note that is of no use twice."""
        if text not in self._noted:
            self._noted.add(text)
            self.note(printable(text))

    def failed(self, error: LadingError, what: str | None = None, advice: str | None = None) -> int:
        """Tell an error; gives the exit code that it means."""
        told = sentence(error, advice)
        if self.as_json:
            file = {} if what is None else {"file": what}
            event = {"event": "error", **file, "code": error.code, "detail": told}
            with contextlib.suppress(TargetFailed):  # which may be what is to be told
                put_line(json.dumps(event))
        name = printable(what or "")
        about = f"{name}: " if name and not told.startswith(f"{name} ") else ""
        self.note(f"lading: {about}{told}")
        return EXIT_CODES.get(error.code, 1)

    def table(self, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
        """One row or more, for eyes; tab-separated, without a head, when piped."""
        if not self.for_eyes:
            for row in rows:
                put_line("\t".join(printable(cell) for cell in row))
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        shown = [[printable(cell) for cell in row] for row in rows]
        least = 2 * (len(columns) - 1)  # between them
        for column, cells in zip(columns, zip(*shown, strict=True), strict=True):
            whole = column not in FOLDED
            width = max(map(cell_len, (column, *cells))) if whole else FOLDED_WIDTH
            table.add_column(column, overflow="fold", no_wrap=whole, min_width=width)
            least += width
        for each in shown:
            table.add_row(*map(Text, each))
        Console(width=max(Console().width, least)).print(table)

    # -- progress

    def __enter__(self) -> Self:
        if sys.stderr.isatty() and not self.as_json:
            self._bars = _bars()
            self._bars.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None
        held, self._held = self._held, []
        for text in held:
            put_line(text)

    def progress(self, what: str, progress: Progress) -> None:
        """How far the transfer of `what` is."""
        if self.as_json:
            self._progress_line(what, progress)
        elif self._bars is not None:
            self._move_bar(self._bars, what, progress)
        else:
            self._note_waiting(what, progress)

    def _note_waiting(self, what: str, progress: Progress) -> None:
        """Where no bar shows it, that it waits, and that it no longer does."""
        before, _ = self._shown.get(what, (None, 0.0))
        self._shown[what] = progress.state, 0.0
        if progress.state is not before and State.WAITING in (progress.state, before):
            now = _note(progress) if progress.state is State.WAITING else "going on."
            self.note(f"lading: {printable(what)}: {now}")

    def _progress_line(self, what: str, progress: Progress) -> None:
        now = time.monotonic()
        state, at = self._shown.get(what, (None, 0.0))
        if progress.state is state and now < at + PROGRESS_SECONDS:
            return
        self._shown[what] = progress.state, now
        facts = {
            "event": "progress",
            "file": what,
            "state": str(progress.state),
            "stored": progress.stored,
            "total": progress.total,
        }
        if progress.state in (State.HASHING, State.VERIFYING):
            facts["checked"] = progress.checked
        if progress.reason is not None:
            facts["reason"] = progress.reason
        put_line(json.dumps(facts))

    def _move_bar(self, bars: rich.Progress, what: str, progress: Progress) -> None:
        if what not in self._tasks:
            if progress.state is State.LOOKING:
                return
            # Begun at what is stored, so that the rate does not count what an earlier run sent.
            self._tasks[what] = bars.add_task(
                printable(what), completed=progress.stored, total=progress.total, note=""
            )
        bars.update(
            self._tasks[what],
            completed=progress.stored,
            total=progress.total,
            note=_note(progress),
        )


def _note(progress: Progress) -> str:
    match progress.state:
        case State.WAITING:
            return printable(f"waiting: {progress.reason}")
        case State.HASHING | State.VERIFYING:
            return f"{progress.state} {size_text(progress.checked)}" if progress.checked else ""
        case _:
            return ""


def _bars() -> rich.Progress:
    return rich.Progress(
        rich.TextColumn("{task.description}", markup=False),
        rich.BarColumn(bar_width=None),
        rich.DownloadColumn(),
        rich.TaskProgressColumn(),
        rich.TransferSpeedColumn(),
        rich.TimeRemainingColumn(),
        rich.TextColumn("{task.fields[note]}", markup=False),
        console=Console(stderr=True),
    )
