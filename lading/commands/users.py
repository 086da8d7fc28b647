"""`lading users`: the users that have an account, and their deletion; for admins."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from lading.commands.common import (
    DONE,
    FAILED,
    Json,
    Server,
    Token,
    confirmed,
    counted,
    run,
)
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
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    server: Server = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Delete a user with all files, unfinished uploads, tags and grants.

    It asks first; without a terminal --yes is needed. The user's tokens stay valid.
    """
    if not yes and not sys.stdin.isatty():
        raise typer.BadParameter("There is no terminal to ask at; say --yes.", param_hint="--yes")
    if not yes and not confirmed(f"Delete {printable(name)} with all files?"):
        raise typer.Abort

    async def work(client: Client, output: Output) -> int:
        found = await client.delete_user(name)
        counts = (
            (found.files, "file"),
            (found.uploads, "unfinished upload"),
            (found.tags, "tag"),
            (found.grants, "grant"),
        )
        if not any(number for number, _ in counts):
            output.note(f"lading: {printable(name)} has nothing here.")
            return FAILED
        deleted = ", ".join(counted(number, noun) for number, noun in counts)
        output.data(
            printable(f"{name}: {deleted} deleted"),
            event="deleted",
            **found.raw,
        )
        return DONE

    run(context, server, token, as_json, work)
