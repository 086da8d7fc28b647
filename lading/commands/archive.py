"""`lading export` and `lading import`: all files as one archive, on the storage itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from lading.client.types import Progress, State
from lading.commands.common import AGAIN, INTERRUPTED, Common, Json
from lading.commands.output import Output
from lading.commands.total import Total

File = Annotated[
    str,
    typer.Argument(metavar="[FILE]", help="The archive, a tar file; -: standard in- or output."),
]


def export(context: typer.Context, *, file: File = "-", as_json: Json = False) -> None:
    """Write all finished files, with their owners, names and tags, to one archive.

    Unfinished uploads are left out. So are images, which are made again, and all that does not
    belong to a file: accounts, quotas, grants.
    """
    # Imported here: the client runs where the server's libraries are not installed.
    from lading.server.process.archive import export as run

    _run(
        context, as_json, lambda output: run(_path(file), as_json=output.as_json, watch=Bar(output))
    )


def import_(context: typer.Context, *, file: File = "-", as_json: Json = False) -> None:
    """Bring the files of an archive into this Lading, with the ids that they had.

    Files that are there already are skipped, so an import that broke off is run again. Unfinished
    uploads are not in an archive.
    """
    from lading.server.process.archive import restore as run

    _run(
        context, as_json, lambda output: run(_path(file), as_json=output.as_json, watch=Bar(output))
    )


def _path(file: str) -> Path | None:
    return None if file == "-" else Path(file)


def _run(context: typer.Context, as_json: bool, work: Callable[[Output], int]) -> None:
    common: Common = context.obj or Common()
    output = Output(as_json=as_json or common.json)
    try:
        with output:
            code = work(output)
    except KeyboardInterrupt:
        output.note(f"lading: interrupted. {AGAIN}")
        code = INTERRUPTED
    raise typer.Exit(code)


class Bar:
    """Shows how far a run is. How much an archive holds is not known before its end."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._total = Total(0, 0)
        self._moved: dict[str, int] = {}

    def begun(self, files: int, size: int) -> None:
        self._total = Total(files, size)
        self._output.begin_total(self._total)

    def moved(self, file_id: str, size: int) -> None:
        if file_id not in self._moved:
            self._total.moved(file_id, Progress())
        self._moved[file_id] = self._moved.get(file_id, 0) + size
        self._show(Progress(state=State.SENDING, stored=self._moved[file_id]), file_id)

    def ended(self, file_id: str, size: int, *, done: bool, skipped: bool = False) -> None:
        self._moved.pop(file_id, None)
        if done:
            self._total.ended(file_id, size, skipped=skipped)
        else:
            self._total.gave_up(file_id, size)
        self._output.move_total(Progress(state=State.SENDING))

    def _show(self, progress: Progress, file_id: str) -> None:
        self._total.moved(file_id, progress)
        self._output.move_total(progress)
