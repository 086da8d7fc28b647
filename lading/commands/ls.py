"""`lading ls`: the files that are there, or the uploads that are not finished."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lading.client.output import Output, size_text, time_text
from lading.commands.common import DONE, Json, Server, Token, run

if TYPE_CHECKING:
    from lading.client.client import Client


def ls(
    context: typer.Context,
    *,
    directory: Annotated[
        str | None, typer.Option("--directory", help="Only files of this directory.")
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", help="Only files with this tag; all must match.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Only files whose name begins so.")
    ] = None,
    mime_type: Annotated[
        str | None,
        typer.Option("--mime-type", help="Only files of this type; video/* is all of a kind."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="So many at most, the newest.")
    ] = None,
    uploads: Annotated[
        bool, typer.Option("--uploads", help="The unfinished uploads instead.")
    ] = False,
    server: Server = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """List files, the newest first."""

    async def work(client: Client, output: Output) -> int:
        if uploads:
            found = [
                each
                for each in await client.uploads()
                if directory in (None, each["directory"])
                and each["name"].startswith(name or "")
                and set(tag or ()) <= set(each["tags"])
                and _is_of(each["mime_type"], mime_type)
            ][:limit]
        else:
            listed = client.list(
                name=name, directory=directory, tags=tag or (), mime_type=mime_type, limit=limit
            )
            found = [each async for each in listed]
        show(output, found)
        return DONE

    run(context, server, token, as_json, work)


def _is_of(mime_type: str, wanted: str | None) -> bool:
    if wanted is not None and wanted.endswith("/*"):
        return mime_type.startswith(wanted[:-1])
    return wanted in (None, mime_type)


def show(output: Output, manifests: list[dict[str, Any]]) -> None:
    """The manifests as a table, or one JSON object a line."""
    if output.as_json:
        for manifest in manifests:
            output.data("", **manifest)
        return
    if manifests:
        rows = [_row(output, manifest) for manifest in manifests]
        output.table(("ID", "SIZE", "TYPE", "CREATED", "NAME"), rows)


def _row(output: Output, manifest: dict[str, Any]) -> tuple[str, ...]:
    size = manifest["size"]
    text = size_text(size) if output.for_eyes else str(size if size is not None else "-")
    if "missing" in manifest:
        stored = manifest["upload_size"]
        text = f"{size_text(stored) if output.for_eyes else stored}/{text}"
    directory = manifest["directory"].rstrip("/")
    name = f"{directory}/{manifest['name']}" if directory else manifest["name"]
    created = manifest["created_at"]
    time = time_text(created) if output.for_eyes else created
    return manifest["_id"], text, manifest["mime_type"], time, name
