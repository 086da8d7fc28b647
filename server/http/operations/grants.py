"""Descriptions of `/v1/grants` and `/v1/g`."""

from __future__ import annotations

from lading.protocol.errors import (
    AlreadyComplete,
    ChunkConflict,
    Gone,
    Incomplete,
    NotFound,
    OutOfBounds,
)
from lading.server.http import answers, models
from lading.server.http.describe import (
    A_FILE,
    A_FILE_TAKEN,
    CONDITIONS,
    CONTENT_DIGEST,
    CURSOR,
    DIRECTORY,
    DOWNLOAD,
    FILE_BODY,
    JSON,
    LIMIT,
    NAME,
    REPR_DIGEST,
    STORED_BYTES,
    TAG_OF_FILE,
    Operation,
    Reply,
    json_body,
    nothing,
    one,
)

SENT = {
    200: Reply(
        "Of a medium: the bytes are stored, and not yet published.", {JSON: answers.Manifest}
    ),
    201: Reply("The file is durable.", {JSON: answers.Manifest}, {"Location": "Of its bytes."}),
}
REFUSED_UPLOADS = (*A_FILE_TAKEN, Incomplete, ChunkConflict, AlreadyComplete, OutOfBounds)
GRANTED = {
    204: Reply("It may.", headers={"X-Lading-File": "The file's id.", "X-Lading-Quality": "0-6."})
}

OPERATIONS: dict[tuple[str, str], Operation] = {
    ("POST", "/v1/grants"): Operation(
        name="createGrant",
        group="Grants",
        summary="Mint a token for one upload or download",
        text="For an admin, and for a JSON Web Token with the scope `grant`.",
        body=json_body(
            models.NewGrant,
            {"action": "upload", "user_id": "ann", "max_size": 200000, "mime_types": ["image/*"]},
        ),
        replies={
            201: Reply(
                "The grant and its token, which is told this once.",
                {JSON: answers.MintedGrant},
                {"Location": "Of the grant."},
                leads_to={
                    **dict.fromkeys(("getGrant", "revokeGrant"), "/id"),
                    **dict.fromkeys(("uploadWithGrant", "downloadWithGrant"), "/token"),
                },
            )
        },
        refuses=(NotFound, Gone),
    ),
    ("GET", "/v1/grants"): Operation(
        name="listGrants",
        group="Grants",
        summary="List the grants that the caller minted, the newest first",
        parameters=(LIMIT, CURSOR),
        replies=one(answers.GrantList, "One page of grants."),
    ),
    ("GET", "/v1/grants/{id}"): Operation(
        name="getGrant",
        group="Grants",
        summary="One of them",
        replies={
            200: Reply(
                "Its bounds and uses; never its token.",
                {JSON: answers.Grant},
            )
        },
        refuses=(NotFound,),
    ),
    ("DELETE", "/v1/grants/{id}"): Operation(
        name="revokeGrant",
        group="Grants",
        summary="Revoke it",
        replies=nothing("Its token is worth nothing from now on."),
        refuses=(NotFound,),
    ),
    ("PUT", "/v1/g/{token}"): Operation(
        name="uploadWithGrant",
        group="Grants",
        summary="Upload with a grant",
        text="No other credential is needed. Name and directory of the grant win.",
        parameters=(NAME, DIRECTORY, TAG_OF_FILE, REPR_DIGEST, CONTENT_DIGEST),
        body=FILE_BODY,
        replies=SENT,
        refuses=REFUSED_UPLOADS,
        open=True,
    ),
    ("POST", "/v1/g/{token}"): Operation(
        name="postWithGrant",
        group="Grants",
        summary="The same, for forms",
        parameters=(NAME, DIRECTORY, TAG_OF_FILE, REPR_DIGEST, CONTENT_DIGEST),
        body=FILE_BODY,
        replies=SENT,
        refuses=REFUSED_UPLOADS,
        open=True,
    ),
    ("GET", "/v1/g/{token}"): Operation(
        name="downloadWithGrant",
        group="Grants",
        summary="Download with a grant",
        parameters=(DOWNLOAD, *CONDITIONS),
        replies=STORED_BYTES,
        refuses=A_FILE,
        open=True,
        head=True,
    ),
    ("GET", "/v1/g/{token}/{quality}"): Operation(
        name="downloadQualityWithGrant",
        group="Grants",
        summary="Download in one quality",
        parameters=(DOWNLOAD, *CONDITIONS),
        replies=STORED_BYTES,
        refuses=A_FILE,
        open=True,
        head=True,
    ),
    ("GET", "/v1/g/{token}/check"): Operation(
        name="checkGrant",
        group="Grants",
        summary="Whether a proxy may serve the file",
        replies=GRANTED,
        open=True,
    ),
    ("GET", "/v1/g/{token}/{quality}/check"): Operation(
        name="checkGrantQuality",
        group="Grants",
        summary="The same of one quality",
        replies=GRANTED,
        open=True,
    ),
}
