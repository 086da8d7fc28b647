"""What the operations of tus and of the IETF's resumable uploads share."""

from __future__ import annotations

from dataclasses import replace

from lading.protocol.errors import (
    AlreadyComplete,
    ChunkConflict,
    MethodNotAllowed,
    OffsetMismatch,
    PreconditionFailed,
)
from lading.protocol.manifest import MAX_INTEGER
from lading.server.http.openapi.common import (
    FILE_REFUSED,
    NO_FILE,
    PIECE_BODY,
    header,
    integer,
)
from lading.server.http.openapi.operation import JSON, Body, Parameter, Reply
from lading.server.http.schemas.files import Manifest as FileManifest

# -- tus

_NUMBER = integer(MAX_INTEGER)
TUS_VERSION = Parameter(
    "Tus-Resumable", "The version of tus.", {"enum": ["1.0.0"]}, "header", True, "1.0.0"
)
TUS_OVERRIDE = Parameter(
    "X-HTTP-Method-Override",
    "The method that is meant.",
    {"enum": ["PATCH", "DELETE", "HEAD"]},
    "header",
    True,
    "PATCH",
)
_TUS_OFFSET = Parameter("Upload-Offset", "Where the bytes go.", _NUMBER, "header", True, 0)
_TUS_LENGTH = Parameter("Upload-Length", "The size of the whole file.", _NUMBER, "header")
_TUS_CHECKSUM = header(
    "Upload-Checksum", "`sha1`, `sha256` or `crc32c`, and the body's digest in Base64."
)
TUS_NEW = (
    TUS_VERSION,
    _TUS_LENGTH,
    Parameter("Upload-Defer-Length", "`1`: the size follows later.", {"enum": ["1"]}, "header"),
    header("Upload-Metadata", "`filename`, `filetype`, `relativePath`, and anything else."),
    header("Upload-Concat", "`partial`, or `final;` and the addresses of partial uploads."),
    _TUS_CHECKSUM,
)
TUS_APPEND = (TUS_VERSION, _TUS_OFFSET, _TUS_LENGTH, _TUS_CHECKSUM)
TUS_BODY = Body(
    {"application/offset+octet-stream": {"type": "string", "format": "binary"}},
    "Bytes of the file.",
    required=False,
)
_RESUMABLE = {"Tus-Resumable": "`1.0.0`"}
_EXPIRES = {"Upload-Expires": "When an unfinished upload is removed, unless it is continued."}
_OFFSET = {"Upload-Offset": "How many bytes are durable."}
TUS_OFFERS = {
    204: Reply(
        "What is spoken here.",
        headers={
            **_RESUMABLE,
            "Tus-Version": "`1.0.0`",
            "Tus-Extension": "The extensions.",
            "Tus-Max-Size": "The most bytes of a file.",
            "Tus-Checksum-Algorithm": "The algorithms of `Upload-Checksum`.",
        },
    )
}
TUS_CREATED = {
    201: Reply(
        "The upload.",
        headers={"Location": "Its address, with the host.", **_RESUMABLE, **_OFFSET, **_EXPIRES},
    )
}
TUS_STATE = {
    200: Reply(
        "The state of the upload.",
        headers={
            **_RESUMABLE,
            **_OFFSET,
            **_EXPIRES,
            "Upload-Length": "The size, once it is known.",
            "Upload-Defer-Length": "`1` while it is not.",
            "Upload-Metadata": "As it was given.",
            "Upload-Concat": "As it was given.",
        },
    )
}
TUS_APPENDED = {204: Reply("The bytes are durable.", headers=_RESUMABLE | _OFFSET | _EXPIRES)}
TUS_REFUSED = (*NO_FILE, PreconditionFailed)
TUS_NEW_REFUSED = (*FILE_REFUSED, PreconditionFailed, ChunkConflict, MethodNotAllowed)
TUS_APPEND_REFUSED = (*TUS_NEW_REFUSED, OffsetMismatch, AlreadyComplete)

# -- the IETF's resumable uploads

INTEROP = Parameter(
    "Upload-Draft-Interop-Version",
    "The version of the draft: 3, 5, 6 or 8; otherwise 8, without interim answers.",
    {"type": "string"},
    "header",
    example="8",
)
_COMPLETE = header("Upload-Complete", "`?1`: this is all, or the rest; `?0`: more follows.")
_LENGTH = header("Upload-Length", "The size of the whole file.")
_DIGESTED = header("Content-Digest", "The SHA-256 of the body, verified before it is stored.")
RESUMABLE_NEW = (
    INTEROP,
    _COMPLETE,
    _LENGTH,
    header("Content-Disposition", 'The file\'s name: `inline; filename="a.jpg"`.'),
    header("Want-Repr-Digest", "Asks for the digests of the file, as far as they are known."),
)
RESUMABLE_APPEND = (
    INTEROP,
    header("Upload-Offset", "Where the bytes go.", "0"),
    _COMPLETE,
    _LENGTH,
    _DIGESTED,
)
RAW_BODY = replace(PIECE_BODY, text="The file, or its beginning.", required=False)
PARTIAL_BODY = Body(
    {"application/partial-upload": {"type": "string", "format": "binary"}},
    "The next bytes of the file.",
    required=False,
)
_COMPLETENESS = {"Upload-Complete": "`?1` once the file is published."}
_LIMIT = {"Upload-Limit": "The most bytes, and how many seconds the upload still lives."}
UPLOAD_LIMITS = {
    204: Reply(
        "Uploads can be resumed here.",
        headers={**_LIMIT, "Accept-Patch": "`application/partial-upload`"},
    )
}
RESUMABLE_CREATED = {
    201: Reply(
        "With `Upload-Complete: ?1` the file; otherwise the upload, without content.",
        {JSON: FileManifest},
        {"Location": "The file, or the upload with its host.", **_OFFSET, **_COMPLETENESS},
    )
}
RESUMABLE_STATE = {
    204: Reply(
        "The state of the upload.",
        headers={**_OFFSET, **_COMPLETENESS, **_LIMIT, "Upload-Length": "The size, if known."},
    )
}
RESUMABLE_APPENDED = {
    201: Reply(
        "The file is published; for interop 3, 5 and 6 also that bytes are durable.",
        {JSON: FileManifest},
        {"Location": "The file.", **_OFFSET, **_COMPLETENESS},
    ),
    204: Reply("The bytes are durable.", headers={**_OFFSET, **_COMPLETENESS}),
}
RESUMABLE_REFUSED = (*FILE_REFUSED, ChunkConflict, AlreadyComplete)
RESUMABLE_APPEND_REFUSED = (*RESUMABLE_REFUSED, OffsetMismatch)
CANCEL_REFUSED = (*NO_FILE, AlreadyComplete)

EITHER_BODY = replace(PARTIAL_BODY, content={**PARTIAL_BODY.content, **TUS_BODY.content})
GRANT_OFFERS = {
    204: replace(TUS_OFFERS[204], headers={**TUS_OFFERS[204].headers, **UPLOAD_LIMITS[204].headers})
}
