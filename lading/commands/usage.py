"""`lading usage`: what a user has stored and may store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lading.client.output import Output, size_text
from lading.commands.common import DONE, Json, Server, Token, parsed, run
from lading.protocol.units import parse_size

if TYPE_CHECKING:
    from lading.client.client import Client

NO_LIMIT = "none"


def usage(
    context: typer.Context,
    *,
    user: Annotated[
        str | None, typer.Argument(help="Whose; your own, if not given.", show_default=False)
    ] = None,
    quota: Annotated[
        str | None,
        typer.Option("--quota", metavar="SIZE", help="Set the limit, such as 10GB, or none."),
    ] = None,
    server: Server = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Tell what a user has stored and may store.

    RESERVED is for uploads under way. Only an admin sees and sets the quotas of others.
    """
    size = None if quota == NO_LIMIT else parsed("--quota", parse_size, quota, f", or {NO_LIMIT}")

    async def work(client: Client, output: Output) -> int:
        found = await client.usage(user)
        if quota is not None:
            found = await client.set_quota(found["user_id"], size)
        if output.as_json:
            output.data("", **found)
        else:
            sizes = tuple(_text(output, found[key]) for key in ("used", "reserved", "quota"))
            output.table(("USER", "USED", "RESERVED", "QUOTA"), [(found["user_id"], *sizes)])
        return DONE

    run(context, server, token, as_json, work)


def _text(output: Output, size: int | None) -> str:
    if size is None:
        return NO_LIMIT
    return size_text(size) if output.for_eyes else str(size)
