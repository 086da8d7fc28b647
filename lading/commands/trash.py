"""`lading trash`: the files that `lading rm` deleted, until the server deletes them for good."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
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
    run,
    worst,
)
from lading.commands.ls import show
from lading.commands.output import Output, printable
from lading.protocol.errors import InvalidArgument, LadingError

if TYPE_CHECKING:
    from lading.client.client import Client
    from lading.client.types import Manifest

trash = typer.Typer(help="List deleted files, bring them back, or delete them for good.")

Files = Annotated[
    list[str],
    typer.Argument(metavar="FILE", help="Ids, names or paths of files in the trash."),
]


@trash.callback(invoke_without_command=True)
def bare(
    context: typer.Context,
    *,
    user: User = None,
    server: Server = None,
    profile: Profile = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """List the files in the trash; the same as `ls`."""
    if context.invoked_subcommand is None:
        ls(context, user=user, server=server, profile=profile, token=token, as_json=as_json)


@trash.command()
def ls(
    context: typer.Context,
    *,
    user: User = None,
    server: Server = None,
    profile: Profile = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """List the files in the trash, the newest first."""

    async def work(client: Client, output: Output) -> int:
        show(output, [each async for each in client.trashed()])
        return DONE

    run(context, server, token, as_json, work, profile=profile, user=user)


@trash.command()
def restore(
    context: typer.Context,
    *,
    files: Files,
    dry_run: DryRun = False,
    user: User = None,
    server: Server = None,
    profile: Profile = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Bring files back from the trash, as they were."""

    async def work(client: Client, output: Output) -> int:
        return await _each(client, output, files, "restore", None if dry_run else client.restore)

    run(context, server, token, as_json, work, profile=profile, user=user)


@trash.command()
def rm(
    context: typer.Context,
    *,
    files: Files,
    dry_run: DryRun = False,
    yes: Yes = False,
    user: User = None,
    server: Server = None,
    profile: Profile = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Delete files in the trash for good. On a terminal it asks first."""
    if not dry_run and not yes and not confirmed(f"Delete {', '.join(files)} for good?"):
        raise typer.Abort

    async def work(client: Client, output: Output) -> int:
        return await _each(client, output, files, "delete", None if dry_run else client.delete)

    run(context, server, token, as_json, work, profile=profile, user=user)


@trash.command()
def empty(
    context: typer.Context,
    *,
    dry_run: DryRun = False,
    yes: Yes = False,
    user: User = None,
    server: Server = None,
    profile: Profile = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Delete all files in the trash for good. On a terminal it asks first."""
    if not dry_run and not yes and not confirmed("Delete all files in the trash for good?"):
        raise typer.Abort

    async def work(client: Client, output: Output) -> int:
        if dry_run:
            number = len([each async for each in client.trashed()])
        else:
            number = await client.empty_trash()
        text = f"{counted(number, 'file')} deleted"
        output.data(
            f"would delete {counted(number, 'file')}" if dry_run else text,
            event="would-delete" if dry_run else "deleted",
            files=number,
        )
        return DONE

    run(context, server, token, as_json, work, profile=profile, user=user)


async def _each(
    client: Client,
    output: Output,
    files: list[str],
    verb: str,
    act: Callable[[str], Awaitable[object]] | None,
) -> int:
    """Find each file in the trash and act on its id; one that fails does not stop the others.

    Without `act` nothing is done, and it is said what would be.
    """
    there, codes = [each async for each in client.trashed()], [DONE]
    for name in files:
        try:
            file = _find(there, name)
            if act is not None:
                await act(file.id)
        except LadingError as error:
            codes.append(output.failed(error, name, "`lading trash` lists the files in it."))
            continue
        text, event = ("", f"{verb}d") if act else (f"would {verb} ", f"would-{verb}")
        output.data(
            printable(f"{text}{file.id} {file.path}"), event=event, id=file.id, name=file.path
        )
    return worst(codes)


def _find(there: list[Manifest], name: str) -> Manifest:
    """The file with an id, or the only one with a path or a name. Raises InvalidArgument."""
    wanted = name.strip("/")
    for found in (
        [each for each in there if each.id == wanted],
        [each for each in there if each.path == wanted],
        [each for each in there if each.name == wanted],
    ):
        if len(found) > 1:
            ids = ", ".join(each.id for each in found[:5])
            raise InvalidArgument(f"{len(found)} files in the trash are called {name}: {ids}.")
        if found:
            return found[0]
    raise InvalidArgument(f"There is no file {name} in the trash.")
