"""Descriptions of `/v1/uploads` and of the channel."""

from __future__ import annotations

from lading.protocol.errors import (
    AlreadyComplete,
    ChecksumMismatch,
    ChunkConflict,
    Gone,
    Incomplete,
    NotFound,
    OutOfBounds,
    ShuttingDown,
    TooLarge,
    UnsupportedMediaType,
)
from lading.server.http import answers, models
from lading.server.http.describe import (
    BINARY,
    JSON,
    LIMIT,
    PIECE_DIGEST,
    PLAIN_CRC32C,
    ROOM,
    Operation,
    Parameter,
    Reply,
    json_body,
    nothing,
    one,
)

OF_UPLOADS = dict.fromkeys(
    ("getUpload", "putPiece", "finishUpload", "abortUpload", "getFile", "getManifest"), "/_id"
)

OPERATIONS: dict[tuple[str, str], Operation] = {
    ("POST", "/v1/uploads"): Operation(
        name="createUpload",
        group="Uploads",
        summary="Begin an upload of any size",
        body=json_body(models.NewUpload, {"name": "film.mp4", "size": 9437184}),
        replies={
            201: Reply(
                "The upload, with all that is missing.",
                {JSON: answers.Upload},
                {"Location": "Of the upload."},
                leads_to=OF_UPLOADS,
            )
        },
        refuses=(*ROOM, UnsupportedMediaType),
    ),
    ("GET", "/v1/uploads"): Operation(
        name="listUploads",
        group="Uploads",
        summary="List unfinished uploads, the newest first",
        parameters=(
            Parameter(
                "fingerprint",
                "Those that were created with it.",
                {"type": "string", "minLength": 0, "maxLength": 512, "pattern": r"^[^\x00]*$"},
            ),
            LIMIT,
        ),
        replies=one(answers.UploadList, "What can be gone on with."),
    ),
    ("GET", "/v1/uploads/{id}"): Operation(
        name="getUpload",
        group="Uploads",
        summary="One upload, with what is missing of it",
        replies=one(answers.Upload, "The upload; of a finished one nothing is missing."),
        refuses=(NotFound, Gone),
    ),
    ("DELETE", "/v1/uploads/{id}"): Operation(
        name="abortUpload",
        group="Uploads",
        summary="Abort an unfinished upload",
        replies=nothing("It and its bytes are deleted."),
        refuses=(NotFound, Gone, AlreadyComplete),
    ),
    ("PUT", "/v1/uploads/{id}/chunks/{slice_start}"): Operation(
        name="putPiece",
        group="Uploads",
        summary="Store one piece",
        text="In any order, any number at once; the same piece again is no harm. A piece lies in "
        "one cell of `chunk_size` and reaches its end, or the end of the file.",
        parameters=(PIECE_DIGEST, PLAIN_CRC32C),
        body=BINARY,
        replies=one(answers.StoredPiece, "The piece is durable."),
        refuses=(
            NotFound,
            Gone,
            AlreadyComplete,
            ChunkConflict,
            OutOfBounds,
            ChecksumMismatch,
            TooLarge,
            *ROOM,
        ),
    ),
    ("POST", "/v1/uploads/{id}/finish"): Operation(
        name="finishUpload",
        group="Uploads",
        summary="Verify and publish",
        text="Once more gives the same.",
        body=json_body(models.FinishUpload, {}, required=False),
        replies=one(answers.Manifest, "The file."),
        refuses=(NotFound, Gone, Incomplete, ChecksumMismatch, UnsupportedMediaType),
    ),
    ("GET", "/v1/ws"): Operation(
        name="openChannel",
        group="Uploads",
        summary="The WebSocket channel for files of any size",
        text="Upgraded to the subprotocol `lading.v1`; see `docs/wire-protocol.md`. The credential "
        "goes into its first message.",
        replies={101: Reply("The channel is open.")},
        refuses=(ShuttingDown,),
        open=True,
    ),
}
