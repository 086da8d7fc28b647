"""`lading ls`: list the files, or the unfinished uploads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from lading.commands.common import DONE, Json, Server, Token, User, run
from lading.commands.output import Output, size_text, time_text

if TYPE_CHECKING:
    from lading.client.client import Client
    from lading.client.types import Manifest, Upload


def ls(
    context: typer.Context,
    *,
    directory: Annotated[
        str | None, typer.Option("--directory", help="Only files in this directory.")
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option("--tag", help="Only files with this tag. Repeat it to require several tags."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Only files whose name begins with this.")
    ] = None,
    mime_type: Annotated[
        str | None,
        typer.Option(
            "--mime-type", help="Only files of this media type, such as image/png or video/*."
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="At most this many, the newest.")
    ] = None,
    uploads: Annotated[
        bool, typer.Option("--uploads", help="List the unfinished uploads instead.")
    ] = False,
    user: User = None,
    server: Server = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """List files, the newest first."""

    async def work(client: Client, output: Output) -> int:
        found: Sequence[Manifest | Upload]
        if uploads:
            found = [
                each
                for each in await client.uploads()
                if directory in (None, each.directory)
                and each.name.startswith(name or "")
                and set(tag or ()) <= set(each.tags)
                and _is_of(each.mime_type, mime_type)
            ][:limit]
        else:
            listed = client.list(
                name=name, directory=directory, tags=tag or (), mime_type=mime_type, limit=limit
            )
            found = [each async for each in listed]
        show(output, found)
        return DONE

    run(context, server, token, as_json, work, user=user)


def _is_of(mime_type: str, wanted: str | None) -> bool:
    if wanted is not None and wanted.endswith("/*"):
        return mime_type.startswith(wanted[:-1])
    return wanted in (None, mime_type)


def show(output: Output, found: Sequence[Manifest | Upload]) -> None:
    """The files or uploads as a table, or one JSON object per line."""
    if output.as_json:
        for each in found:
            output.data("", **each.raw)
        return
    if found:
        rows = [_row(output, each) for each in found]
        where = ("IN",) if output.for_people else ()
        output.table(("ID", "SIZE", "TYPE", *where, "CREATED", "NAME"), rows)


def _row(output: Output, found: Manifest | Upload) -> tuple[str, ...]:
    size = found.size
    text = size_text(size) if output.for_people else str(size if size is not None else "-")
    if "missing" in found.raw:
        stored = found.raw["upload_size"]
        text = f"{size_text(stored) if output.for_people else stored}/{text}"
    directory = found.directory.rstrip("/")
    name = f"{directory}/{found.name}" if directory else found.name
    created: str = found.raw["created_at"]
    time = time_text(created) if output.for_people else created
    # Programs that cut the piped lines at tabs know no such column; for them there is --json.
    where = (found.raw.get("blobs", ""),) if output.for_people else ()
    return found.id, text, found.mime_type, *where, time, name
