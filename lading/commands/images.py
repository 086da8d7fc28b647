"""`lading images`: make the images of files again, on the storage itself, without a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lading.client.types import Progress, State
from lading.commands.common import AGAIN, INTERRUPTED, Common, Json
from lading.commands.output import Output
from lading.commands.total import Total

if TYPE_CHECKING:
    from lading.protocol.manifest import Manifest

images = typer.Typer(help="Make the images of files again.", no_args_is_help=True)


@images.callback()
def _group() -> None:
    """With one command alone, its name would not be needed."""


@images.command()
def rebuild(
    context: typer.Context,
    *,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Only these files.")
    ] = None,
    missing: Annotated[
        bool, typer.Option("--missing", help="Only make images that do not exist yet.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print how many files have work.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make the images of all files again, or of some. They can be fetched meanwhile."""
    # Imported here: the client runs where the server's libraries are not installed.
    from lading.server.process.images import rebuild as run

    common: Common = context.obj or Common()
    output = Output(as_json=as_json or common.json)
    try:
        with output:
            code = run(
                ids or (),
                missing=missing,
                dry_run=dry_run,
                as_json=output.as_json,
                watch=Bar(output),
            )
    except KeyboardInterrupt:
        output.note(f"lading: interrupted. {AGAIN}")
        code = INTERRUPTED
    raise typer.Exit(code)


class Bar:
    """Shows how far the run is."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._total = Total(0, 0)

    def begun(self, files: int) -> None:
        self._total = Total(files, 0)
        self._output.begin_total(self._total)

    def ended(self, manifest: Manifest, *, made: bool) -> None:
        if made:
            self._total.ended(manifest.id, 0)
        else:
            self._total.gave_up(manifest.id, 0)
        self._output.move_total(Progress(state=State.SENDING))
