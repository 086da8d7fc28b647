"""What the commands print: progress bars for people, JSON lines for programs.

Data goes to standard output, everything else to standard error. Names may come from anyone, so
control characters are printed escaped. Source: page 7 of the design, "Command line".
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from lading.client.errors import TargetFailed
from lading.client.types import Progress, State
from lading.protocol.errors import LadingError

if TYPE_CHECKING:
    from rich import progress as rich

    from lading.commands.total import Total

PROGRESS_SECONDS = 0.2
"""JSON progress is printed no more often than this, except when the state changes."""

ADVICE = {
    "unreachable": "Is it running? Check LADING_URL or --server.",
    "unauthorized": "Give a valid token with LADING_TOKEN or --token.",
    "quota-exceeded": "Delete files, or ask for a larger quota.",
    "storage-full": "Try again when the server has free space.",
    "target-exists": "Use --force to replace it, or -o for another name.",
    "source-changed": "Run the command again to upload its present content.",
    "unavailable": "Try again later.",
}

SELF_ADVISED = ("quota-exceeded", "storage-full", "unavailable")
"""Errors whose detail, if there is one, already says what to do."""

EXIT_CODES = {
    "unauthorized": 3,
    "forbidden": 3,
    "proxy-unauthorized": 3,
    "quota-exceeded": 3,
    "rejected": 3,
    "invalid-argument": 2,
    "no-server": 2,
}
"""Exit codes other than 1, by error code."""


NAME_SHARE = 3
"""The part of a terminal's width that the name beside a progress bar takes at most: a third."""

FOLDED = ("TYPE", "NAME", "USER")
"""Columns that wrap on a narrow terminal. The others stay whole, for copying and comparing."""

FOLDED_WIDTH = 8
"""Their least width in characters, even where the terminal itself must wrap the line."""


def printable(text: str) -> str:
    """The text with control characters escaped, such as terminal escape sequences."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def sentence(error: LadingError, advice: str | None = None) -> str:
    """What happened and what to do, in one line."""
    if advice is None and not (error.code in SELF_ADVISED and error.detail):
        advice = ADVICE.get(error.code)
    return printable(" ".join(f"{error} {advice or ''}".split()))


def size_text(size: int | None) -> str:
    """A size for people, in decimal units."""
    if size is None:
        return "?"
    value, unit = float(size), "bytes"
    for larger in ("kB", "MB", "GB", "TB", "PB"):
        if value < 999.95:
            break
        value, unit = value / 1000, larger
    return f"{size} bytes" if unit == "bytes" else f"{value:.1f} {unit}"


def time_text(time: str) -> str:
    """A time of a manifest for people: in local time, to the minute."""
    return datetime.fromisoformat(time).astimezone().strftime("%Y-%m-%d %H:%M")


def put_line(text: str) -> None:
    """Print to standard output at once.

    Raises TargetFailed when it cannot be written, as on a full disk, and BrokenPipeError when the
    reader is gone; then a command ends without a message.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        drop_output()
        raise TargetFailed(f"The output cannot be written: {error.strerror}.") from error


