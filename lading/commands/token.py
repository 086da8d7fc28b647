"""`lading token`: mint a grant, for someone else to upload or download with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lading.client.output import Output, printable
from lading.commands.common import DONE, Json, Server, Token, parsed, run
from lading.protocol.units import parse_duration, parse_size

if TYPE_CHECKING:
    from lading.client.client import Client


def token(
    context: typer.Context,
    *,
    upload: Annotated[bool, typer.Option("--upload", help="It is for uploading.")] = False,
    download: Annotated[
        str | None, typer.Option("--download", metavar="ID", help="It is for fetching this file.")
    ] = None,
    expires: Annotated[
        str, typer.Option("--expires", metavar="TIME", help="How long it is good, such as 90s.")
    ] = "1h",
    user: Annotated[
        str | None,
        typer.Option("--user", help="Whom uploads will belong to, or whose the file must be."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="The name to store the upload under.")
    ] = None,
    directory: Annotated[
        str | None, typer.Option("--directory", help="The directory to put it in.")
    ] = None,
    size: Annotated[
        str | None, typer.Option("--size", metavar="SIZE", help="Its size, exactly; such as 4MiB.")
    ] = None,
    max_size: Annotated[
        str | None, typer.Option("--max-size", metavar="SIZE", help="Its size at most.")
    ] = None,
    sha256: Annotated[
        str | None, typer.Option("--sha256", metavar="DIGEST", help="Its SHA-256.")
    ] = None,
    mime_type: Annotated[
        list[str] | None,
        typer.Option("--mime-type", help="A type it may have, or image/*; several times."),
    ] = None,
    uses: Annotated[
        int | None, typer.Option("--uses", min=1, help="How many uploads; 1 if not given.")
    ] = None,
    quality: Annotated[
        int | None, typer.Option("--quality", min=0, max=6, help="Of a download: only this one.")
    ] = None,
    server: Server = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Mint a token for one upload or download. Its bearer needs no other credential."""
    bounds: dict[str, Any] = {
        "name": name,
        "directory": directory,
        "size": parsed("--size", parse_size, size),
        "max_size": parsed("--max-size", parse_size, max_size),
        "sha256": sha256,
        "mime_types": mime_type,
        "uses": uses,
    }
    given = {key: value for key, value in bounds.items() if value not in (None, [])}
    _check(upload, download, bool(given), quality)
    given |= {"user_id": user, "expires_in": parsed("--expires", parse_duration, expires)}

    async def work(client: Client, output: Output) -> int:
        minted = await client.grant(download, quality=quality, **given)
        output.data(printable(f"{minted['token']} {minted['url']}"), event="minted", **minted)
        if output.for_eyes:
            output.note(f"lading: good until {minted['expires_at']}.")
        return DONE

    run(context, server, token, as_json, work)


def _check(upload: bool, download: str | None, bounded: bool, quality: int | None) -> None:
    if upload == (download is not None):
        raise typer.BadParameter("Say what the token is for: --upload, or --download ID.")
    if download is not None and bounded:
        raise typer.BadParameter("These bounds are for --upload; a download has --quality only.")
    if upload and quality is not None:
        raise typer.BadParameter("--quality goes with --download only.")
