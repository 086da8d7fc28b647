"""`lading get`: download a file, resuming what an earlier run left."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from lading.client.errors import TargetFailed
from lading.client.types import Progress
from lading.commands.common import AGAIN, DONE, FAILED, INTERRUPTED, Json, Server, Token, run
from lading.commands.output import Output, drop_output, printable
from lading.protocol.errors import LadingError

if TYPE_CHECKING:
    from lading.client.client import Client


def get(
    context: typer.Context,
    *,
    file_id: Annotated[
        str, typer.Argument(metavar="ID", help="The id that `lading put` or `lading ls` printed.")
    ],
    to: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="PATH", help="Where to write it; - is standard output."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    server: Server = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Download a file. It gets its name only after every byte is verified."""
    if to == "-" and as_json:
        raise typer.BadParameter(
            "--json and -o - cannot be combined: both write to standard output."
        )

    async def work(client: Client, output: Output) -> int:
        with output:
            return await _fetch(client, output, file_id, to, force)

    run(context, server, token, as_json, work)


async def _fetch(client: Client, output: Output, file_id: str, to: str | None, force: bool) -> int:
    kept = 0

    def tell(progress: Progress) -> None:
        nonlocal kept
        kept = 0 if to == "-" else progress.stored
        output.progress(file_id, progress)

    try:
        target = sys.stdout.buffer if to == "-" else to
        path = await client.download(file_id, target, overwrite=force, on_progress=tell)
    except LadingError as error:
        if to == "-" and isinstance(error, TargetFailed):
            drop_output()
        resumable = error.retryable and kept > 0
        code = output.failed(error, file_id, AGAIN if resumable else None)
        return INTERRUPTED if resumable else code
    except asyncio.CancelledError:
        output.note(f"lading: interrupted. {'' if to == '-' else AGAIN}".strip())
        return FAILED if to == "-" else INTERRUPTED
    if path is not None:
        output.data(printable(str(path)), event="complete", file=file_id, path=str(path))
    return DONE
