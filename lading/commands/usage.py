"""`lading usage`: how much a user has stored and may store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lading.commands.common import DONE, Json, Server, Token, parsed, run
from lading.commands.output import Output, size_text
from lading.protocol.units import parse_size

if TYPE_CHECKING:
    from lading.client.client import Client

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
    server: Server = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Print how much a user has stored and may store.

    RESERVED is held for unfinished uploads. Only an admin may see and set other users' quotas.
    """
    size = None if quota == NO_LIMIT else parsed("--quota", parse_size, quota, f", or {NO_LIMIT}")

    async def work(client: Client, output: Output) -> int:
        found = await client.usage(user)
        if quota is not None:
            found = await client.set_quota(found.user_id, size)
        if output.as_json:
            output.data("", **found.raw)
        else:
            sizes = tuple(_text(output, each) for each in (found.used, found.reserved, found.quota))
            output.table(("USER", "USED", "RESERVED", "QUOTA"), [(found.user_id, *sizes)])
        return DONE

    run(context, server, token, as_json, work)


def _text(output: Output, size: int | None) -> str:
    if size is None:
        return NO_LIMIT
    return size_text(size) if output.for_people else str(size)
