"""`/v1/uploads`: uploads by plain HTTP, for networks that block WebSocket, and their list."""

from __future__ import annotations

from typing import cast

from starlette.requests import Request

from lading.protocol.errors import (
    AlreadyComplete,
    ChecksumMismatch,
    ChunkConflict,
    Incomplete,
    NotFound,
    OutOfBounds,
    TooLarge,
    UnsupportedMediaType,
)
from lading.protocol.grants import Action
from lading.protocol.manifest import MAX_INTEGER
from lading.protocol.spec import MAX_FINGERPRINT, check_text
from lading.server.http import schemas
from lading.server.http.body import (
    arriving,
    declared_length,
    piece_checksum,
    read_json,
    whole_number,
)
from lading.server.http.endpoints import Answer
from lading.server.http.finishing import FINISHED, PREFER, finish
from lading.server.http.openapi import common
from lading.server.http.openapi.operation import Operations, Parameter
from lading.server.http.routes.file_list import page_size
from lading.server.http.schemas.types import NO_NUL
from lading.server.net.record import record_of
from lading.server.services import services
from lading.server.uploads import nothing_stored
from lading.server.uploads.intake import Intake
from lading.server.urls import upload_url

api = Operations("Uploads")

_FOLLOWING = ("getUpload", "putPiece", "finishUpload", "abortUpload", "getFile", "getManifest")


@api.operation(
    "POST /v1/uploads",
    "createUpload",
    common.created(
        schemas.uploads.CreatedUpload,
        "The upload; all of it is missing.",
        "The address of the upload.",
        dict.fromkeys(_FOLLOWING, "/_id"),
    ),
    body=common.json_body(schemas.uploads.NewUpload, {"name": "film.mp4", "size": 9437184}),
    problems=(NotFound, *common.NO_SPACE, TooLarge, UnsupportedMediaType),
    keyed=True,
)
async def create(request: Request) -> Answer:
    """Create an upload of any size."""
    server = services(request)
    principal = await server.principal(request, Action.UPLOAD)
    body = await read_json(request, schemas.uploads.NewUpload)
    upload = await server.uploads.create(principal.acting_for(body.user_id), body.spec())
    record_of(request.scope).note_upload(upload.manifest.id)
    kind = server.uploads.kinds.get(upload.manifest.kind)
    plain = schemas.uploads.upload_of(upload.manifest, nothing_stored(upload.manifest))
    shown = cast(schemas.uploads.CreatedUpload, plain)
    if kind is not None:
        shown["kind_rules"] = schemas.kinds.kind_of(kind)
    return Answer(shown, 201, upload_url(server.settings, upload.manifest.id))


@api.operation(
    "PUT /v1/uploads/{id}/chunks/{slice_start}",
    "putPiece",
    common.ok(schemas.uploads.StoredPiece, "The piece is durable."),
    parameters=(common.PIECE_DIGEST, common.PLAIN_CRC32C),
    body=common.PIECE_BODY,
    problems=(
        *common.NO_FILE,
        AlreadyComplete,
        ChunkConflict,
        OutOfBounds,
        ChecksumMismatch,
        TooLarge,
        *common.NO_SPACE,
    ),
)
async def put_piece(request: Request) -> schemas.uploads.StoredPiece:
    """Store one piece.

    Send pieces in any order, and several at once. Sending the same piece again changes nothing. A
    piece lies in one cell of `chunk_size` and reaches the end of the cell or of the file.
    """
    server = services(request)
    principal = await server.principal(request, Action.UPLOAD)
    slice_start = whole_number("slice_start", request.path_params["slice_start"], 0, MAX_INTEGER)
    declared = piece_checksum(request)
    upload = await server.uploads.join(principal, request.path_params["id"])
    written = await Intake(server.uploads, upload, server.budget).store_piece(
        arriving(request), slice_start, declared, declared_length(request)
    )
    return schemas.uploads.StoredPiece(
        slice_start=slice_start, size=written.size, upload_size=written.upload_size
    )


@api.operation(
    "POST /v1/uploads/{id}/finish",
    "finishUpload",
    FINISHED,
    parameters=(PREFER,),
    body=common.json_body(schemas.uploads.FinishUpload, {}, required=False),
    problems=(*common.NO_FILE, Incomplete, ChecksumMismatch, UnsupportedMediaType),
)
async def end(request: Request) -> schemas.files.Manifest | Answer:
    """Verify and publish an upload.

    Repeating the request returns the same answer.
    """
    server = services(request)
    principal = await server.principal(request, Action.UPLOAD)
    body = await read_json(request, schemas.uploads.FinishUpload)
    return await finish(request, server, principal, body.size, body.sha256)


@api.operation(
    "GET /v1/uploads",
    "listUploads",
    common.ok(schemas.uploads.UploadList, "The uploads that can be resumed."),
    parameters=(
        Parameter(
            "fingerprint",
            "Only uploads that were created with it.",
            {"type": "string", "minLength": 0, "maxLength": MAX_FINGERPRINT, "pattern": NO_NUL},
        ),
        common.LIMIT,
        common.USER,
    ),
    problems=(NotFound,),
)
async def listing(request: Request) -> schemas.uploads.UploadList:
    """List unfinished uploads, the newest first."""
    server = services(request)
    principal = await server.acting(request, Action.UPLOAD)
    fingerprint = request.query_params.get("fingerprint")
    if fingerprint is not None:
        check_text("fingerprint", fingerprint, MAX_FINGERPRINT)
    most = page_size(request.query_params.get("limit"))
    found = await server.uploads.unfinished(principal, fingerprint, most)
    return schemas.uploads.UploadList(
        uploads=[schemas.uploads.upload_of(*each) for each in found], cursor=None
    )


@api.operation(
    "GET /v1/uploads/{id}",
    "getUpload",
    common.ok(schemas.uploads.Upload, "The upload; a finished one has nothing missing."),
    problems=common.NO_FILE,
)
async def show(request: Request) -> schemas.uploads.Upload:
    """Return one upload with its missing ranges."""
    server = services(request)
    principal = await server.principal(request, Action.UPLOAD)
    manifest = await server.uploads.get(principal, request.path_params["id"])
    stored = await server.uploads.coverage(manifest)
    return schemas.uploads.upload_of(manifest, stored)


@api.operation(
    "DELETE /v1/uploads/{id}",
    "abortUpload",
    common.no_content("The upload and its bytes are deleted."),
    problems=(*common.NO_FILE, AlreadyComplete),
)
async def abort(request: Request) -> None:
    """Abort an unfinished upload."""
    server = services(request)
    principal = await server.principal(request, Action.UPLOAD)
    await server.uploads.abort(principal, request.path_params["id"], unfinished_only=True)
