"""`lading serve`: start a server. The one place of this package that knows the server."""

from __future__ import annotations

import os
from typing import Annotated

import typer


def serve(
    host: Annotated[
        str | None, typer.Option("--host", help="Where to listen; else LADING_HOST.")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", help="The port, 0 for any; else LADING_PORT.")
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", help="The data directory; else LADING_DATA.")
    ] = None,
) -> None:
    """Start a server. All other settings come from the LADING_ variables of the environment."""
    for variable, value in (("HOST", host), ("PORT", port), ("DATA", data)):
        if value is not None:
            os.environ[f"LADING_{variable}"] = str(value)
    # Only here, so that the client runs where the server's libraries are not installed.
    from lading.server.process.serve import serve as run

    raise typer.Exit(run())
