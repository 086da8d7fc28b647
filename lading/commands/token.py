"""`lading token`: create a grant, with which someone else may upload or download."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lading.commands.common import DONE, Json, Profile, Server, Token, parsed, run
from lading.commands.output import Output, printable
from lading.protocol.units import parse_duration, parse_size

if TYPE_CHECKING:
    from lading.client.client import Client


def token(
    context: typer.Context,
    *,
    upload: Annotated[bool, typer.Option("--upload", help="The token is for uploads.")] = False,
    download: Annotated[
        str | None,
        typer.Option("--download", metavar="ID", help="The token is for downloading this file."),
    ] = None,
    expires: Annotated[
        str,
        typer.Option("--expires", metavar="TIME", help="How long it is valid, such as 90s or 24h."),
    ] = "1h",
    user: Annotated[
        str | None,
        typer.Option(
            "--user", help="The owner of the uploads, or the owner that the file must have."
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Store the upload under this name.")
    ] = None,
    directory: Annotated[
        str | None, typer.Option("--directory", help="Store the upload in this directory.")
    ] = None,
    size: Annotated[
        str | None, typer.Option("--size", metavar="SIZE", help="The exact size, such as 4MiB.")
    ] = None,
    max_size: Annotated[
        str | None, typer.Option("--max-size", metavar="SIZE", help="The largest size allowed.")
    ] = None,
    sha256: Annotated[
        str | None,
        typer.Option("--sha256", metavar="DIGEST", help="The SHA-256 that the file must have."),
    ] = None,
    mime_type: Annotated[
        list[str] | None,
        typer.Option(
            "--mime-type", help="An allowed media type, such as image/*. Repeat it for several."
        ),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option("--kind", help="The kind of the files, one of those that the server knows."),
    ] = None,
    uses: Annotated[
        int | None, typer.Option("--uses", min=1, help="How many uploads are allowed. Default: 1.")
    ] = None,
    quality: Annotated[
        int | None,
        typer.Option("--quality", min=0, max=6, help="For a download: only this quality."),
    ] = None,
    server: Server = None,
    profile: Profile = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Create a token for uploads or for one download. Its bearer needs no other credential."""
    bounds: dict[str, Any] = {
        "name": name,
        "directory": directory,
        "size": parsed("--size", parse_size, size),
        "max_size": parsed("--max-size", parse_size, max_size),
        "sha256": sha256,
        "mime_types": mime_type,
        "kind": kind,
        "uses": uses,
    }
    given = {key: value for key, value in bounds.items() if value not in (None, [])}
    _check(upload, download, bool(given), quality)
    given |= {"user_id": user, "expires_in": parsed("--expires", parse_duration, expires)}

    async def work(client: Client, output: Output) -> int:
        grant = await client.grant(download, quality=quality, **given)
        output.data(printable(f"{grant.token} {grant.url}"), event="minted", **grant.raw)
        if output.for_people:
            output.note(f"lading: valid until {grant.raw['expires_at']}.")
        return DONE

    run(context, server, token, as_json, work, profile=profile)


def _check(upload: bool, download: str | None, bounded: bool, quality: int | None) -> None:
    if upload == (download is not None):
        raise typer.BadParameter("Use --upload or --download ID to say what the token is for.")
    if download is not None and bounded:
        raise typer.BadParameter(
            "These bounds can be used with --upload only; --download allows --quality."
        )
    if upload and quality is not None:
        raise typer.BadParameter("--quality can be used with --download only.")
