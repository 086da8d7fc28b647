"""`lading share` and `lading request`: links for people, to files or to send files.

`lading links`: those that exist.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from lading.commands.common import (
    DONE,
    Json,
    Profile,
    Server,
    Token,
    User,
    has_files,
    look_up,
    parsed,
    run,
    worst,
)
from lading.commands.output import Output, printable, size_text
from lading.protocol.errors import InvalidArgument, LadingError
from lading.protocol.units import parse_duration, parse_size

if TYPE_CHECKING:
    from lading.client.client import Client
    from lading.client.types import Grant, IssuedGrant

WEEK = "7d"


def share(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(metavar="FILE|DIR", help="An id, a name or path of a file; or a directory."),
    ],
    *,
    expires: Annotated[
        str, typer.Option("--expires", metavar="TIME", help="How long the link works.")
    ] = WEEK,
    password: Annotated[
        bool,
        typer.Option("--password", help="Ask for a password; from a pipe, its first line."),
    ] = False,
    downloads: Annotated[
        int | None,
        typer.Option("--downloads", metavar="N", min=1, help="So many visitors may download."),
    ] = None,
    user: User = None,
    server: Server = None,
    profile: Profile = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Print a link with which everyone can see and download a file, or a directory."""
    seconds = parsed("--expires", parse_duration, expires)
    assert seconds is not None
    secret = _asked() if password else None

    async def work(client: Client, output: Output) -> int:
        file_id, directory = await _target(client, name)
        link = await client.share(
            file_id,
            directory=directory,
            expires_in=seconds,
            uses=downloads,
            password=secret,
        )
        _print(output, link)
        return DONE

    run(context, server, token, as_json, work, profile=profile, user=user)


def _asked() -> str:
    """The password: from the terminal, twice, or the first line of what is piped in."""
    if sys.stdin.isatty():
        secret: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return secret
    secret = sys.stdin.readline().rstrip("\r\n")
    if not secret:
        raise typer.BadParameter("The password is empty.", param_hint="--password")
    return secret


async def _target(client: Client, name: str) -> tuple[str | None, str | None]:
    """The id of the file with this name, else the directory; raises LadingError."""
    directory = name.strip("/")
    if name.endswith("/") and directory:
        return None, directory
    try:
        return (await look_up(client, name)).id, None
    except InvalidArgument:
        if not directory or not await has_files(client, directory):
            raise
    return None, directory


def request(
    context: typer.Context,
    directory: Annotated[
        str, typer.Argument(metavar="DIR", help="The directory for what is sent.")
    ],
    *,
    max_size: Annotated[
        str | None,
        typer.Option("--max-size", metavar="SIZE", help="All files together, such as 50GB."),
    ] = None,
    mime_type: Annotated[
        list[str] | None,
        typer.Option("--type", metavar="TYPE", help="Only this type, such as image/*; repeatable."),
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--kind", help="A kind of files; its limits hold for each.")
    ] = None,
    files: Annotated[
        int | None, typer.Option("--files", metavar="N", min=1, help="So many files may be sent.")
    ] = None,
    expires: Annotated[
        str, typer.Option("--expires", metavar="TIME", help="How long the link works.")
    ] = WEEK,
    user: User = None,
    server: Server = None,
    profile: Profile = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Print a link with which people without an account send you files."""
    seconds = parsed("--expires", parse_duration, expires)
    most = parsed("--max-size", parse_size, max_size)
    assert seconds is not None

    async def work(client: Client, output: Output) -> int:
        link = await client.request(
            directory.strip("/"),
            max_size=most,
            mime_types=mime_type or (),
            kind=kind,
            expires_in=seconds,
            uses=files,
        )
        _print(output, link)
        return DONE

    run(context, server, token, as_json, work, profile=profile, user=user)


def _print(output: Output, link: Grant) -> None:
    output.data(link.url, id=link.id, url=link.url, expires_at=link.expires_at.isoformat())


links = typer.Typer(help="List the links that you share or ask with, or end some.")


@links.callback(invoke_without_command=True)
def listing(
    context: typer.Context,
    *,
    user: User = None,
    server: Server = None,
    profile: Profile = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """List the links that you share or ask with, or end some."""
    if context.invoked_subcommand is None:
        _list(context, user=user, server=server, profile=profile, token=token, as_json=as_json)


@links.command()
def ls(
    context: typer.Context,
    *,
    user: User = None,
    server: Server = None,
    profile: Profile = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """List links: what each leads to, who made it, until when it works, and its use."""
    _list(context, user=user, server=server, profile=profile, token=token, as_json=as_json)


def _list(
    context: typer.Context,
    *,
    user: str | None,
    server: str | None,
    profile: str | None,
    token: str | None,
    as_json: bool,
) -> None:
    async def work(client: Client, output: Output) -> int:
        found = [each async for each in client.links()]
        if output.as_json:
            for each in found:
                output.data("", **each.raw)
        elif found:
            heads = ("ID", "FOR", "PLACE", "BY", "EXPIRES", "USED", "PASSWORD")
            output.table(heads, [_row(each) for each in found])
        return DONE

    run(context, server, token, as_json, work, profile=profile, user=user)


def _row(link: IssuedGrant) -> tuple[str, ...]:
    raw = link.raw
    to = link.file_id or f"{raw.get('directory')}/"
    used = f"{link.used}" if link.uses is None else f"{link.used} of {link.uses}"
    if link.action == "request":
        used += f", {size_text(int(raw.get('taken', 0)))}"
        if raw.get("max_size") is not None:
            used += f" of {size_text(raw['max_size'])}"
    until = f"{link.expires_at:%Y-%m-%d %H:%M}"
    has_password = "yes" if raw.get("password") else "no"
    by = str(raw.get("minter", ""))
    return link.id, link.action, printable(to), printable(by), until, used, has_password


@links.command()
def rm(
    context: typer.Context,
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="The links.")],
    *,
    server: Server = None,
    profile: Profile = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """End links at once."""

    async def work(client: Client, output: Output) -> int:
        codes = []
        for each in ids:
            try:
                await client.revoke(each)
            except LadingError as error:
                codes.append(output.failed(error, each))
            else:
                output.data(each, event="revoked", id=each)
                codes.append(DONE)
        return worst(codes)

    run(context, server, token, as_json, work, profile=profile)
