"""The `lading` command. Its subcommands are in `commands/`.

Source: page 7 of the design, "Command line".
"""

from __future__ import annotations

from typing import Annotated

import typer

from lading.commands.common import Common, Json, Server, Token
from lading.commands.get import get
from lading.commands.images import images
from lading.commands.janitor import janitor
from lading.commands.ls import ls
from lading.commands.move import move
from lading.commands.put import put
from lading.commands.rm import rm
from lading.commands.serve import serve
from lading.commands.status import status
from lading.commands.token import token as token_command
from lading.commands.usage import usage
from lading.commands.users import users
from lading.version import VERSION

app = typer.Typer(
    name="lading",
    help="Lading: a media server with resumable uploads.",
    epilog="Exit codes: 0 done, 1 failed, 2 usage, 3 refused, 4 interrupted and resumable.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(requested: bool) -> None:
    if requested:
        print(VERSION)
        raise typer.Exit


@app.callback()
def before(
    context: typer.Context,
    server: Server = None,
    token: Token = None,
    as_json: Json = False,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Options that apply to every command."""
    context.obj = Common(server, token, as_json)


for command in (serve, put, get, ls, rm, status, token_command, usage, move):
    app.command()(command)

app.add_typer(images, name="images")
app.add_typer(janitor, name="janitor")
app.add_typer(users, name="users")


def main() -> None:
    """The entry point of the `lading` command."""
    app()
