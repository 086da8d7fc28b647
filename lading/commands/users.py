"""`lading users`: the users and their accounts; for admins.

A password comes from a terminal, or from standard input; never from an argument, which others see.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from lading.commands.common import (
    DONE,
    FAILED,
    Json,
    Profile,
    Server,
    Token,
    confirmed,
    counted,
    parsed,
    run,
)
from lading.commands.output import Output, printable
from lading.commands.usage import show
from lading.protocol.units import parse_duration, parse_size

if TYPE_CHECKING:
    from lading.client.client import Client

users = typer.Typer(help="List users, and manage their accounts. Only an admin may.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The user.")]
FromInput = Annotated[
    bool,
    typer.Option("--password-stdin", help="Read the password from standard input: its first line."),
]


@users.callback(invoke_without_command=True)
def bare(
    context: typer.Context,
    server: Server = None,
    profile: Profile = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """List the users, with what they have stored and may store; the same as `list`."""
    if context.invoked_subcommand is None:
        listing(context, server, profile, token, as_json)


@users.command("list")
def listing(
    context: typer.Context,
    server: Server = None,
    profile: Profile = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """List the users, with what they have stored and may store.

    Where there are accounts, ACCOUNT is `active`, `disabled` or none.
    """

    async def work(client: Client, output: Output) -> int:
        show(output, [each async for each in client.users()])
        return DONE

    run(context, server, token, as_json, work, profile=profile)


@users.command()
def add(
    context: typer.Context,
    name: Name,
    *,
    password_stdin: FromInput = False,
    admin: Annotated[bool, typer.Option("--admin", help="It may act for every user.")] = False,
    grant: Annotated[
        bool, typer.Option("--grant", help="It may create grants for other users.")
    ] = False,
    quota: Annotated[
        str | None, typer.Option("--quota", metavar="SIZE", help="The limit, such as 10GB.")
    ] = None,
    server: Server = None,
    profile: Profile = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Make an account. It asks for the password twice."""
    limit = parsed("--quota", parse_size, quota)
    password = _password(password_stdin)
    scopes = [scope for scope, given in (("admin", admin), ("grant", grant)) if given]

    async def work(client: Client, output: Output) -> int:
        made = await client.create_user(name, password, scopes=scopes, quota=limit)
        output.data(printable(f"{made.user_id}: added"), event="added", **made.raw)
        return DONE

    run(context, server, token, as_json, work, profile=profile)


@users.command()
def invite(
    context: typer.Context,
    *,
    uses: Annotated[
        int, typer.Option("--uses", min=1, help="How many accounts it is good for.")
    ] = 1,
    expires: Annotated[
        str, typer.Option("--expires", metavar="TIME", help="How long it is valid, such as 24h.")
    ] = "7d",
    server: Server = None,
    profile: Profile = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Print an address at which somebody can make an account."""
    seconds = parsed("--expires", parse_duration, expires)

    async def work(client: Client, output: Output) -> int:
        grant = await client.invite(uses, seconds or 0)
        output.data(printable(grant.url), event="invited", **grant.raw)
        if output.for_people:
            output.note(f"lading: valid until {grant.raw['expires_at']}.")
        return DONE

    run(context, server, token, as_json, work, profile=profile)


@users.command()
def passwd(
    context: typer.Context,
    name: Name,
    *,
    password_stdin: FromInput = False,
    server: Server = None,
    profile: Profile = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Set another password. It asks twice. All sessions of the account end."""
    password = _password(password_stdin)

    async def work(client: Client, output: Output) -> int:
        changed = await client.change_user(name, password=password)
        output.data(printable(f"{name}: password set"), event="changed", **changed.raw)
        return DONE

    run(context, server, token, as_json, work, profile=profile)


@users.command()
def disable(
    context: typer.Context,
    name: Name,
    *,
    server: Server = None,
    profile: Profile = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Let nobody sign in to an account; its sessions end, its files stay."""
    _switch(context, name, server, token, as_json, profile=profile, disabled=True)


@users.command()
def enable(
    context: typer.Context,
    name: Name,
    *,
    server: Server = None,
    profile: Profile = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Let people sign in again to an account that was disabled."""
    _switch(context, name, server, token, as_json, profile=profile, disabled=False)


def _switch(
    context: typer.Context,
    name: str,
    server: str | None,
    token: str | None,
    as_json: bool,
    *,
    profile: str | None,
    disabled: bool,
) -> None:
    async def work(client: Client, output: Output) -> int:
        changed = await client.change_user(name, disabled=disabled)
        done = "disabled" if disabled else "enabled"
        output.data(printable(f"{name}: {done}"), event=done, **changed.raw)
        return DONE

    run(context, server, token, as_json, work, profile=profile)


def _password(from_input: bool) -> str:
    if from_input:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise typer.BadParameter(
            "There is no terminal to ask at; say --password-stdin.", param_hint="--password-stdin"
        )
    asked: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return asked


@users.command()
def rm(
    context: typer.Context,
    name: Name,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    server: Server = None,
    profile: Profile = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Delete a user with account, files, unfinished uploads, tags and grants.

    It asks first; without a terminal --yes is needed. JSON Web Tokens of the user stay valid.
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
        if not found.account and not any(number for number, _ in counts):
            output.note(f"lading: {printable(name)} has nothing here.")
            return FAILED
        account = ["1 account"] if found.account else []
        deleted = ", ".join([*account, *(counted(number, noun) for number, noun in counts)])
        output.data(
            printable(f"{name}: {deleted} deleted"),
            event="deleted",
            **found.raw,
        )
        return DONE

    run(context, server, token, as_json, work, profile=profile)
