"""`/v1/uploads`: the caller's unfinished uploads. Source: page 4 of the design."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from protocol.errors import InvalidArgument
from protocol.manifest import State
from protocol.spec import MAX_FINGERPRINT, check_text
from server.routes.files import page_size
from server.routes.shapes import answer, upload_shape
from server.services import services


async def listing(request: Request) -> Response:
    """`GET /v1/uploads`: what can be gone on with, from any device."""
    server = services(request)
    principal = await server.principal(request)
    fingerprint = request.query_params.get("fingerprint")
    if fingerprint is not None:
        check_text("fingerprint", fingerprint, MAX_FINGERPRINT)
    most = page_size(request.query_params.get("limit"))
    found = await server.uploads.unfinished(principal, fingerprint, most)
    return answer({"uploads": [upload_shape(*each) for each in found], "cursor": None})


async def show(request: Request) -> Response:
    """`GET /v1/uploads/{id}`: one upload with what is missing of it."""
    server = services(request)
    manifest = await server.uploads.get(await server.principal(request), request.path_params["id"])
    stored = await server.uploads.coverage(manifest)
    return answer(upload_shape(manifest, stored))


async def abort(request: Request) -> Response:
    """`DELETE /v1/uploads/{id}`: delete an unfinished upload and its chunks."""
    server = services(request)
    principal = await server.principal(request)
    manifest = await server.uploads.get(principal, request.path_params["id"])
    if manifest.state is State.READY:
        raise InvalidArgument("The upload is complete; delete the file at /v1/files instead.")
    await server.uploads.remove(principal, manifest.id)
    return Response(status_code=204)
