"""`lading serve`: start a server."""

from __future__ import annotations

import os
from typing import Annotated

import typer


def serve(
    host: Annotated[
        str | None, typer.Option("--host", help="The address to listen on. Default: LADING_HOST.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", help="The port, 0 for any free one. Default: LADING_PORT."),
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", help="The data directory. Default: LADING_DATA.")
    ] = None,
) -> None:
    """Start a server. All other settings are LADING_ environment variables."""
    for variable, value in (("HOST", host), ("PORT", port), ("DATA", data)):
        if value is not None:
            os.environ[f"LADING_{variable}"] = str(value)
    # Imported here: the client runs where the server's libraries are not installed.
    from lading.server.process.serve import serve as run

    raise typer.Exit(run())
