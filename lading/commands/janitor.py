"""`lading janitor`: sweep and verify by hand, on the database itself, without a server."""

from __future__ import annotations

from typing import Annotated

import typer

from lading.commands.common import Json

janitor = typer.Typer(
    help="Delete expired uploads, or verify what is stored.", no_args_is_help=True
)


@janitor.command()
def sweep(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print what would be done.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Expire and delete what is due, and correct the counters of used space."""
    # Imported here: the client runs where the server's libraries are not installed.
    from lading.server.process.janitor import sweep as run

    raise typer.Exit(run(dry_run=dry_run, as_json=as_json))


@janitor.command()
def verify(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the index only; read no bytes.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Verify every byte, piece and counter. Exits with 1 when something is wrong."""
    from lading.server.process.janitor import verify as run

    raise typer.Exit(run(dry_run=dry_run, as_json=as_json))
