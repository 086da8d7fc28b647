"""`lading users`: the users that have an account, and their deletion; for admins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lading.commands.common import DONE, Json, Server, Token, confirmed, run
from lading.commands.output import Output, printable
from lading.commands.usage import show

if TYPE_CHECKING:
    from lading.client.client import Client

users = typer.Typer(help="List users, or delete one. Only an admin may.")


@users.callback(invoke_without_command=True)
def listing(
    context: typer.Context,
    server: Server = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """List the users that have an account, with what they have stored and may store."""
    if context.invoked_subcommand is not None:
        return

    async def work(client: Client, output: Output) -> int:
        show(output, [each async for each in client.users()])
        return DONE

    run(context, server, token, as_json, work)


@users.command()
def rm(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The user.")],
    server: Server = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Delete a user with all files, unfinished uploads, tags and grants.

    On a terminal it asks first. The user's tokens stay valid.
    """
    if not confirmed(f"Delete {printable(name)} with all files?"):
        raise typer.Abort

    async def work(client: Client, output: Output) -> int:
        found = await client.delete_user(name)
        output.data(
            printable(
                f"{name}: {found.files} files, {found.uploads} unfinished uploads, {found.tags} "
                f"tags, {found.grants} grants deleted"
            ),
            event="deleted",
            **found.raw,
        )
        return DONE

    run(context, server, token, as_json, work)
