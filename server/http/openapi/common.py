"""Parameters, bodies, replies and problems that several operations share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lading.protocol.errors import (
    ChecksumMismatch,
    Gone,
    NotFound,
    NotReady,
    PreconditionFailed,
    QuotaExceeded,
    RangeNotSatisfiable,
    Rejected,
    StorageFull,
    TooLarge,
    UnprocessableImage,
    UnsupportedMediaType,
)
from lading.protocol.grants import HIGHEST_QUALITY
from lading.protocol.kinds import CROPS
from lading.protocol.manifest import MAX_INTEGER
from lading.protocol.spec import ID, MAX_KIND, MAX_NAME, MAX_TAG, MAX_TAGS, MAX_USER_ID, TAG
from lading.server.access.grants import TOKEN
from lading.server.http.openapi.operation import JSON, Body, Model, Parameter, Reply, Schema
from lading.server.http.schemas.files import StoredFiles
from lading.server.http.schemas.grants import FileInJson
from lading.server.http.schemas.types import NO_NUL

BYTES = "application/octet-stream"


def whole(pattern: re.Pattern[str]) -> str:
    """A pattern for the whole text, as schemas write it."""
    return f"^(?:{pattern.pattern})$"


TEXT: Schema = {"type": "string", "maxLength": MAX_NAME, "pattern": NO_NUL}
_TAG: Schema = {"type": "string", "minLength": 1, "maxLength": MAX_TAG, "pattern": whole(TAG)}
TAGS: Schema = {"type": "array", "items": _TAG, "maxItems": MAX_TAGS}
ID_TEXT: Schema = {"type": "string", "pattern": whole(ID)}
MOST_IDS = 200
"""The most ids in one address: proxies refuse longer ones."""


def integer(maximum: int) -> Schema:
    return {"type": "integer", "minimum": 0, "maximum": maximum}


# -- in the path

IN_PATH = {
    each.name: each
    for each in (
        Parameter(
            "id",
            "24 lower-case hexadecimal digits.",
            ID_TEXT,
            "path",
            True,
            "6b0179176249a43ed26a4b6e",
        ),
        Parameter(
            "slice_start",
            "The position in the file of the piece's first byte.",
            integer(MAX_INTEGER),
            "path",
            True,
            0,
        ),
        Parameter(
            "token",
            "The token of a grant; it is the credential.",
            {"type": "string", "pattern": whole(TOKEN)},
            "path",
            True,
            "lg_kxtyUW5rbY2Hq0rZ7v1nTgJ8mCwLxEoPsAqDfIuB3Ka",
        ),
        Parameter(
            "quality",
            "0 is the original, 1 to 6 are images made from it.",
            integer(HIGHEST_QUALITY),
            "path",
            True,
            0,
        ),
        Parameter("name", "The tag.", _TAG, "path", True, "holiday"),
        Parameter(
            "file",
            "A file that the page or one of its modules refers to.",
            {"type": "string", "minLength": 1},
            "path",
            True,
            "lading.js",
        ),
        Parameter(
            "passkey_id",
            "A passkey's id.",
            {"type": "string", "minLength": 1, "maxLength": 2048, "pattern": "^[A-Za-z0-9_-]+$"},
            "path",
            True,
            "AYr3b1Zd",
        ),
        Parameter(
            "user_id",
            "A user's id.",
            {"type": "string", "minLength": 1, "maxLength": MAX_USER_ID, "pattern": NO_NUL},
            "path",
            True,
            "ann",
        ),
    )
}

# -- in the query

LIMIT = Parameter(
    "limit",
    "The number of entries; 100 by default.",
    {"type": "integer", "minimum": 1, "maximum": 1000},
)
CURSOR = Parameter("cursor", "The `cursor` of the previous page.", ID_TEXT)
FILE_CURSOR = Parameter(
    "cursor",
    "The `cursor` of the previous page, which had the same `order`.",
    {"type": "string", "minLength": 1, "maxLength": 16384, "pattern": "^[A-Za-z0-9_-]+$"},
)
NAME_CURSOR = Parameter(
    "cursor",
    "The `cursor` of the previous page.",
    {"type": "string", "minLength": 1, "maxLength": MAX_NAME, "pattern": NO_NUL},
)
USER_CURSOR = Parameter(
    "cursor",
    "The `cursor` of the previous page.",
    {"type": "string", "minLength": 1, "maxLength": MAX_USER_ID, "pattern": NO_NUL},
)
TAG_CURSOR = Parameter("cursor", "The `cursor` of the previous page.", _TAG)
USER = Parameter(
    "user_id",
    "The user to act for; the caller, if not given. Only an admin can name another.",
    {"type": "string", "minLength": 1, "maxLength": MAX_USER_ID, "pattern": NO_NUL},
)
DIRECTORY = Parameter("directory", "The file's directory.", TEXT, example="2026/june")
FILE_TAG = Parameter("tag", "A tag of the file; may be repeated.", TAGS, example=["holiday"])
NAME = Parameter(
    "name", "The file's name; it replaces the name in a form.", TEXT, example="photo.jpg"
)
KIND = Parameter(
    "kind",
    "The kind of the file, whose limits hold for it.",
    {"type": "string", "minLength": 1, "maxLength": MAX_KIND, "pattern": NO_NUL},
)
DOWNLOAD = Parameter(
    "download", "`1` sends the file as an attachment, to be saved.", {"enum": ["0", "1"]}
)

ANEW = Parameter(
    "v",
    "Ignored: another value is another address for caches, where a file was replaced.",
    {"type": "string"},
)

CROP = Parameter(
    "crop",
    "`square` crops the image, to the part of it that draws attention.",
    {"type": "string", "enum": list(CROPS)},
)

# -- in the headers


def header(name: str, text: str, example: str | None = None) -> Parameter:
    """A request header that is ignored when it cannot be parsed."""
    return Parameter(name, text, {"type": "string"}, "header", example=example)


_OF_NOTHING = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"
REPR_DIGEST = header("Repr-Digest", "The file's SHA-256 (RFC 9530), verified.", _OF_NOTHING)
CONTENT_DIGEST = header("Content-Digest", "The SHA-256 of a raw body, verified.", _OF_NOTHING)
PIECE_DIGEST = header(
    "Content-Digest",
    "The piece's CRC-32C (RFC 9530): four bytes, big-endian, in Base64. It is verified.",
    "crc32c=:AAAAAA==:",
)
PLAIN_CRC32C = Parameter(
    "X-Lading-Crc32c", "The piece's CRC-32C as a number.", integer(0xFFFFFFFF), "header"
)
CONDITIONS = (
    header("Range", "The requested bytes, such as `bytes=0-99`; up to 64 ranges.", "bytes=0-99"),
    header("If-Range", "An `ETag` or date. If the file has changed, all of it is sent."),
    header("If-None-Match", "The `ETag` of the client's copy."),
    header("If-Modified-Since", "The `Last-Modified` of the client's copy."),
    header("If-Match", "The `ETag` that the file must have."),
    header("If-Unmodified-Since", "The file must not have changed since."),
)
PRECONDITIONS = (
    header("If-Match", "The `ETag` that the file or its manifest must have."),
    header("If-Unmodified-Since", "The file must not have changed since."),
    header("If-None-Match", "The `ETag` that neither of them may have."),
)
MANIFEST_CONDITIONS = (
    header("If-None-Match", "The `ETag` of the client's copy."),
    header("If-Match", "The `ETag` that the manifest must have."),
)
PLAY = Parameter(
    "play",
    "`1` waits like a browser's player for bytes of an upload that is still arriving.",
    {"type": "string"},
)
PREFER = header(
    "Prefer",
    "`wait=N`: wait for bytes that have not arrived yet (RFC 7240). `delivery=self`: Lading sends "
    "the bytes itself, and no proxy or bucket.",
)
BYTES_WANTED = (DOWNLOAD, PLAY, ANEW, PREFER, *CONDITIONS)

MODIFIED = Parameter(
    "modified_at",
    "When the file was last changed where it comes from.",
    {"type": "string", "format": "date-time"},
    example="2026-11-21T10:57:27Z",
)
NEW_FILE = (NAME, DIRECTORY, FILE_TAG, KIND, MODIFIED, REPR_DIGEST, CONTENT_DIGEST)
PUBLIC = Parameter(
    "public",
    "`true` lets anyone fetch the file, without a credential.",
    {"type": "string", "enum": ["true", "false"]},
)
OWN_FILE = (*NEW_FILE, PUBLIC, USER)
OWN_FILE_QUERY = (NAME, DIRECTORY, FILE_TAG, KIND, MODIFIED, PUBLIC, USER)

# -- bodies and replies


def json_body(model: Model, example: Any, *, required: bool = True) -> Body:
    """A JSON object; its media type is not checked."""
    return Body({JSON: model}, "At most 64 KiB.", required, example)


def ok(model: Model, text: str) -> dict[int, Reply]:
    """A 200 with JSON."""
    return {200: Reply(text, {JSON: model})}


def created(
    model: Model, text: str, location: str, links: Mapping[str, str] | None = None
) -> dict[int, Reply]:
    """A 201 with JSON and a `Location`."""
    return {201: Reply(text, {JSON: model}, {"Location": location}, links or {})}


def no_content(text: str) -> dict[int, Reply]:
    """A 204."""
    return {204: Reply(text)}


FILE_BODY = Body(
    {
        BYTES: {"type": "string", "format": "binary"},
        "multipart/form-data": {
            "type": "object",
            "properties": {"file": {"type": "string", "format": "binary"}},
            "required": ["file"],
        },
    },
    "The file itself, with its own media type, or a form with one file or several.",
    required=False,
)
FORM_OR_JSON = replace(FILE_BODY, content={**FILE_BODY.content, JSON: FileInJson})
PIECE_BODY = Body({BYTES: {"type": "string", "format": "binary"}}, "The bytes of the piece.")

ANYTHING: dict[str, Schema] = {"*/*": {}}
FILE_BYTES = {
    200: Reply(
        "The bytes, in the file's own media type.",
        ANYTHING,
        {
            "Accept-Ranges": "`bytes`",
            "Content-Disposition": "How to show the file, and its name.",
            "ETag": "Strong; absent while the upload is in progress.",
            "Last-Modified": "Absent while the upload is in progress.",
            "Repr-Digest": "The SHA-256, if it is known.",
        },
    ),
    206: Reply(
        "The requested ranges; several are sent as `multipart/byteranges`.",
        ANYTHING,
        {
            "Content-Range": "The range that is sent; the total is `*` while it is not known.",
            "Preference-Applied": "The seconds that the request would have waited.",
        },
    ),
    304: Reply("The client's copy is current.", {}, {"ETag": "The tag of that copy."}),
    307: Reply(
        "The bucket sends the bytes; only with `LADING_S3_REDIRECT`.",
        {},
        {"Location": "An address that is good for an hour at most.", "ETag": "The file's own."},
    ),
}

# -- problems

NO_SPACE = (QuotaExceeded, StorageFull)
NO_FILE = (NotFound, Gone, Rejected)
BYTES_REFUSED = (*NO_FILE, RangeNotSatisfiable, PreconditionFailed)
PICTURE_REFUSED = (*BYTES_REFUSED, NotReady, UnprocessableImage, QuotaExceeded)
CHANGE_REFUSED = (*NO_FILE, PreconditionFailed)
FILE_REFUSED = (ChecksumMismatch, TooLarge, UnsupportedMediaType, *NO_FILE, *NO_SPACE)
"""A file in one request; somebody may delete it while it arrives."""

APPROVING = {
    202: Reply(
        "The file waits for approval; `state` is `approving`.",
        {JSON: StoredFiles},
        {"Location": "The address of the file's bytes."},
    )
}
"""What a request gets that brings a whole file, where the site approves files first."""
