"""`lading audit`: who did what; for admins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lading.commands.common import DONE, Json, Profile, Server, Token, run
from lading.commands.output import Output

if TYPE_CHECKING:
    from lading.client.client import Client

COLUMNS = ("TIME", "ACT", "USER", "OWNER", "FILE", "NAME", "GRANT", "DETAIL")
_FIELDS = ("at", "act", "user_id", "owner", "file_id", "name", "grant_id", "detail")


def audit(
    context: typer.Context,
    *,
    act: Annotated[
        str | None, typer.Option("--act", help="Only this, such as deleted or signed-in.")
    ] = None,
    by: Annotated[
        str | None, typer.Option("--by", metavar="NAME", help="Only what this user did.")
    ] = None,
    owner: Annotated[
        str | None, typer.Option("--owner", metavar="NAME", help="Only what was done to theirs.")
    ] = None,
    file: Annotated[
        str | None, typer.Option("--file", metavar="ID", help="Only what was done to this file.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="The most to print.")] = 100,
    server: Server = None,
    profile: Profile = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """List who did what, the newest first. Only an admin may."""

    async def work(client: Client, output: Output) -> int:
        found = list[Mapping[str, Any]]()
        async for each in client.audit(act=act, user_id=by, owner=owner, file_id=file):
            found.append(each)
            if len(found) >= limit:
                break
        if as_json or output.as_json:
            for each in found:
                output.data("", **each)
        elif found:
            output.table(COLUMNS, [_row(each) for each in found])
        return DONE

    run(context, server, token, as_json, work, profile=profile)


def _row(entry: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(entry[name] or "" for name in _FIELDS)
