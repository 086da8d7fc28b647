"""`lading move`: bring finished files to another home, on the storage itself, without a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lading.client.types import Progress, State
from lading.commands.common import AGAIN, INTERRUPTED, Common, Json
from lading.commands.output import Output
from lading.commands.total import Total

if TYPE_CHECKING:
    from lading.protocol.manifest import Manifest


def move(
    context: typer.Context,
    *,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Only these files.")
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="HOME",
            help="mongo, file:///directory or s3://bucket/prefix. Default: LADING_BLOBS.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print what would be moved.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Move finished files to the present home, or to another one. They can be read meanwhile."""
    # Imported here: the client runs where the server's libraries are not installed.
    from lading.server.process.move import move as run

    common: Common = context.obj or Common()
    output = Output(as_json=as_json or common.json)
    try:
        with output:
            code = run(ids or (), to=to, dry_run=dry_run, as_json=output.as_json, watch=Bar(output))
    except KeyboardInterrupt:
        output.note(f"lading: interrupted. {AGAIN}")
        code = INTERRUPTED
    raise typer.Exit(code)


class Bar:
    """Shows how far the move is."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._total = Total(0, 0)
        self._read: dict[str, int] = {}

    def begun(self, files: int, size: int) -> None:
        self._total = Total(files, size)
        self._output.begin_total(self._total)

    def read(self, upload_id: str, size: int) -> None:
        if upload_id not in self._read:
            self._total.moved(upload_id, Progress())
        self._read[upload_id] = self._read.get(upload_id, 0) + size
        self._show(upload_id)

    def ended(self, manifest: Manifest, *, moved: bool) -> None:
        self._read.pop(manifest.id, None)
        if moved:
            self._total.ended(manifest.id, manifest.size)
        else:
            self._total.gave_up(manifest.id, manifest.size)
        self._output.move_total(Progress(state=State.SENDING))

    def _show(self, upload_id: str) -> None:
        progress = Progress(state=State.SENDING, stored=self._read[upload_id])
        self._total.moved(upload_id, progress)
        self._output.move_total(progress)
