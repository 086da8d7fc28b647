"""Files: their manifests, lists, and changes. Source: page 4 of the design, "Shapes"."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from lading.protocol import manifest as domain
from lading.server.http.schemas.types import (
    Directory,
    Id,
    Moment,
    Name,
    RequestBody,
    Sha256,
    Size,
    Tags,
    moment,
)
from lading.storage.contents import identity


class Manifest(TypedDict):
    """The description of a file, or of an upload in progress."""

    _id: Id
    user_id: Annotated[str, Field(description="The owner.")]
    name: str
    directory: str
    size: Annotated[Size | None, Field(description="null while it is not known")]
    mime_type: str
    upload_size: Annotated[Size, Field(description="The number of stored bytes.")]
    upload_end: Annotated[bool, Field(description="Whether the upload is finished.")]
    state: Literal["uploading", "ready"]
    chunk_size: Annotated[
        int, Field(ge=1, description="Bytes of a cell; no piece crosses its border.")
    ]
    sha256: Annotated[Sha256 | None, Field(description="null when none was declared")]
    crc32c: Annotated[
        int | None, Field(ge=0, le=0xFFFFFFFF, description="null until the file is ready")
    ]
    tags: list[str]
    created_at: Moment
    updated_at: Moment
    expires_at: Annotated[Moment | None, Field(description="null for a file")]


class Chunk(TypedDict):
    """One stored piece."""

    object_id: Annotated[str, Field(description="The `_id` of its document, in hexadecimal.")]
    slice_start: Size
    size: Size


class ManifestWithChunks(Manifest):
    """A manifest with all stored pieces, in the order of the file."""

    chunks: list[Chunk]


class FileList(TypedDict):
    """One page of files; `cursor` requests the next page."""

    files: list[Manifest]
    cursor: Annotated[Id | None, Field(description="null on the last page")]


class DeletedDirectory(TypedDict):
    """The number of files that were deleted, subdirectories included."""

    directory: str
    deleted: Annotated[int, Field(ge=0)]


class ChangeFile(RequestBody):
    """The changes to a file; fields that are left out keep their values."""

    name: Name | None = None
    directory: Directory | None = None
    tags: Tags | None = None


def manifest_of(manifest: domain.Manifest, upload_size: int | None = None) -> Manifest:
    """A manifest without its chunks; `upload_size` replaces the one that lags behind."""
    return Manifest(
        _id=manifest.id,
        user_id=manifest.user_id,
        name=manifest.name,
        directory=manifest.directory,
        size=manifest.size,
        mime_type=manifest.mime_type,
        upload_size=manifest.upload_size if upload_size is None else upload_size,
        upload_end=manifest.upload_end,
        state="ready" if manifest.state is domain.State.READY else "uploading",
        chunk_size=manifest.chunk_size,
        sha256=manifest.sha256,
        crc32c=manifest.crc32c,
        tags=list(manifest.tags),
        created_at=moment(manifest.created_at),
        updated_at=moment(manifest.updated_at),
        expires_at=None if manifest.expires_at is None else moment(manifest.expires_at),
    )


def chunk_of(manifest: domain.Manifest, piece: domain.Piece) -> Chunk:
    """One entry of a manifest's `chunks`."""
    return Chunk(
        object_id=identity(manifest, piece).hex(), slice_start=piece.slice_start, size=piece.size
    )
