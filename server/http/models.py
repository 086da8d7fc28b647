"""The JSON bodies that requests may carry, as models: what they hold and of which types.

Values are checked where they mean something (`protocol/spec.py`). `/openapi.json` is made of these.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    RootModel,
    model_validator,
)

from lading.protocol.grants import HIGHEST_QUALITY, MAX_MIME_TYPES, MAX_SECONDS, ORIGINAL
from lading.protocol.manifest import MAX_INTEGER
from lading.protocol.spec import (
    MAX_FINGERPRINT,
    MAX_MIME_TYPE,
    MAX_NAME,
    MAX_TAG,
    MAX_TAGS,
    MAX_USER_ID,
    MIME_TYPE,
    TAG,
    UploadSpec,
    each_once,
)

_NO_NUL = r"^[^\x00]*$"


def _described(meaning: str, **limits: Any) -> Any:
    """What `/openapi.json` says of a value; who checks it is told above."""
    return Field(description=meaning, json_schema_extra=limits)


def _whole(value: Any) -> Any:
    """JSON has one kind of numbers: 2.0 is as whole as 2."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_whole)]
Name = Annotated[
    str, _described("What it is called.", minLength=1, maxLength=MAX_NAME, pattern=_NO_NUL)
]
Directory = Annotated[
    str, _described("Where it is said to be.", maxLength=MAX_NAME, pattern=_NO_NUL)
]
Tag = Annotated[
    str,
    _described(
        "A word without dots.", minLength=1, maxLength=MAX_TAG, pattern=f"^(?:{TAG.pattern})$"
    ),
]
Tags = Annotated[
    list[Tag],
    AfterValidator(lambda tags: list(each_once(tuple(tags)))),
    _described("What it is found by.", maxItems=MAX_TAGS),
]
MimeType = Annotated[
    str,
    _described(
        "Guessed, if not given.", maxLength=MAX_MIME_TYPE, pattern=f"^(?:{MIME_TYPE.pattern})$"
    ),
]
MimeTypes = Annotated[
    str,
    _described(
        "`image/png`, or `image/*` for all of a kind.",
        pattern=r"^[a-z0-9!#$&^_.+-]+/(?:\*|[a-z0-9!#$&^_.+-]+)$",
    ),
]
"""A media type without parameters, or all of a kind."""
Digest = Annotated[
    str, _described("Of the file, in lower-case hexadecimal; verified.", pattern="^[0-9a-f]{64}$")
]
Fingerprint = Annotated[
    str,
    _described(
        "What the client knows the file by.",
        minLength=1,
        maxLength=MAX_FINGERPRINT,
        pattern=_NO_NUL,
    ),
]
UserId = Annotated[
    str,
    _described(
        "Whose it is; the caller's, if not given.",
        minLength=1,
        maxLength=MAX_USER_ID,
        pattern=_NO_NUL,
    ),
]
FileId = Annotated[str, _described("The file.", pattern="^[0-9a-f]{24}$")]


class Body(BaseModel):
    """Types are exact: no number is read from a text, no text from a number."""

    model_config = ConfigDict(strict=True)


class NewUpload(Body):
    """A new upload, as CREATE of the channel has it."""

    name: Name
    size: Whole | None = Field(default=None, ge=0, le=MAX_INTEGER)
    mime_type: MimeType | None = None
    directory: Directory = ""
    tags: Tags = Field(default_factory=list)
    sha256: Digest | None = None
    fingerprint: Fingerprint | None = None
    chunk_size: Whole | None = Field(default=None, json_schema_extra={"minimum": 1})

    def spec(self) -> UploadSpec:
        """The same for `Uploads.create`, which checks the values."""
        return UploadSpec(**{**self.model_dump(), "tags": tuple(self.tags)})


class NewMedia(Body):
    """A file that is about to be sent to a presigned address."""

    name: Name = "unnamed"
    size: Whole = Field(ge=0, le=MAX_INTEGER)
    sha256: Digest
    mime_type: MimeType | None = None
    directory: Directory = ""
    tags: Tags = Field(default_factory=list)

    def spec(self) -> UploadSpec:
        """The same for `Uploads.create`, which checks the values."""
        return UploadSpec(**{**self.model_dump(), "tags": tuple(self.tags)})


class FinishUpload(Body):
    """The end of an upload: its size where it was not known, its SHA-256 to be verified."""

    size: Whole | None = Field(default=None, ge=0, le=MAX_INTEGER)
    sha256: Digest | None = None


class ChangeFile(Body):
    """What can be changed of a file; what is left out stays."""

    name: Name | None = None
    directory: Directory | None = None
    tags: Tags | None = None


class NameTag(Body):
    """The name of a new tag, or the new name of one."""

    name: Tag


class SetQuota(Body):
    """A user's limit in bytes; null for none."""

    quota: Whole | None = Field(ge=0, le=MAX_INTEGER)


HOUR = 3600.0
SHORTEST = 0.001
"""Less than this is nothing beside the time it is added to."""


class _Grant(Body):
    """What both kinds of grants have. A field that is not known is refused: a bound with a slip of
    the pen in its name would bind nothing."""

    model_config = ConfigDict(extra="forbid")

    user_id: UserId | None = None
    expires_in: float = Field(default=HOUR, ge=SHORTEST, le=MAX_SECONDS)


class NewUploadGrant(_Grant):
    """A grant to upload; what is left out is the bearer's to choose."""

    action: Literal["upload"]
    name: Name | None = None
    directory: Directory | None = None
    size: Whole | None = Field(default=None, ge=0, le=MAX_INTEGER)
    max_size: Whole | None = Field(default=None, ge=0, le=MAX_INTEGER)
    sha256: Digest | None = None
    mime_types: list[MimeTypes] | None = Field(
        default=None, min_length=1, json_schema_extra={"maxItems": MAX_MIME_TYPES}
    )
    uses: Whole | None = Field(default=None, ge=1, le=MAX_INTEGER)


class NewDownloadGrant(_Grant):
    """A grant to download one file, in every quality or in one."""

    action: Literal["download"]
    file_id: FileId
    quality: Whole | None = Field(default=None, ge=ORIGINAL, le=HIGHEST_QUALITY)


class NewGrant(RootModel[NewUploadGrant | NewDownloadGrant]):
    """A grant; `action` says of which kind."""

    root: Annotated[NewUploadGrant | NewDownloadGrant, Field(discriminator="action")]

    @model_validator(mode="before")
    @classmethod
    def _says_what_for(cls, value: Any) -> Any:
        if value.get("action") not in ("upload", "download"):
            raise ValueError("action must be upload or download")
        return value
