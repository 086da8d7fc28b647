"""Media: files that are sent to a presigned address."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from typing_extensions import TypedDict

from lading.protocol.manifest import MAX_INTEGER
from lading.protocol.spec import UploadSpec
from lading.server.http.schemas import types
from lading.server.http.schemas.files import Manifest


class NewMedia(types.RequestBody):
    """A file that will be sent to a presigned address."""

    name: types.Name = "unnamed"
    size: types.Whole = Field(ge=0, le=MAX_INTEGER)
    sha256: types.Digest
    mime_type: types.MimeType | None = None
    directory: types.Directory = ""
    tags: types.Tags = Field(default_factory=list)
    public: types.Truth = False
    user_id: types.UserId | None = None

    def spec(self) -> UploadSpec:
        """The same for `Uploads.create`, which checks the values."""
        return UploadSpec(**{**self.model_dump(exclude={"user_id"}), "tags": tuple(self.tags)})


class MediaUpload(TypedDict):
    """The address to send the bytes to; it needs no other credential."""

    method: Literal["PUT"]
    url: str
    headers: dict[str, str]
    expires_at: types.Moment


class NewMedium(TypedDict):
    """A medium whose bytes are still to be sent."""

    media: Manifest
    upload: MediaUpload


class MediaDownload(TypedDict):
    """The address of the bytes; anyone can use it until it expires."""

    url: str
    expires_at: types.Moment


class Medium(TypedDict):
    """A medium; `download` is null until it is published."""

    media: Manifest
    download: MediaDownload | None
