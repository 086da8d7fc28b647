"""Media: files that are sent to a presigned address."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from lading.protocol.manifest import MAX_INTEGER
from lading.protocol.spec import UploadSpec
from lading.server.http.schemas import types
from lading.server.http.schemas.files import Manifest
from lading.server.http.schemas.kinds import Kind


class NewMedia(types.RequestBody):
    """A file that will be sent to a presigned address."""

    name: types.Name = "unnamed"
    size: types.Whole = Field(ge=0, le=MAX_INTEGER)
    sha256: types.Digest
    mime_type: types.MimeType | None = None
    directory: types.Directory = ""
    tags: types.Tags = Field(default_factory=list)
    fingerprint: types.Fingerprint | None = None
    kind: types.KindName | None = None
    modified_at: types.Time | None = None
    public: types.Truth = False
    user_id: types.UserId | None = None

    def spec(self) -> UploadSpec:
        """The same for `Uploads.create`, which checks the values."""
        return UploadSpec(**{**self.model_dump(exclude={"user_id"}), "tags": tuple(self.tags)})


class MediaParts(TypedDict):
    """The parts of a file that is too large for one PUT to its bucket."""

    size: Annotated[types.Size, Field(description="Bytes of a part; the last one has the rest.")]
    count: Annotated[int, Field(ge=1)]
    url: Annotated[str, Field(description="Where the addresses of the parts are found.")]
    headers: Annotated[dict[str, str], Field(description="To send there: the credential for it.")]


class MediaUpload(TypedDict):
    """The address to send the bytes to; it needs no other credential."""

    method: Literal["PUT"]
    url: str
    headers: Annotated[dict[str, str], Field(description="Headers to send with the bytes.")]
    expires_at: types.Moment
    direct: NotRequired[Annotated[Literal[True], Field(description="`url` is the bucket's.")]]
    parts: NotRequired[MediaParts]


class MediaPart(TypedDict):
    """One part: where it begins, and where it is sent by PUT, without another credential."""

    number: Annotated[int, Field(ge=1)]
    start: types.Size
    size: types.Size
    stored: Annotated[bool, Field(description="Whether the bucket has it.")]
    url: str
    headers: dict[str, str]


class PartList(TypedDict):
    """Some parts; `next` is the number to ask for next, null after the last part."""

    parts: list[MediaPart]
    next: int | None
    expires_at: types.Moment


class NewMedium(TypedDict):
    """A medium whose bytes are still to be sent."""

    media: Manifest
    upload: MediaUpload
    kind_rules: NotRequired[Kind]
    """What its kind asks for; only where one was named."""


class MediaDownload(TypedDict):
    """The address of the bytes; anyone can use it until it expires."""

    url: str
    expires_at: types.Moment


class Medium(TypedDict):
    """A medium; `download` is null until it is published.

    `upload` is where the bytes are sent: null once it is published, and for an upload that was not
    announced with its size and SHA-256.
    """

    media: Manifest
    upload: MediaUpload | None
    download: MediaDownload | None
