"""`lading check`: try everything that a server with these settings needs."""

from __future__ import annotations

import typer

from lading.commands.common import Common, Json


def check(context: typer.Context, *, as_json: Json = False) -> None:
    """Show every setting with its source, and try what a server with them needs.

    Exits with 1 when something does not work, with 2 when a setting is wrong.
    """
    # Imported here: the client runs where the server's libraries are not installed.
    from lading.server.process.check import check as run

    common: Common = context.obj or Common()
    raise typer.Exit(run(as_json=as_json or common.json))
