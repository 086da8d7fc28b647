"""`/v1/trash`, and the way back out of it.

A file comes there by `DELETE /v1/files/{id}?trash=true`, see `file_list.py`.
Source: page 13 of the design; docs/decisions/0085.
"""

from __future__ import annotations

from starlette.requests import Request

from lading.protocol.errors import Gone, NotFound
from lading.protocol.spec import check_id
from lading.server.http import schemas
from lading.server.http.body import read_json
from lading.server.http.openapi import common
from lading.server.http.openapi.operation import Operations
from lading.server.http.routes.file_list import page_size
from lading.server.services import services

api = Operations("Files")


@api.operation(
    "GET /v1/trash",
    "listTrash",
    common.ok(schemas.files.FileList, "One page of files; `expires_at` is when each is deleted."),
    parameters=(common.LIMIT, common.CURSOR, common.USER),
    problems=(NotFound,),
)
async def listing(request: Request) -> schemas.files.FileList:
    """List the files in the trash, the newest first."""
    server = services(request)
    principal = await server.acting(request)
    cursor = request.query_params.get("cursor")
    most = page_size(request.query_params.get("limit"))
    found = await server.library.trash.files(
        principal, before=None if cursor is None else check_id(cursor), most=most + 1
    )
    files = found[:most]
    return schemas.files.FileList(
        files=[schemas.files.manifest_of(manifest) for manifest in files],
        cursor=files[-1].id if len(found) > most else None,
    )


@api.operation(
    "DELETE /v1/trash",
    "emptyTrash",
    common.ok(schemas.files.EmptiedTrash, "The number of deleted files."),
    parameters=(common.USER,),
    problems=(NotFound,),
)
async def empty(request: Request) -> schemas.files.EmptiedTrash:
    """Delete all files in the trash for good. `DELETE /v1/files/{id}` deletes one of them."""
    server = services(request)
    principal = await server.acting(request)
    return schemas.files.EmptiedTrash(deleted=await server.library.trash.empty(principal))


@api.operation(
    "POST /v1/files/{id}/restore",
    "restoreFile",
    common.ok(schemas.files.Manifest, "The file as it is again."),
    body=common.json_body(schemas.types.NoFields, {}, required=False),
    problems=(NotFound, Gone),
)
async def restore(request: Request) -> schemas.files.Manifest:
    """Move a file out of the trash; it is as it was before. One that is not there stays so."""
    server = services(request)
    principal = await server.principal(request)
    await read_json(request, schemas.types.NoFields)
    restored = await server.library.trash.restore(principal, request.path_params["id"])
    return schemas.files.manifest_of(restored)
