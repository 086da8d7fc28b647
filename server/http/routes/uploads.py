"""`/v1/uploads`: uploads by plain HTTP, for networks that block WebSocket, and their list.

The same path as the channel's: create, put pieces in any order, finish. Source: page 4 of the
design.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from lading.protocol.grants import Action
from lading.protocol.manifest import MAX_INTEGER
from lading.protocol.spec import MAX_FINGERPRINT, check_text
from lading.server.http.body import (
    arriving,
    declared_length,
    piece_checksum,
    read_json,
    whole_number,
)
from lading.server.http.models import FinishUpload, NewUpload
from lading.server.http.routes.files import page_size
from lading.server.http.shapes import answer, manifest_shape, upload_shape
from lading.server.services import services
from lading.server.uploads import nothing_stored
from lading.server.uploads.intake import Intake
from lading.server.urls import upload_url


async def create(request: Request) -> Response:
    """`POST /v1/uploads`: a new upload, as CREATE."""
    server = services(request)
    principal = await server.principal(request, Action.UPLOAD)
    spec = (await read_json(request, NewUpload)).spec()
    upload = await server.uploads.create(principal, spec)
    location = upload_url(server.settings, upload.manifest.id)
    shape = upload_shape(upload.manifest, nothing_stored(upload.manifest))
    return answer(shape, 201, {"Location": location})


async def put_piece(request: Request) -> Response:
    """`PUT /v1/uploads/{id}/chunks/{slice_start}`: one piece; durable when answered."""
    server = services(request)
    principal = await server.principal(request, Action.UPLOAD)
    slice_start = whole_number("slice_start", request.path_params["slice_start"], 0, MAX_INTEGER)
    declared = piece_checksum(request)
    upload = await server.uploads.join(principal, request.path_params["id"])
    written = await Intake(server.uploads, upload, server.budget).store_piece(
        arriving(request), slice_start, declared, declared_length(request)
    )
    return answer(
        {"slice_start": slice_start, "size": written.size, "upload_size": written.upload_size}
    )


async def finish(request: Request) -> Response:
    """`POST /v1/uploads/{id}/finish`: verify and publish, as FINISH."""
    server = services(request)
    principal = await server.principal(request, Action.UPLOAD)
    body = await read_json(request, FinishUpload)
    manifest = await server.uploads.finish(
        principal, request.path_params["id"], body.size, body.sha256
    )
    return answer(manifest_shape(manifest))


async def listing(request: Request) -> Response:
    """`GET /v1/uploads`: what can be gone on with, from any device."""
    server = services(request)
    principal = await server.principal(request, Action.UPLOAD)
    fingerprint = request.query_params.get("fingerprint")
    if fingerprint is not None:
        check_text("fingerprint", fingerprint, MAX_FINGERPRINT)
    most = page_size(request.query_params.get("limit"))
    found = await server.uploads.unfinished(principal, fingerprint, most)
    return answer({"uploads": [upload_shape(*each) for each in found], "cursor": None})


async def show(request: Request) -> Response:
    """`GET /v1/uploads/{id}`: one upload with what is missing of it."""
    server = services(request)
    principal = await server.principal(request, Action.UPLOAD)
    manifest = await server.uploads.get(principal, request.path_params["id"])
    stored = await server.uploads.coverage(manifest)
    return answer(upload_shape(manifest, stored))


async def abort(request: Request) -> Response:
    """`DELETE /v1/uploads/{id}`: delete an unfinished upload and its chunks."""
    server = services(request)
    principal = await server.principal(request, Action.UPLOAD)
    await server.uploads.abort(principal, request.path_params["id"], unfinished_only=True)
    return Response(status_code=204)
