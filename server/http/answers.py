"""The JSON answers as models: the shapes that `/openapi.json` describes.

The routes build their answers themselves, quickly, from what they hold; these say what comes out,
and the tests compare real answers with them. Source: page 4 of the design, "Shapes".
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from lading.protocol.errors import CATALOGUE

Id = Annotated[str, Field(pattern="^[0-9a-f]{24}$", examples=["6b0179176249a43ed26a4b6e"])]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Moment = Annotated[
    str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-11-21T10:57:27.142Z"])
]
"""A time as RFC 3339 in UTC."""
Size = Annotated[int, Field(ge=0)]
"""A number of bytes."""
Gap = Annotated[
    list[Size],
    Field(min_length=2, max_length=2, description="`[start, end]`, without the byte at `end`."),
]


class Answer(BaseModel):
    """An object of which every field that is named here is always there."""

    model_config = ConfigDict(populate_by_name=True)


class Manifest(Answer):
    """What is known of a file, or of an upload that is still arriving."""

    id: Id = Field(alias="_id")
    user_id: str = Field(description="Whose it is.")
    name: str
    directory: str
    size: Size | None = Field(description="null while it is not known")
    mime_type: str
    upload_size: Size = Field(description="How many bytes are stored.")
    upload_end: bool = Field(description="Whether the upload is finished.")
    state: Literal["uploading", "ready"]
    chunk_size: int = Field(ge=1, description="Bytes of a cell; no piece crosses its border.")
    sha256: Sha256 | None = Field(description="null when none was declared")
    crc32c: int | None = Field(ge=0, le=0xFFFFFFFF, description="null until the file is ready")
    tags: list[str]
    created_at: Moment
    updated_at: Moment
    expires_at: Moment | None = Field(description="null for a file")


class Chunk(Answer):
    """One stored piece."""

    object_id: str = Field(description="The `_id` of its document, in hexadecimal.")
    slice_start: Size
    size: Size


class ManifestWithChunks(Manifest):
    """A manifest with all pieces that are stored, in the order of the file."""

    chunks: list[Chunk]


class FileList(Answer):
    """One page of files; `cursor` leads to the next one."""

    files: list[Manifest]
    cursor: Id | None = Field(description="null on the last page")


class DeletedDirectory(Answer):
    """How many files a directory had, with those below it."""

    directory: str
    deleted: int = Field(ge=0)


class Upload(Manifest):
    """An upload, with the ranges that are not stored."""

    fingerprint: str | None
    missing: list[Gap]


class UploadList(Answer):
    """Uploads that can be gone on with."""

    uploads: list[Upload]
    cursor: None


class StoredPiece(Answer):
    """A piece that is durable."""

    slice_start: Size
    size: Size
    upload_size: Size = Field(description="How many bytes of the upload are stored.")


class MintedGrant(Answer):
    """A new grant. Its token is told this once."""

    id: Id
    token: str
    url: str = Field(description="Where it is used over HTTP.")
    ws_url: str = Field(description="Where it is used over WebSocket.")
    expires_at: Moment


class _AnyGrant(Answer):
    id: Id
    user_id: str
    minter: str
    created_at: Moment
    expires_at: Moment


class UploadGrant(_AnyGrant):
    """A grant to upload; what is null is not bound."""

    action: Literal["upload"]
    name: str | None
    directory: str | None
    size: Size | None
    max_size: Size | None
    sha256: Sha256 | None
    mime_types: list[str]
    uses: int = Field(ge=1)
    used: int = Field(ge=0)


class DownloadGrant(_AnyGrant):
    """A grant to download one file."""

    action: Literal["download"]
    file_id: Id
    quality: int | None = Field(ge=0, le=6)


class Grant(RootModel[UploadGrant | DownloadGrant]):
    """A grant, without its token."""

    root: Annotated[UploadGrant | DownloadGrant, Field(discriminator="action")]


class GrantList(Answer):
    """One page of the grants that the caller minted."""

    grants: list[Grant]
    cursor: Id | None = Field(description="null on the last page")


class MediaUpload(Answer):
    """Where the bytes are to be sent, without any other credential."""

    method: Literal["PUT"]
    url: str
    headers: dict[str, str]
    expires_at: Moment


class NewMedium(Answer):
    """A medium whose bytes are still to be sent."""

    media: Manifest
    upload: MediaUpload


class MediaDownload(Answer):
    """Where the bytes are, for anyone, until it expires."""

    url: str
    expires_at: Moment


class Medium(Answer):
    """A medium; `download` is null until it is published."""

    media: Manifest
    download: MediaDownload | None


class Tag(Answer):
    """A tag, and how many files have it."""

    name: str
    files: int = Field(ge=0)


class TagList(Answer):
    """One page of the caller's tags, by name."""

    tags: list[Tag]
    cursor: str | None = Field(description="null on the last page")


class Usage(Answer):
    """What a user has stored and may store, in bytes."""

    user_id: str
    used: Size = Field(description="By finished files.")
    reserved: Size = Field(description="By uploads under way.")
    quota: Size | None = Field(description="null for no limit")


class Status(Answer):
    """The process is well."""

    status: Literal["ok"]
    version: str


class Health(Answer):
    """How the parts are."""

    status: Literal["ok", "unavailable"]
    version: str
    database: str = Field(description="`ok`, or the code of what is wrong.")
    draining: bool = Field(description="Whether the server is shutting down.")


class Problem(BaseModel):
    """Why something was refused (RFC 9457). `code` decides what to do; the texts may change."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(pattern="^urn:lading:problem:[a-z-]+$")
    status: int = Field(ge=400, le=599)
    code: str = Field(json_schema_extra={"enum": list(CATALOGUE)})
    title: str = Field(description="What the code means.")
    detail: str = Field(default="", description="What happened this time, and what to do.")
    retryable: bool = Field(description="Whether the same request may succeed later.")
    limit: Size | None = Field(default=None, description="The most bytes.")
    used: Size | None = Field(default=None, description="Bytes of finished files.")
    reserved: Size | None = Field(default=None, description="Bytes of uploads under way.")
    free: Size | None = Field(default=None, description="Bytes left on the database's disk.")
    missing: list[Gap] | None = Field(default=None, description="Ranges that are not stored.")
    upload_size: Size | None = Field(default=None, description="How many bytes are stored.")
    size: Size | None = Field(default=None, description="Bytes of the file.")
