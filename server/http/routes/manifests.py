"""`GET /v1/manifests/{id}`: a manifest with its chunks, streamed, however many there are."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from lading.protocol.manifest import Manifest
from lading.server.http.shapes import chunk_shape, manifest_shape
from lading.server.services import services
from lading.server.uploads import Uploads

WRITTEN_AT_ONCE = 512


async def show(request: Request) -> Response:
    """The whole manifest of a file or of an upload under way."""
    server = services(request)
    manifest = await server.uploads.get(await server.principal(request), request.path_params["id"])
    shape = manifest_shape(manifest)
    if not manifest.upload_end:
        shape["upload_size"] = (await server.uploads.coverage(manifest)).upload_size
    return StreamingResponse(
        _text(server.uploads, manifest, shape),
        headers={"Cache-Control": "no-store"},
        media_type="application/json",
    )


async def _text(uploads: Uploads, manifest: Manifest, shape: dict[str, Any]) -> AsyncIterator[str]:
    yield json.dumps(shape, ensure_ascii=False)[:-1] + ', "chunks": ['
    separator = ""
    lines: list[str] = []
    async for piece in uploads.pieces(manifest):
        lines.append(separator + json.dumps(chunk_shape(manifest, piece)))
        separator = ", "
        if len(lines) == WRITTEN_AT_ONCE:
            yield "".join(lines)
            lines = []
    yield "".join(lines) + "]}"
