"""`lading tag`: the tags of files, and all tags with the number of files that have each."""

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
    look_up,
    run,
    worst,
)
from lading.commands.output import Output, printable
from lading.protocol.errors import LadingError

if TYPE_CHECKING:
    from lading.client.client import Client


def tag(
    context: typer.Context,
    *,
    files: Annotated[
        list[str] | None, typer.Argument(metavar="FILE", help="Ids, names or paths of files.")
    ] = None,
    add: Annotated[
        list[str] | None, typer.Option("--add", "-a", metavar="TAG", help="A tag to add.")
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", metavar="TAG", help="A tag to remove.")
    ] = None,
    dry_run: DryRun = False,
    user: User = None,
    server: Server = None,
    profile: Profile = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Add tags to files, remove some, and print the tags they have.

    Without a FILE, list all tags with the number of files that have each.
    """
    if not files and (add or remove):
        raise typer.BadParameter("Name the files to tag.")

    async def work(client: Client, output: Output) -> int:
        if not files:
            await _list(client, output)
            return DONE
        return worst(
            [
                await _one(
                    client, output, each, add=add or [], remove=remove or [], dry_run=dry_run
                )
                for each in files
            ]
        )

    run(context, server, token, as_json, work, profile=profile, user=user)


async def _list(client: Client, output: Output) -> None:
    found = [each async for each in client.tags()]
    if output.as_json:
        for each in found:
            output.data("", name=each.name, files=each.files)
    elif found:
        output.table(("FILES", "NAME"), [(str(each.files), each.name) for each in found])


async def _one(
    client: Client, output: Output, name: str, *, add: list[str], remove: list[str], dry_run: bool
) -> int:
    try:
        file = await look_up(client, name)
        if dry_run:
            left = [each for each in file.tags if each not in remove]
            tags = [*dict.fromkeys([*left, *add])]
        elif add or remove:
            tags = [*(await client.tag(file.id, add=add, remove=remove)).tags]
        else:
            tags = [*file.tags]
    except LadingError as error:
        return output.failed(error, name)
    text = printable(f"{file.id} {file.path}: {', '.join(tags) or 'no tags'}")
    output.data(
        f"would be {text}" if dry_run else text,
        event="would-tag" if dry_run else "tags",
        id=file.id,
        name=file.path,
        tags=tags,
    )
    return DONE
