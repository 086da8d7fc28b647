"""`lading ls`: list the files, or the unfinished uploads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lading.commands.common import DONE, Json, Profile, Server, Token, User, run
from lading.commands.output import Output, size_text, time_text

if TYPE_CHECKING:
    from lading.client.client import Client
    from lading.client.types import Manifest, Upload


ORDERS: dict[str, Callable[[Manifest | Upload], Any]] = {
    "name": lambda each: (each.path.casefold(), each.path),
    "size": lambda each: each.size or 0,
    "created": lambda each: each.created_at,
    "modified": lambda each: getattr(each, "modified_at", None) or each.created_at,
    "type": lambda each: each.mime_type,
}


def ls(
    context: typer.Context,
    *,
    path: Annotated[
        str | None,
        typer.Argument(
            metavar="DIRECTORY",
            help="Only files in this directory. Default: all files.",
            show_default=False,
        ),
    ] = None,
    directory: Annotated[
        str | None, typer.Option("--directory", help="The same as DIRECTORY.")
    ] = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Those of its subdirectories, too.")
    ] = False,
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort",
            metavar="name|size|created|modified|type",
            help="The order; with - before it, the largest, last or newest first.",
        ),
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
        int | None, typer.Option("--limit", min=1, help="At most this many, the first ones.")
    ] = None,
    uploads: Annotated[
        bool, typer.Option("--uploads", help="List the unfinished uploads instead.")
    ] = False,
    user: User = None,
    server: Server = None,
    profile: Profile = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """List files, the newest first."""
    if path is not None and directory is not None:
        raise typer.BadParameter("Name the directory once: as an argument or with --directory.")
    directory = path if directory is None else directory
    if sort is not None and sort.removeprefix("-") not in ORDERS:
        raise typer.BadParameter(f"--sort must be one of: {', '.join(ORDERS)}.")

    async def work(client: Client, output: Output) -> int:
        found: Sequence[Manifest | Upload]
        most = None if sort else limit
        if uploads:
            found = [
                each
                for each in await client.uploads()
                if _is_in(each.directory, directory, recursive)
                and each.name.startswith(name or "")
                and set(tag or ()) <= set(each.tags)
                and _is_of(each.mime_type, mime_type)
            ][:most]
        else:
            listed = client.list(
                name=name,
                directory=directory,
                recursive=recursive,
                tags=tag or (),
                mime_type=mime_type,
                limit=most,
            )
            found = [each async for each in listed]
        show(output, _sorted(found, sort)[:limit] if sort else found)
        return DONE

    run(context, server, token, as_json, work, profile=profile, user=user)


def _is_in(directory: str, wanted: str | None, recursive: bool) -> bool:
    place = (wanted or "").strip("/")
    if wanted is None or (recursive and not place):
        return True
    return directory == place or (recursive and directory.startswith(f"{place}/"))


def _sorted(found: Sequence[Manifest | Upload], sort: str) -> list[Manifest | Upload]:
    key = ORDERS[sort.removeprefix("-")]
    return sorted(found, key=key, reverse=sort.startswith("-"))


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
    created: str = found.raw["created_at"]
    time = time_text(created) if output.for_people else created
    # Programs that cut the piped lines at tabs know no such column; for them there is --json.
    where = (found.raw.get("blobs", ""),) if output.for_people else ()
    return found.id, text, found.mime_type, *where, time, found.path
