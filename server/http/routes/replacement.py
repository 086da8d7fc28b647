"""`PUT /v1/files/{id}`: other bytes for a file that is there.

Larger ones are sent as an upload that names the file in `replaces`. Source: page 13 of the design;
docs/decisions/0086.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from lading.protocol.errors import Incomplete, PreconditionFailed
from lading.protocol.manifest import State
from lading.server.http import schemas
from lading.server.http.download.conditions import expected
from lading.server.http.openapi import common
from lading.server.http.openapi.operation import Body, Operations
from lading.server.http.routes.files import Replaced, take
from lading.server.services import services

api = Operations("Files")


@api.operation(
    "PUT /v1/files/{id}",
    "replaceFile",
    {
        **common.ok(schemas.files.Manifest, "The file has these bytes, and they are durable."),
        **common.APPROVING,
    },
    parameters=(common.MODIFIED, common.REPR_DIGEST, common.CONTENT_DIGEST, *common.PRECONDITIONS),
    body=Body(
        {common.BYTES: {"type": "string", "format": "binary"}},
        "The new bytes, with their own media type.",
        required=False,
    ),
    problems=(*common.FILE_REFUSED, PreconditionFailed, Incomplete),
)
async def replace(request: Request) -> Response:
    """Replace the bytes of a file. Its id, name, tags and links stay; its `ETag` changes.

    The old bytes are served until the new ones are whole. Larger files are sent as an upload with
    `replaces`.
    """
    server = services(request)
    principal = await server.principal(request)
    file = await server.uploads.get(principal, request.path_params["id"])
    check = expected(request)
    if check is not None and file.state is State.READY:
        check(file)
    revision = None if check is None else file.revision
    return await take(request, server, principal, replaced=Replaced(file, revision))
