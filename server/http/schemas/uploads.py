"""Uploads in progress."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from lading.protocol import manifest as domain
from lading.protocol.manifest import MAX_INTEGER
from lading.protocol.spec import UploadSpec
from lading.server.http.schemas import types
from lading.server.http.schemas.files import Manifest, manifest_of
from lading.server.http.schemas.kinds import Kind


class NewUpload(types.RequestBody):
    """A new upload, as in CREATE of the WebSocket channel."""

    name: types.Name
    size: types.Whole | None = Field(default=None, ge=0, le=MAX_INTEGER)
    mime_type: types.MimeType | None = None
    directory: types.Directory = ""
    tags: types.Tags = Field(default_factory=list)
    sha256: types.Digest | None = None
    fingerprint: types.Fingerprint | None = None
    chunk_size: types.Whole | None = Field(default=None, json_schema_extra={"minimum": 1})
    kind: types.KindName | None = None
    modified_at: types.Time | None = None
    public: types.Truth = False
    replaces: types.FileId | None = None
    user_id: types.UserId | None = None

    def spec(self) -> UploadSpec:
        """The same for `Uploads.create`, which checks the values."""
        return UploadSpec(**{**self.model_dump(exclude={"user_id"}), "tags": tuple(self.tags)})


class FinishUpload(types.RequestBody):
    """The end of an upload: its size if it was not known, its SHA-256 to verify."""

    size: types.Whole | None = Field(default=None, ge=0, le=MAX_INTEGER)
    sha256: types.Digest | None = None


class Upload(Manifest):
    """An upload, with the ranges that are not stored."""

    fingerprint: str | None
    replaces: Annotated[
        types.Id | None, Field(description="The file whose bytes it is to replace.")
    ]
    approving: Annotated[
        bool,
        Field(
            description="Whether all bytes are there, and the site decides on the file. `state` is "
            "`uploading` meanwhile."
        ),
    ]
    missing: list[types.Gap]


class CreatedUpload(Upload):
    """A new upload, with what its kind asks for."""

    kind_rules: NotRequired[Kind]
    """What its kind asks for; only where one was named."""


class UploadList(TypedDict):
    """Uploads that can be resumed."""

    uploads: list[Upload]
    cursor: None


class StoredPiece(TypedDict):
    """A durable piece."""

    slice_start: types.Size
    size: types.Size
    upload_size: Annotated[
        types.Size, Field(description="The number of stored bytes of the upload.")
    ]


class Verifying(TypedDict):
    """An upload whose bytes are read back; the request is to be repeated."""

    state: Literal["verifying"]
    done: Annotated[types.Size, Field(description="The bytes that are verified.")]
    total: Annotated[types.Size, Field(description="The bytes of the file; 0 at first.")]


def upload_of(manifest: domain.Manifest, stored: domain.Coverage) -> Upload:
    """An unfinished upload: its exact manifest, and the ranges that are missing.

    One that waits for approval is told by `approving`. Older clients take every state that they do
    not know for `ready`, and would not finish it again.
    """
    shown = manifest_of(manifest, stored.upload_size)
    if shown["state"] == "approving":
        shown["state"] = "uploading"
    return Upload(
        **shown,
        approving=manifest.approving,
        fingerprint=manifest.fingerprint,
        replaces=manifest.replaces,
        missing=[list(gap) for gap in stored.missing],
    )
