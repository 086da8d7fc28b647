"""`lading get`: download a file, resuming what an earlier run left."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lading.client.errors import TargetFailed
from lading.client.types import Progress
from lading.commands.common import (
    AGAIN,
    DONE,
    FAILED,
    INTERRUPTED,
    Json,
    Server,
    Token,
    User,
    run,
    worst,
)
from lading.commands.output import Output, drop_output, printable
from lading.protocol.errors import LadingError

if TYPE_CHECKING:
    from lading.client.client import Client


def get(
    context: typer.Context,
    *,
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE",
            help="The ids that `lading put` and `lading ls` print, or names of files.",
        ),
    ],
    to: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="Where to write it: a file, a directory, or - for standard output.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    user: User = None,
    server: Server = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Download files. Each gets its name only after every byte is verified."""
    if to == "-" and as_json:
        raise typer.BadParameter(
            "--json and -o - cannot be combined: both write to standard output."
        )
    if len(files) > 1 and to is not None and not Path(to).is_dir():
        raise typer.BadParameter("For several files, -o must be a directory that exists.")

    async def work(client: Client, output: Output) -> int:
        codes = []
        with output:
            for each in files:
                codes.append(await _fetch(client, output, each, to, force))
                if codes[-1] == INTERRUPTED:
                    break
        return worst(codes)

    run(context, server, token, as_json, work, user=user)


async def _fetch(client: Client, output: Output, file_id: str, to: str | None, force: bool) -> int:
    kept = 0

    def tell(progress: Progress) -> None:
        nonlocal kept
        kept = 0 if to == "-" else progress.stored
        output.progress(file_id, progress)

    try:
        target = sys.stdout.buffer if to == "-" else to
        found = await client.find(file_id)
        path = await client.download(found, target, overwrite=force, on_progress=tell)
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
