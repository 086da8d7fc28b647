"""The words in which an operation of the HTTP API is described: parameters, bodies, answers.

It owns what many operations have in common. `server/operations.py` says what each one does, and
`server/openapi.py` makes the document of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel

from lading.protocol.errors import (
    ChecksumMismatch,
    Gone,
    LadingError,
    NotFound,
    QuotaExceeded,
    RangeNotSatisfiable,
    StorageFull,
    TooLarge,
    UnsupportedMediaType,
)
from lading.protocol.grants import HIGHEST_QUALITY
from lading.protocol.manifest import MAX_INTEGER
from lading.protocol.spec import ID, MAX_NAME, MAX_TAG, MAX_TAGS, MAX_USER_ID, TAG
from lading.server.access.grants import TOKEN

Schema = dict[str, Any]
Place = Literal["path", "query", "header"]

JSON = "application/json"
PROBLEM = "application/problem+json"
BYTES = "application/octet-stream"
NO_NUL = r"^[^\x00]*$"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value in a request's address or fields; `example` is one that works."""

    name: str
    text: str
    schema: Schema
    place: Place = "query"
    required: bool = False
    example: Any = None


@dataclass(frozen=True, slots=True)
class Body:
    """What a request carries: for each media type a model or a schema."""

    content: Mapping[str, type[BaseModel] | Schema]
    text: str = ""
    required: bool = True
    example: Any = None


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is no refusal.

    `leads_to` names operations that can follow, and where in the answer their path parameter is.
    """

    text: str
    content: Mapping[str, type[BaseModel] | Schema] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    leads_to: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one address. `name` is stable: generated clients call it so.

    `refuses` holds what the operation refuses by itself; what a missing credential, a slow request
    and the like lead to is added to it. `open` operations need no credential; `head` says that
    HEAD is of use there, too.
    """

    name: str
    group: str
    summary: str
    replies: Mapping[int, Reply]
    text: str = ""
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    refuses: tuple[type[LadingError], ...] = ()
    open: bool = False
    head: bool = False


def one(model: type[BaseModel], text: str) -> dict[int, Reply]:
    """A 200 with a JSON object."""
    return {200: Reply(text, {JSON: model})}


def nothing(text: str) -> dict[int, Reply]:
    """A 204."""
    return {204: Reply(text)}


def json_body(model: type[BaseModel], example: Any, *, required: bool = True) -> Body:
    """A JSON object; its media type is not looked at."""
    return Body({JSON: model}, "At most 64 KiB.", required, example)


def whole(pattern: re.Pattern[str]) -> str:
    """A pattern that is for the whole text, as a schema has it."""
    return f"^(?:{pattern.pattern})$"


_NAME = {"type": "string", "maxLength": MAX_NAME, "pattern": NO_NUL}
_TAG_SCHEMA = {"type": "string", "minLength": 1, "maxLength": MAX_TAG, "pattern": whole(TAG)}
_TAGS = {"type": "array", "items": _TAG_SCHEMA, "maxItems": MAX_TAGS}

PATH = {
    "id": Parameter(
        "id",
        "24 lower-case hexadecimal digits.",
        {"type": "string", "pattern": whole(ID)},
        "path",
        True,
        "6b0179176249a43ed26a4b6e",
    ),
    "slice_start": Parameter(
        "slice_start",
        "The place of the piece's first byte in the file.",
        {"type": "integer", "minimum": 0, "maximum": MAX_INTEGER},
        "path",
        True,
        0,
    ),
    "token": Parameter(
        "token",
        "The token of a grant; it is the credential.",
        {"type": "string", "pattern": whole(TOKEN)},
        "path",
        True,
        "lg_kxtyUW5rbY2Hq0rZ7v1nTgJ8mCwLxEoPsAqDfIuB3Ka",
    ),
    "quality": Parameter(
        "quality",
        "0 is the original, 1 to 6 are images made of it.",
        {"type": "integer", "minimum": 0, "maximum": HIGHEST_QUALITY},
        "path",
        True,
        0,
    ),
    "name": Parameter("name", "The tag.", _TAG_SCHEMA, "path", True, "holiday"),
    "file": Parameter(
        "file",
        "A name that the page, or a module, names.",
        {"type": "string", "minLength": 1},
        "path",
        True,
        "lading.js",
    ),
    "user_id": Parameter(
        "user_id",
        "A user.",
        {"type": "string", "minLength": 1, "maxLength": MAX_USER_ID, "pattern": NO_NUL},
        "path",
        True,
        "ann",
    ),
}

