"""`lading rm`: delete files, unfinished uploads, or all files of a directory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lading.commands.common import DONE, Json, Server, Token, User, confirmed, counted, run, worst
from lading.commands.output import Output, printable
from lading.protocol.errors import InvalidArgument, LadingError

if TYPE_CHECKING:
    from lading.client.client import Client

NOT_AN_ID = "`lading ls` and `lading ls --uploads` print the ids."
"""Advice for a name: several files may have it, so it does not say what to delete."""


def rm(
    context: typer.Context,
    *,
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID", help="The ids of files or unfinished uploads."),
    ] = None,
    directory: Annotated[
        str | None,
        typer.Option(
            "--directory", help="Delete all files of this directory and its subdirectories."
        ),
    ] = None,
    user: User = None,
    server: Server = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Delete files or unfinished uploads, with their bytes.

    An admin may delete every user's by id; --user is for --directory.
    """
    if not ids and not directory:
        raise typer.BadParameter("Name the ids to delete, or a directory with --directory.")
    if directory and not confirmed(f"Delete all files in {printable(directory)}?"):
        raise typer.Abort

    async def work(client: Client, output: Output) -> int:
        codes = [await _delete(client, output, each) for each in ids or ()]
        if directory:
            deleted = await client.delete_directory(directory)
            output.data(
                f"{counted(deleted, 'file')} deleted",
                event="deleted",
                directory=directory,
                files=deleted,
            )
        return worst(codes)

    run(context, server, token, as_json, work, user=user)


async def _delete(client: Client, output: Output, file_id: str) -> int:
    try:
        await client.delete(file_id)
    except LadingError as error:
        advice = NOT_AN_ID if isinstance(error, InvalidArgument) else None
        return output.failed(error, file_id, advice)
    output.data(file_id, event="deleted", id=file_id)
    return DONE