def drop_output() -> None:
    """Discard what standard output still buffers: it would fail again as the program ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, sys.stdout.fileno())
    finally:
        os.close(nowhere)


class Output:
    """What a command writes to. As a context manager it shows progress bars."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self.for_people = sys.stdout.isatty() and not as_json
        self._bars: rich.Progress | None = None
        self._queued: list[str] = []
        self._noted: set[str] = set()
        self._shown: dict[str, tuple[State, float]] = {}
        self._tasks: dict[str, rich.TaskID] = {}
        self._total: Total | None = None
        self._total_task: rich.TaskID | None = None

    # -- lines

    def data(self, line: str, **facts: Any) -> None:
        """Print one line of data: `facts` as JSON, else `line`."""
        text = json.dumps(facts) if self.as_json else line
        if self._bars is not None and self.for_people:
            self._queued.append(text)  # printed below the bars when they are done
        else:
            put_line(text)

    def note(self, text: str) -> None:
        """Print something for people, not for programs."""
        if self._bars is not None:
            self._bars.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=sys.stderr, flush=True)

    def once(self, text: str) -> None:
        """Print a note, unless it was printed before."""
        if text not in self._noted:
            self._noted.add(text)
            self.note(printable(text))

    def failed(self, error: LadingError, what: str | None = None, advice: str | None = None) -> int:
        """Print an error. Returns the exit code for it."""
        text = sentence(error, advice)
        if self.as_json:
            file = {} if what is None else {"file": what}
            event = {"event": "error", **file, "code": error.code, "detail": text}
            with contextlib.suppress(TargetFailed):  # which may be the very error
                put_line(json.dumps(event))
        name = printable(what or "")
        about = f"{name}: " if name and not text.startswith(f"{name} ") else ""
        self.note(f"lading: {about}{text}")
        return EXIT_CODES.get(error.code, 1)

    def table(self, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
        """Print one row or more as a table; tab-separated, without a header, when piped."""
        if not self.for_people:
            for row in rows:
                put_line("\t".join(printable(cell) for cell in row))
            return
        from rich.cells import cell_len
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

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
        queued, self._queued = self._queued, []
        for text in queued:
            put_line(text)

    def progress(self, what: str, progress: Progress) -> None:
        """Print how far the transfer of `what` is."""
        if self.as_json:
            self._progress_line(what, progress)
        elif self._bars is not None:
            self._move_bar(self._bars, what, progress)
        else:
            self._note_waiting(what, progress)

    def begin_total(self, total: Total) -> None:
        """From now on show the sums over several files."""
        self._total = total
        if self._bars is not None:
            self._total_task = self._bars.add_task(_counted(total), total=total.size, note="")

    def move_total(self, progress: Progress) -> None:
        """The sums changed."""
        total = self._total
        if total is None or self.as_json:
            return
        if progress.state is State.WAITING:
            self.once(f"lading: {_note(progress)}")
        if self._bars is not None and self._total_task is not None:
            self._bars.update(
                self._total_task,
                description=_counted(total),
                completed=total.stored,
                total=total.size,
            )
        elif total.is_due():
            left = max(0, total.size - total.stored)
            self.note(
                f"lading: {_counted(total)}, {size_text(total.stored)} of {size_text(total.size)}, "
                f"{size_text(round(total.rate))}/s, {left / max(total.rate, 1):.0f} s left."
            )

    def end_total(self, text: str, done: str = "uploaded") -> None:
        """Print the sums at the end; `done` is what was done with the files."""
        if self._total is not None and self.as_json:
            self.data("", event="total", **self._total.facts(done))
        else:
            self.note(text)

    def finished(self, what: str) -> None:
        """One of several files needs no bar any more."""
        self._shown.pop(what, None)
        task = self._tasks.pop(what, None)
        if task is not None and self._bars is not None:
            self._bars.remove_task(task)

    def _note_waiting(self, what: str, progress: Progress) -> None:
        """Without a bar, print that a transfer waits and that it continues."""
        before, _ = self._shown.get(what, (None, 0.0))
        self._shown[what] = progress.state, 0.0
        if progress.state is not before and State.WAITING in (progress.state, before):
            now = _note(progress) if progress.state is State.WAITING else "continuing."
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
            # The bar begins at what is stored: the rate must not count what an earlier run sent.
            shown = _end_of(printable(what), bars.console.width // NAME_SHARE)
            self._tasks[what] = bars.add_task(
                shown, completed=progress.stored, total=progress.total, note=""
            )
        bars.update(
            self._tasks[what],
            completed=progress.stored,
            total=progress.total,
            note=_note(progress),
        )


def _end_of(text: str, most: int) -> str:
    """A path whose beginning is left out if it takes more than so many columns.

    It would push the figures of its line out of the terminal.
    """
    from rich.cells import cell_len

    if cell_len(text) <= most:
        return text
    while text and cell_len(text) > most - 1:
        text = text[1:]
    return f"…{text}"


def _counted(total: Total) -> str:
    return f"{total.done}/{total.files} files"


def _note(progress: Progress) -> str:
    match progress.state:
        case State.WAITING:
            return printable(f"waiting: {progress.reason}")
        case State.HASHING | State.VERIFYING:
            return f"{progress.state} {size_text(progress.checked)}" if progress.checked else ""
        case _:
            return ""


def _bars() -> rich.Progress:
    # Imported here, as in `table`: only a terminal needs it.
    from rich import progress as rich
    from rich.console import Console

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
