"""`GET /v1/manifests/{id}`: a manifest with its chunks, streamed, however many there are."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from lading.protocol.conditions import Validators
from lading.protocol.manifest import Manifest, State
from lading.server.http import schemas
from lading.server.http.download.conditions import unchanged
from lading.server.http.download.headers import manifest_etag
from lading.server.http.endpoints import adapter
from lading.server.http.openapi import common
from lading.server.http.openapi.operation import JSON, Operations, Reply
from lading.server.services import services
from lading.server.uploads import Uploads

api = Operations("Files")

WRITTEN_AT_ONCE = 512

_write_manifest = adapter(schemas.files.Manifest).dump_json
_write_chunk = adapter(schemas.files.Chunk).dump_json


@api.operation(
    "GET /v1/manifests/{id}",
    "getManifest",
    {
        200: Reply(
            "The manifest, streamed.",
            {JSON: schemas.files.ManifestWithChunks},
            {"ETag": "Strong; absent while the upload is in progress."},
        ),
        304: Reply("The client's copy is current.", {}, {"ETag": "The tag of that copy."}),
    },
    parameters=common.MANIFEST_CONDITIONS,
    problems=common.CHANGE_REFUSED,
)
async def show(request: Request) -> Response:
    """Return the manifest of a file or an upload, with its chunks."""
    server = services(request)
    manifest = await server.uploads.get(await server.principal(request), request.path_params["id"])
    headers, current = {"Cache-Control": "no-store"}, Validators()
    if manifest.state is State.READY:
        headers["Cache-Control"] = "private, no-cache"
        headers["ETag"] = manifest_etag(manifest)
        current = Validators((headers["ETag"],))
    if unchanged(request, current):
        return Response(status_code=304, headers=headers)
    stored = None
    if not manifest.upload_end:
        stored = (await server.uploads.coverage(manifest)).upload_size
    return StreamingResponse(
        _text(server.uploads, manifest, schemas.files.manifest_of(manifest, stored)),
        headers=headers,
        media_type=JSON,
    )


async def _text(
    uploads: Uploads, manifest: Manifest, shown: schemas.files.Manifest
) -> AsyncIterator[bytes]:
    yield _write_manifest(shown)[:-1] + b', "chunks": ['
    separator = b""
    lines: list[bytes] = []
    async for piece in uploads.pieces(manifest):
        lines.append(separator + _write_chunk(schemas.files.chunk_of(manifest, piece)))
        separator = b", "
        if len(lines) == WRITTEN_AT_ONCE:
            yield b"".join(lines)
            lines = []
    yield b"".join(lines) + b"]}"
