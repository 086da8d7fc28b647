"""`GET /v1/manifests/{id}`: a manifest with its chunks, streamed, however many there are."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from lading.protocol.manifest import Manifest
from lading.server.http import schemas
from lading.server.http.endpoints import adapter
from lading.server.http.openapi import common
from lading.server.http.openapi.operation import JSON, Operations
from lading.server.services import services
from lading.server.uploads import Uploads

api = Operations("Files")

WRITTEN_AT_ONCE = 512

_write_manifest = adapter(schemas.files.Manifest).dump_json
_write_chunk = adapter(schemas.files.Chunk).dump_json


@api.operation(
    "GET /v1/manifests/{id}",
    "getManifest",
    common.ok(schemas.files.ManifestWithChunks, "The manifest, streamed."),
    problems=common.NO_FILE,
)
async def show(request: Request) -> Response:
    """Return the manifest of a file or an upload, with its chunks."""
    server = services(request)
    manifest = await server.uploads.get(await server.principal(request), request.path_params["id"])
    stored = None
    if not manifest.upload_end:
        stored = (await server.uploads.coverage(manifest)).upload_size
    return StreamingResponse(
        _text(server.uploads, manifest, schemas.files.manifest_of(manifest, stored)),
        headers={"Cache-Control": "no-store"},
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
