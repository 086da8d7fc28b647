"""`lading rm`: delete files, unfinished uploads, or all files of a directory.

Finished files go to the trash of the server, if it has one; see `trash.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lading.commands.common import (
    DONE,
    DryRun,
    Json,
    Profile,
    Server,
    Token,
    User,
    Yes,
    confirmed,
    counted,
    has_files,
    look_up,
    run,
    worst,
)
from lading.commands.output import Output, printable
from lading.protocol.errors import InvalidArgument, LadingError

if TYPE_CHECKING:
    from lading.client.client import Client
    from lading.client.types import Manifest, Upload

NOT_AN_ID = "`lading ls` and `lading ls --uploads` print the ids."
"""Advice for a name that does not say what to delete."""

NAMED = 3
"""So many files are named in a question."""


def rm(
    context: typer.Context,
    *,
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE", help="Ids of files or unfinished uploads, or names or paths of files."
        ),
    ] = None,
    recursive: Annotated[
        bool,
        typer.Option(
            "--recursive", "-r", help="FILE may be a directory; all files in it are deleted."
        ),
    ] = False,
    directory: Annotated[
        str | None,
        typer.Option(
            "--directory", help="Delete all files of this directory and its subdirectories."
        ),
    ] = None,
    permanent: Annotated[
        bool,
        typer.Option("--permanent", help="Delete for good, and not into the trash of the server."),
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    user: User = None,
    server: Server = None,
    profile: Profile = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Delete files or unfinished uploads. On a terminal it asks first.

    Finished files go to the trash of the server, if it has one: `lading trash` lists them, brings
    them back, and deletes them for good. Unfinished uploads are deleted with their bytes.

    An admin may delete every user's by id; --user is for names and directories.
    """
    if not files and not directory:
        raise typer.BadParameter("Name the files to delete, or a directory with --directory.")

    async def work(client: Client, output: Output) -> int:
        codes, found = [DONE], []
        directories = [directory] if directory else []
        for each in files or ():
            try:
                found.append(await look_up(client, each))
            except LadingError as error:
                if (
                    recursive
                    and isinstance(error, InvalidArgument)
                    and await has_files(client, each)
                ):
                    directories.append(each)
                else:
                    codes.append(_failed(output, error, each))
        if not dry_run and not yes and (found or directories):
            _ask(found, directories, permanent)
        for file in found:
            codes.append(await _delete(client, output, file, dry_run, permanent))
        for place in directories:
            codes.append(await _delete_directory(client, output, place, dry_run, permanent))
        return worst(codes)

    run(context, server, token, as_json, work, profile=profile, user=user)


def _ask(found: list[Manifest | Upload], directories: list[str], permanent: bool) -> None:
    named = [printable(each.path) for each in found[:NAMED]]
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    what = [", ".join(named) + more] if named else []
    what += [f"all files in {printable(each)}" for each in directories]
    how = " for good" if permanent else ""
    if not confirmed(f"Delete {' and '.join(what)}{how}?"):
        raise typer.Abort


async def _delete(
    client: Client, output: Output, file: Manifest | Upload, dry_run: bool, permanent: bool
) -> int:
    try:
        if permanent and not dry_run:
            await client.delete(file.id)
        elif not dry_run and await client.trash(file.id) is not None:
            _note_trash(output)
    except LadingError as error:
        return _failed(output, error, file.id)
    text, event = ("would delete ", "would-delete") if dry_run else ("", "deleted")
    output.data(printable(f"{text}{file.id} {file.path}"), event=event, id=file.id, name=file.path)
    return DONE


def _note_trash(output: Output) -> None:
    if output.for_people:
        output.once("lading: moved to the trash; `lading trash restore` brings files back.")


async def _delete_directory(
    client: Client, output: Output, directory: str, dry_run: bool, permanent: bool
) -> int:
    try:
        if dry_run:
            listed = client.list(directory=directory, recursive=True)
            number = len([each async for each in listed])
        else:
            number = await client.delete_directory(directory, trash=not permanent)
    except LadingError as error:
        return output.failed(error, None, _too_old(error))
    output.data(
        f"would delete {counted(number, 'file')}"
        if dry_run
        else f"{counted(number, 'file')} deleted",
        event="would-delete" if dry_run else "deleted",
        directory=directory,
        files=number,
    )
    return DONE


def _failed(output: Output, error: LadingError, what: str) -> int:
    advice = NOT_AN_ID if isinstance(error, InvalidArgument) else None
    return output.failed(error, what, _too_old(error) or advice)


def _too_old(error: LadingError) -> str | None:
    """Advice where the server knows no trash; nothing was deleted then."""
    if "query parameter `trash`" not in str(error):
        return None
    return "This server is too old to have a trash; --permanent deletes for good."
