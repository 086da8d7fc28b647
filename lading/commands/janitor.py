"""`lading janitor`: sweep and verify by hand. It works on the database, not through a server."""

from __future__ import annotations

from typing import Annotated

import typer

from lading.commands.common import Json

janitor = typer.Typer(help="Sweep up dead uploads, or audit what is stored.", no_args_is_help=True)


@janitor.command()
def sweep(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Expire, empty and purge what is due, and set the accounts right."""
    # Only here, so that the client runs where the server's libraries are not installed.
    from lading.server.process.janitor import sweep as run

    raise typer.Exit(run(dry_run=dry_run, as_json=as_json))


@janitor.command()
def verify(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Look at the index only, read no bytes.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Audit every byte, piece and account; exits 1 when something is wrong."""
    from lading.server.process.janitor import verify as run

    raise typer.Exit(run(dry_run=dry_run, as_json=as_json))
