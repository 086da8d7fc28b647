"""`/v1/kinds`: the kinds of files that this server knows, with their limits."""

from __future__ import annotations

from starlette.requests import Request

from lading.protocol.grants import Action
from lading.server.http import schemas
from lading.server.http.openapi import common
from lading.server.http.openapi.operation import Operations
from lading.server.services import services

api = Operations("Files")


@api.operation(
    "GET /v1/kinds",
    "listKinds",
    common.ok(schemas.kinds.KindList, "All kinds; without `LADING_KINDS` there is none."),
)
async def listing(request: Request) -> schemas.kinds.KindList:
    """List the kinds of files, with their limits."""
    server = services(request)
    await server.principal(request, Action.UPLOAD)
    return schemas.kinds.KindList(
        kinds=[schemas.kinds.kind_of(kind) for kind in server.uploads.kinds]
    )
