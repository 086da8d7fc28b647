"""The JSON bodies that requests may carry, as models: what they hold and of which types.

Values are checked where they mean something (`protocol/spec.py`). `/openapi.json` is made of these.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, model_validator

from protocol.grants import HIGHEST_QUALITY, MAX_SECONDS, ORIGINAL
from protocol.manifest import MAX_INTEGER
from protocol.spec import UploadSpec


class Body(BaseModel):
    """Types are exact: no number is read from a text, no text from a number."""

    model_config = ConfigDict(strict=True)


class NewUpload(Body):
    """A new upload, as CREATE of the channel has it."""

    name: str
    size: int | None = Field(default=None, ge=0, le=MAX_INTEGER)
    mime_type: str | None = None
    directory: str = ""
    tags: list[str] = Field(default_factory=list)
    sha256: str | None = None
    fingerprint: str | None = None
    chunk_size: int | None = None

    def spec(self) -> UploadSpec:
        """The same for `Uploads.create`, which checks the values."""
        return UploadSpec(**{**self.model_dump(), "tags": tuple(self.tags)})


class FinishUpload(Body):
    """The end of an upload: its size where it was not known, its SHA-256 to be verified."""

    size: int | None = Field(default=None, ge=0, le=MAX_INTEGER)
    sha256: str | None = None


class ChangeFile(Body):
    """What can be changed of a file; what is left out stays."""

    name: str | None = None
    directory: str | None = None
    tags: list[str] | None = None


class SetQuota(Body):
    """A user's limit in bytes; null for none."""

    quota: int | None = Field(ge=0, le=MAX_INTEGER)


HOUR = 3600.0


class _Grant(Body):
    """What both kinds of grants have. A field that is not known is refused: a bound with a slip of
    the pen in its name would bind nothing."""

    model_config = ConfigDict(extra="forbid")

    user_id: str | None = None
    expires_in: float = Field(default=HOUR, gt=0, le=MAX_SECONDS)


class NewUploadGrant(_Grant):
    """A grant to upload; what is left out is the bearer's to choose."""

    action: Literal["upload"]
    name: str | None = None
    directory: str | None = None
    size: int | None = Field(default=None, ge=0, le=MAX_INTEGER)
    max_size: int | None = Field(default=None, ge=0, le=MAX_INTEGER)
    sha256: str | None = None
    mime_types: list[str] | None = Field(default=None, min_length=1)
    uses: int | None = Field(default=None, ge=1, le=MAX_INTEGER)


class NewDownloadGrant(_Grant):
    """A grant to download one file, in every quality or in one."""

    action: Literal["download"]
    file_id: str
    quality: int | None = Field(default=None, ge=ORIGINAL, le=HIGHEST_QUALITY)


class NewGrant(RootModel[NewUploadGrant | NewDownloadGrant]):
    """A grant; `action` says of which kind."""

    root: Annotated[NewUploadGrant | NewDownloadGrant, Field(discriminator="action")]

    @model_validator(mode="before")
    @classmethod
    def _says_what_for(cls, value: Any) -> Any:
        if value.get("action") not in ("upload", "download"):
            raise ValueError("action must be upload or download")
        return value