LIMIT = Parameter(
    "limit", "How many; 100 if not given.", {"type": "integer", "minimum": 1, "maximum": 1000}
)
CURSOR = Parameter(
    "cursor",
    "The `cursor` of the page before.",
    {"type": "string", "pattern": whole(ID)},
)
TAG_CURSOR = Parameter("cursor", "The `cursor` of the page before.", _TAG_SCHEMA)
DIRECTORY = Parameter("directory", "Where the file is said to be.", _NAME, example="2026/june")
TAG_OF_FILE = Parameter("tag", "A tag of the file; may be repeated.", _TAGS, example=["holiday"])
NAME = Parameter("name", "The file's name; wins over a form's.", _NAME, example="photo.jpg")
DOWNLOAD = Parameter("download", "`1` to have the file offered as a download.", {"type": "string"})


def header(name: str, text: str, example: str | None = None) -> Parameter:
    """A header field of a request; one that is not understood is as good as none."""
    return Parameter(name, text, {"type": "string"}, "header", example=example)


_OF_NOTHING = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"
REPR_DIGEST = header("Repr-Digest", "The file's SHA-256 (RFC 9530); it is checked.", _OF_NOTHING)
CONTENT_DIGEST = header("Content-Digest", "The same of a raw body.", _OF_NOTHING)
PIECE_DIGEST = header(
    "Content-Digest",
    "The piece's CRC-32C (RFC 9530): four bytes, big-endian, in Base64. It is checked.",
    "crc32c=:AAAAAA==:",
)
PLAIN_CRC32C = Parameter(
    "X-Lading-Crc32c",
    "The same as a number.",
    {"type": "integer", "minimum": 0, "maximum": 0xFFFFFFFF},
    "header",
)
CONDITIONS = (
    header(
        "Range", "The bytes that are wanted, such as `bytes=0-99`; up to 64 ranges.", "bytes=0-99"
    ),
    header("If-Range", "The `ETag` or date under which the range is wanted, else all is sent."),
    header("If-None-Match", "The `ETag` of the copy that is there already."),
    header("If-Modified-Since", "The `Last-Modified` of that copy."),
)

FILE_BODY = Body(
    {
        BYTES: {"type": "string", "format": "binary"},
        "multipart/form-data": {
            "type": "object",
            "properties": {"file": {"type": "string", "format": "binary"}},
            "required": ["file"],
        },
    },
    "The file itself, with its own media type, or a form with exactly one file part.",
    required=False,
)
BINARY = Body({BYTES: {"type": "string", "format": "binary"}}, "The bytes of the piece.")

ANYTHING: dict[str, type[BaseModel] | Schema] = {"*/*": {}}
STORED_BYTES = {
    200: Reply(
        "The bytes, in the file's own media type.",
        ANYTHING,
        {
            "Accept-Ranges": "`bytes`",
            "Content-Disposition": "How to show it, and its name.",
            "ETag": "Strong; not while the upload is still arriving.",
            "Last-Modified": "Likewise.",
            "Repr-Digest": "The SHA-256, where it is known.",
        },
    ),
    206: Reply(
        "The ranges that were asked for; several come as `multipart/byteranges`.",
        ANYTHING,
        {"Content-Range": "Which bytes these are; its total is `*` while it is not known."},
    ),
    304: Reply("The copy that is there already is still good.", {}, {"ETag": "Of that copy."}),
}

ROOM = (QuotaExceeded, StorageFull)
A_FILE = (NotFound, Gone, RangeNotSatisfiable)
"""What the bytes of a file may be refused with."""
A_FILE_TAKEN = (ChecksumMismatch, TooLarge, UnsupportedMediaType, NotFound, Gone, *ROOM)
"""What a file in one request may be refused with; it may be deleted while it arrives."""
