"""`lading login` and `lading logout`: servers whose address and token are remembered."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from lading.client import profiles
from lading.client.address import parse
from lading.commands.common import DONE, Common, Json, Profile, Token, run
from lading.commands.output import Output, printable
from lading.protocol.errors import LadingError

if TYPE_CHECKING:
    from lading.client.client import Client


def login(
    context: typer.Context,
    *,
    url: Annotated[
        str | None,
        typer.Argument(metavar="URL", help="The server's address. It is asked for if not given."),
    ] = None,
    from_input: Annotated[
        bool, typer.Option("--token-stdin", help="Read the token from standard input.")
    ] = False,
    token: Token = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Remember a server's address and token, so that other commands need neither.

    With --profile, or LADING_PROFILE, it is remembered under a name of its own. Environment
    variables and options take precedence over what is remembered. The file can be read by you only.
    """
    common: Common = context.obj or Common()
    name = profile or common.profile or os.environ.get("LADING_PROFILE") or profiles.DEFAULT
    given = url or common.server or _asked("Address of the server", "URL")
    token = token or common.token
    try:
        found = parse(given, token)
    except LadingError as error:
        raise typer.Exit(Output(as_json=as_json or common.json).failed(error)) from None
    token = found.token
    if from_input:
        token = sys.stdin.readline().strip()
    elif token is None:
        token = _asked("Token", "--token", hidden=True)

    async def work(client: Client, output: Output) -> int:
        usage = await client.usage()
        path = profiles.save(name, profiles.Profile(found.url, token), os.environ)
        output.data(
            printable(f"{name}: {found.url} as {usage.user_id}"),
            event="logged-in",
            profile=name,
            url=found.url,
            user_id=usage.user_id,
        )
        output.note(f"lading: saved in {printable(str(path))}.")
        return DONE

    run(context, found.url, token, as_json, work)


def _asked(question: str, option: str, *, hidden: bool = False) -> str:
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"There is no terminal to ask at; give {option}.")
    answer: str = typer.prompt(question, hide_input=hidden, err=True)
    return answer.strip()


def logout(context: typer.Context, *, profile: Profile = None, as_json: Json = False) -> None:
    """Forget a server that `lading login` remembered. Its token stays valid."""
    common: Common = context.obj or Common()
    output = Output(as_json=as_json or common.json)
    name = profile or common.profile or os.environ.get("LADING_PROFILE") or profiles.DEFAULT
    try:
        gone = profiles.forget(name, os.environ)
    except LadingError as error:
        raise typer.Exit(output.failed(error)) from None
    output.data(
        printable(f"{name}: {gone.url} forgotten"), event="logged-out", profile=name, url=gone.url
    )
