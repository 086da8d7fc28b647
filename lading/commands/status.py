"""`lading status`: how the server is, or how one upload is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lading.client.output import Output, printable, size_text
from lading.commands.common import DONE, Json, Server, Token, run
from lading.commands.ls import show

if TYPE_CHECKING:
    from lading.client.client import Client

SHOWN = ("name", "directory", "state", "mime_type", "sha256", "created_at", "expires_at")


def status(
    context: typer.Context,
    file_id: Annotated[str | None, typer.Argument(help="A file or unfinished upload.")] = None,
    server: Server = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Tell whether the server is ready and what is unfinished; with an ID, how that one is."""

    async def work(client: Client, output: Output) -> int:
        if file_id is None:
            await _server(client, output)
        else:
            _one(output, await client.status(file_id))
        return DONE

    run(context, server, token, as_json, work)


async def _server(client: Client, output: Output) -> None:
    facts = {"url": client.address.url, **await client.status()}
    uploads = await client.uploads()
    if output.as_json:
        output.data("", **facts, uploads=uploads)
        return
    version = printable(str(facts.get("version", "of unknown version")))
    unfinished = f"{len(uploads)} unfinished upload{'' if len(uploads) == 1 else 's'}"
    output.data(f"{facts['url']} is ready, Lading {version}, {unfinished}")
    show(output, list(uploads))


def _one(output: Output, manifest: dict[str, Any]) -> None:
    if output.as_json:
        output.data("", **{key: value for key, value in manifest.items() if key != "chunks"})
        return
    missing = sum(end - start for start, end in manifest.get("missing", ()))
    facts = {
        "id": manifest["_id"],
        **{key: manifest.get(key) for key in SHOWN},
        "size": size_text(manifest["size"]),
        "stored": size_text(manifest["upload_size"]),
        "missing": size_text(missing),
    }
    for key, value in facts.items():
        if value not in (None, ""):
            output.data(f"{key}: {printable(str(value))}")
