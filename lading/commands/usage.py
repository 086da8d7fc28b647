"""`lading usage`: how much a user has stored and may store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from lading.commands.common import DONE, Json, Profile, Server, Token, User, parsed, run
from lading.commands.output import Output, size_text
from lading.protocol.units import parse_size

if TYPE_CHECKING:
    from lading.client.client import Client
    from lading.client.types import Usage

NO_LIMIT = "none"


def usage(
    context: typer.Context,
    *,
    user: Annotated[
        str | None, typer.Argument(help="The user. Default: you.", show_default=False)
    ] = None,
    quota: Annotated[
        str | None,
        typer.Option(
            "--quota", metavar="SIZE", help="Set the limit, such as 10GB, or none for no limit."
        ),
    ] = None,
    for_user: User = None,
    server: Server = None,
    profile: Profile = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Print how much a user has stored and may store.

    RESERVED is held for unfinished uploads. Only an admin may see and set other users' quotas.
    """
    if user is not None and for_user is not None:
        raise typer.BadParameter("Name the user once: as an argument or with --user.")
    size = None if quota == NO_LIMIT else parsed("--quota", parse_size, quota, f", or {NO_LIMIT}")

    async def work(client: Client, output: Output) -> int:
        found = await client.usage(user or for_user)
        if quota is not None:
            found = await client.set_quota(found.user_id, size)
        show(output, [found])
        return DONE

    run(context, server, token, as_json, work, profile=profile)


def show(output: Output, found: Sequence[Usage]) -> None:
    """The usage of users as a table, or one JSON object per line."""
    if output.as_json:
        for each in found:
            output.data("", **each.raw)
    elif found:
        columns: tuple[str, ...] = ("USER", "USED", "RESERVED", "QUOTA")
        rows = [_row(output, each) for each in found]
        if any(each.account for each in found):
            columns = (*columns, "ACCOUNT")
            rows = [(*row, _state(each)) for row, each in zip(rows, found, strict=True)]
        output.table(columns, rows)


def _state(found: Usage) -> str:
    if found.account is None:
        return "none"
    return "disabled" if found.account.disabled else "active"


def _row(output: Output, found: Usage) -> tuple[str, ...]:
    sizes = (found.used, found.reserved, found.quota)
    return found.user_id, *(_text(output, each) for each in sizes)


def _text(output: Output, size: int | None) -> str:
    if size is None:
        return NO_LIMIT
    return size_text(size) if output.for_people else str(size)
