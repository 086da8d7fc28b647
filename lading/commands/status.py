"""`lading status`: the state of the server, or of one file or upload."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lading.commands.common import DONE, Json, Profile, Server, Token, User, look_up, run
from lading.commands.ls import show
from lading.commands.output import Output, printable, size_text

if TYPE_CHECKING:
    from lading.client.client import Client
    from lading.client.types import Manifest, Upload

SHOWN = (
    "name",
    "directory",
    "state",
    "mime_type",
    "kind",
    "blobs",
    "sha256",
    "modified_at",
    "created_at",
    "expires_at",
)


def status(
    context: typer.Context,
    *,
    file_id: Annotated[
        str | None,
        typer.Argument(
            help="The id of a file or unfinished upload, or the name or path of a file."
        ),
    ] = None,
    user: User = None,
    server: Server = None,
    profile: Profile = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Print whether the server is ready and which uploads are unfinished.

    With an ID, print the state of that file or upload.
    """

    async def work(client: Client, output: Output) -> int:
        if file_id is None:
            await _server(client, output)
        else:
            _one(output, await look_up(client, file_id))
        return DONE

    run(context, server, token, as_json, work, profile=profile, user=user)


async def _server(client: Client, output: Output) -> None:
    status = await client.status()
    uploads = await client.uploads()
    url = client.address.url
    if output.as_json:
        raw = [each.raw for each in uploads]
        output.data("", **{"url": url, **status.raw}, uploads=raw)
        return
    version = printable(status.version or "of unknown version")
    unfinished = f"{len(uploads)} unfinished upload{'' if len(uploads) == 1 else 's'}"
    output.data(f"{url} is ready, Lading {version}, {unfinished}")
    show(output, uploads)


def _one(output: Output, found: Manifest | Upload) -> None:
    raw = found.raw
    if output.as_json:
        output.data("", **{key: value for key, value in raw.items() if key != "chunks"})
        return
    missing = sum(end - start for start, end in raw.get("missing", ()))
    facts = {
        "id": found.id,
        **{key: raw.get(key) for key in SHOWN},
        "public": "yes" if raw.get("public") else None,
        "size": size_text(found.size),
        "stored": size_text(raw["upload_size"]),
        "missing": size_text(missing),
    }
    for key, value in facts.items():
        if value not in (None, ""):
            output.data(f"{key}: {printable(str(value))}")
