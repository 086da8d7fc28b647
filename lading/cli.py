"""The `lading` command. Its subcommands are in `commands/`.

Source: page 7 of the design, "Command line".
"""

from __future__ import annotations

from typing import Annotated

import typer

from lading.commands.archive import export, import_
from lading.commands.audit import audit
from lading.commands.check import check
from lading.commands.common import Common, Json, Profile, Server, Token
from lading.commands.doctor import doctor
from lading.commands.du import du
from lading.commands.get import get
from lading.commands.images import images
from lading.commands.janitor import janitor
from lading.commands.login import login, logout
from lading.commands.ls import ls
from lading.commands.move import move
from lading.commands.mv import mv
from lading.commands.put import put
from lading.commands.rm import rm
from lading.commands.serve import serve
from lading.commands.share import links, request, share
from lading.commands.status import status
from lading.commands.sync import sync
from lading.commands.tag import tag
from lading.commands.token import token as token_command
from lading.commands.trash import trash
from lading.commands.usage import usage
from lading.commands.users import users
from lading.commands.webhooks import webhooks
from lading.version import VERSION

app = typer.Typer(
    name="lading",
    help="Lading: a media server with resumable uploads.",
    epilog="Exit codes: 0 done, 1 failed, 2 usage, 3 refused, 4 interrupted and resumable.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
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
    profile: Profile = None,
    as_json: Json = False,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", "-v", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Options that apply to every command."""
    context.obj = Common(server, token, profile, as_json)


COMMANDS = (
    serve, check, doctor, login, logout, put, get, sync, ls, du, mv, tag, rm, status, token_command,
    usage, move, export, audit, share, request,
)  # fmt: skip

for command in COMMANDS:
    app.command()(command)

app.command("import")(import_)

app.add_typer(images, name="images")
app.add_typer(janitor, name="janitor")
app.add_typer(links, name="links")
app.add_typer(trash, name="trash")
app.add_typer(users, name="users")
app.add_typer(webhooks, name="webhooks")


def main() -> None:
    """The entry point of the `lading` command."""
    app()
