"""The values that requests and answers are made of, each with its limits."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    WithJsonSchema,
)

from lading.protocol.grants import MAX_PASSWORD, MAX_SENDER
from lading.protocol.media_types import MAX_MEDIA_TYPE, MEDIA_TYPE
from lading.protocol.spec import (
    FIRST_MOMENT,
    LAST_MOMENT,
    MAX_FINGERPRINT,
    MAX_KIND,
    MAX_NAME,
    MAX_TAG,
    MAX_TAGS,
    MAX_USER_ID,
    TAG,
    each_once,
)

NO_NUL = r"^[^\x00]*$"
ID_PATTERN = "^[0-9a-f]{24}$"
SHA256_PATTERN = "^[0-9a-f]{64}$"


class RequestBody(BaseModel):
    """A JSON body. Types are exact: no number is read from a string, no string from a number.

    An unknown field is refused: with a misspelt name, a bound would bind nothing.
    """

    model_config = ConfigDict(strict=True, extra="forbid")


class NoFields(RequestBody):
    """The body of a request that takes none."""


# -- in requests


def _described(meaning: str, **limits: Any) -> Any:
    """Limits for `/openapi.json` only: `protocol/spec.py` checks the value."""
    return Field(description=meaning, json_schema_extra=limits)


def _whole(value: Any) -> Any:
    """JSON has one kind of number: 2.0 is the integer 2."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_whole)]
Truth = StrictBool
Name = Annotated[
    str, _described("The file's name.", minLength=1, maxLength=MAX_NAME, pattern=NO_NUL)
]
Directory = Annotated[str, _described("The file's directory.", maxLength=MAX_NAME, pattern=NO_NUL)]
Tag = Annotated[
    str,
    _described(
        "A word to find files by.", minLength=1, maxLength=MAX_TAG, pattern=f"^(?:{TAG.pattern})$"
    ),
]
Tags = Annotated[
    list[Tag],
    AfterValidator(lambda tags: list(each_once(tuple(tags)))),
    _described("Words to find the file by.", maxItems=MAX_TAGS),
]
MimeType = Annotated[
    str,
    _described(
        "Detected, if not given.", maxLength=MAX_MEDIA_TYPE, pattern=f"^(?:{MEDIA_TYPE.pattern})$"
    ),
]
MimeTypes = Annotated[
    str,
    _described(
        "`image/png`, or `image/*` for every image type.",
        pattern=r"^[a-z0-9!#$&^_.+-]+/(?:\*|[a-z0-9!#$&^_.+-]+)$",
    ),
]
Digest = Annotated[
    str,
    _described(
        "The file's SHA-256 in lower-case hexadecimal; it is verified.", pattern=SHA256_PATTERN
    ),
]
Fingerprint = Annotated[
    str,
    _described(
        "The client's own mark for the file, to find the upload again.",
        minLength=1,
        maxLength=MAX_FINGERPRINT,
        pattern=NO_NUL,
    ),
]
KindName = Annotated[
    str,
    _described("The kind of the file; see `GET /v1/kinds`.", minLength=1, maxLength=MAX_KIND),
]
SenderName = Annotated[
    str,
    _described("Who sends the files.", minLength=1, maxLength=MAX_SENDER, pattern=NO_NUL),
]
LinkPassword = Annotated[
    str,
    _described("What visitors must know.", minLength=1, maxLength=MAX_PASSWORD, pattern=NO_NUL),
]
UserId = Annotated[
    str,
    _described(
        "The owner; the caller, if not given.",
        minLength=1,
        maxLength=MAX_USER_ID,
        pattern=NO_NUL,
    ),
]


def _parsed(value: Any) -> float:
    if not isinstance(value, str):
        raise ValueError("must be a string such as 2026-11-21T10:57:27Z")
    return parse_moment(value)


Time = Annotated[
    float,
    BeforeValidator(_parsed),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A time in a request, as Unix seconds."""
FileId = Annotated[str, _described("The file's id.", pattern=ID_PATTERN)]


# -- in answers

Id = Annotated[str, Field(pattern=ID_PATTERN, examples=["6b0179176249a43ed26a4b6e"])]
Sha256 = Annotated[str, Field(pattern=SHA256_PATTERN)]
Moment = Annotated[
    str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-11-21T10:57:27.142Z"])
]
Size = Annotated[int, Field(ge=0)]
"""A number of bytes."""
Gap = Annotated[
    list[Size],
    Field(min_length=2, max_length=2, description="`[start, end]`; the byte at `end` is excluded."),
]


def parse_moment(text: str) -> float:
    """The Unix seconds of a time as RFC 3339 writes it, to the millisecond; raises ValueError.

    A time zone may lead out of the calendar by some hours; then it is the calendar's end.
    """
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is None or "T" not in text.upper():
            raise ValueError
        return min(max(round(found.timestamp(), 3), FIRST_MOMENT), LAST_MOMENT)
    except ValueError:
        raise ValueError("must be a time such as 2026-11-21T10:57:27Z") from None


def moment(seconds: float) -> str:
    """A time as RFC 3339 in UTC, with milliseconds."""
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
