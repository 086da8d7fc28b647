"""`lading rm`: delete files or unfinished uploads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lading.commands.common import DONE, Json, Server, Token, run, worst
from lading.commands.output import Output
from lading.protocol.errors import LadingError

if TYPE_CHECKING:
    from lading.client.client import Client


def rm(
    context: typer.Context,
    ids: Annotated[
        list[str], typer.Argument(metavar="ID", help="The ids of files or unfinished uploads.")
    ],
    server: Server = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Delete files or unfinished uploads, with their bytes."""

    async def work(client: Client, output: Output) -> int:
        return worst([await _delete(client, output, each) for each in ids])

    run(context, server, token, as_json, work)


async def _delete(client: Client, output: Output, file_id: str) -> int:
    try:
        await client.delete(file_id)
    except LadingError as error:
        return output.failed(error, file_id)
    output.data(file_id, event="deleted", id=file_id)
    return DONE
