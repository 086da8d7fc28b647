"""Files: their manifests, lists, and changes. Source: page 4 of the design, "Shapes"."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field, PlainSerializer, RootModel
from typing_extensions import TypedDict

from lading.protocol import manifest as domain
from lading.protocol.grants import HIGHEST_QUALITY
from lading.server.http.schemas import service, types
from lading.storage.contents import identity
from lading.storage.homes import scheme


class Media(TypedDict):
    """What an image, a video or an audio file is."""

    kind: Literal["image", "video", "audio"]
    width: Annotated[int | None, Field(description="Pixels as shown, turned as the file says.")]
    height: int | None
    frames: Annotated[int | None, Field(description="The frames of an animation.")]
    alpha: Annotated[
        bool, Field(description="Whether an image has an alpha channel: parts may be transparent.")
    ]
    duration: Annotated[float | None, Field(description="Seconds.")]
    frame_rate: Annotated[float | None, Field(description="Frames a second.")]
    codecs: list[str]
    moov_first: Annotated[
        bool | None, Field(description="Whether an MP4 file plays before its end has arrived.")
    ]
    title: str | None
    artist: str | None
    album: str | None
    waveform: Annotated[
        str | None,
        Field(description="Base64 of 800 bytes: the loudest sample in each part of an audio file."),
    ]
    placeholder: Annotated[
        str | None, Field(description="The image of quality 1 as a `data:` address.")
    ]


class Picture(TypedDict):
    """An image that was made of a file."""

    quality: Annotated[int, Field(ge=1, le=HIGHEST_QUALITY)]
    crop: Literal["square"] | None
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]
    size: types.Size


class Manifest(TypedDict):
    """The description of a file, or of an upload in progress."""

    _id: types.Id
    user_id: Annotated[str, Field(description="The owner.")]
    name: str
    directory: str
    size: Annotated[types.Size | None, Field(description="null while it is not known")]
    mime_type: str
    upload_size: Annotated[types.Size, Field(description="The number of stored bytes.")]
    upload_end: Annotated[bool, Field(description="Whether the upload is finished.")]
    state: Annotated[
        Literal["uploading", "approving", "ready", "trashed"],
        Field(
            description="`approving`: all bytes are there, and the site decides on the file. "
            "`trashed`: a file in the trash."
        ),
    ]
    chunk_size: Annotated[
        int, Field(ge=1, description="Bytes of a cell; no piece crosses its border.")
    ]
    sha256: Annotated[types.Sha256 | None, Field(description="null when none was declared")]
    crc32c: Annotated[
        int | None, Field(ge=0, le=0xFFFFFFFF, description="null until the file is ready")
    ]
    tags: list[str]
    kind: Annotated[str | None, Field(description="The kind that it was uploaded as.")]
    sender: Annotated[
        str | None,
        Field(description="The name that somebody without an account gave who was asked for it."),
    ]
    blobs: Annotated[
        Literal["mongo", "file", "s3"],
        Field(description="Where the bytes are: in MongoDB, in the server's directory, or in S3."),
    ]
    public: Annotated[bool, Field(description="Whether anyone may fetch the finished file.")]
    modified_at: Annotated[
        types.Moment | None,
        Field(description="When the file was last changed where it comes from, if that is known."),
    ]
    created_at: types.Moment
    updated_at: types.Moment
    expires_at: Annotated[
        types.Moment | None,
        Field(description="When an idle upload expires or a file is deleted; null: it stays."),
    ]
    trashed_at: Annotated[
        types.Moment | None, Field(description="When a file in the trash came there; else null.")
    ]
    media: Annotated[
        Media | None,
        Field(description="null until it is known, and for what is no image, video or audio."),
    ]
    pictures: Annotated[
        list[Picture],
        Field(description="The images that exist; others can be asked for, and are made then."),
    ]


class Chunk(TypedDict):
    """One stored piece."""

    object_id: Annotated[str, Field(description="The `_id` of its document, in hexadecimal.")]
    slice_start: types.Size
    size: types.Size


class ManifestWithChunks(Manifest):
    """A manifest with all stored pieces, in the order of the file."""

    chunks: list[Chunk]


class FileList(TypedDict):
    """One page of files; `cursor` requests the next page."""

    files: list[Manifest]
    cursor: Annotated[str | None, Field(description="null on the last page")]


class SeveralFiles(TypedDict):
    """The files of a form, in its order."""

    files: list[Manifest]


class StoredFiles(RootModel[Manifest | SeveralFiles]):
    """One file, or the list of a form with several."""


Problem = Annotated[
    service.Problem, PlainSerializer(lambda problem: problem.model_dump(exclude_unset=True))
]
"""With the fields that it has, and no others."""


class Outcome(TypedDict):
    """What became of one file: it is stored, or there is a problem."""

    file: NotRequired[Manifest]
    problem: NotRequired[Problem]


class Outcomes(TypedDict):
    """What became of each file of a batch, in its order."""

    outcomes: list[Outcome]


class DeletedDirectory(TypedDict):
    """The number of files that were deleted, subdirectories included."""

    directory: str
    deleted: Annotated[int, Field(ge=0)]


class EmptiedTrash(TypedDict):
    """The number of files that were deleted for good."""

    deleted: Annotated[int, Field(ge=0)]


class Directory(TypedDict):
    """A directory that holds files."""

    directory: Annotated[str, Field(description="With the directories that it is in.")]
    files: Annotated[int, Field(ge=1, description="Finished files, with those below it.")]
    size: Annotated[types.Size, Field(description="Their bytes.")]


class DirectoryList(TypedDict):
    """One page of the directories in a directory, by name."""

    directories: list[Directory]
    cursor: Annotated[str | None, Field(description="null on the last page")]


class MoveDirectory(types.RequestBody):
    """The new place of a directory; empty for the root."""

    directory: types.Directory


class MovedDirectory(TypedDict):
    """The number of files and unfinished uploads that were moved."""

    directory: Annotated[str, Field(description="Where they are now.")]
    moved: Annotated[int, Field(ge=0)]


class ChangeFile(types.RequestBody):
    """The changes to a file; fields that are left out keep their values."""

    name: types.Name | None = None
    directory: types.Directory | None = None
    tags: types.Tags | None = None
    public: types.Truth | None = None
    modified_at: types.Time | None = None
    expires_at: types.Time | None = Field(
        default=None, description="When the finished file is deleted; null: it stays."
    )


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
        state=_state(manifest),
        chunk_size=manifest.chunk_size,
        sha256=manifest.sha256,
        crc32c=manifest.crc32c,
        tags=list(manifest.tags),
        kind=manifest.kind,
        sender=manifest.sender,
        blobs=_place(manifest.blobs),
        public=manifest.public,
        modified_at=None if manifest.modified_at is None else types.moment(manifest.modified_at),
        created_at=types.moment(manifest.created_at),
        updated_at=types.moment(manifest.updated_at),
        expires_at=None if manifest.expires_at is None else types.moment(manifest.expires_at),
        trashed_at=None if manifest.trashed_at is None else types.moment(manifest.trashed_at),
        media=None if manifest.media is None else _media(manifest.media),
        pictures=[_picture(name, each) for name, each in sorted(manifest.pictures.items())],
    )


def _state(manifest: domain.Manifest) -> Literal["uploading", "approving", "ready", "trashed"]:
    if manifest.state is domain.State.READY:
        return "ready"
    if manifest.state is domain.State.TRASHED:
        return "trashed"
    return "approving" if manifest.approving else "uploading"


def _media(facts: Mapping[str, Any]) -> Media:
    """The facts as `imaging/made.py` has them, with bytes as text."""
    shown: Media = {each: facts.get(each) for each in Media.__annotations__}  # type: ignore[assignment]  # the keys are those of the class
    for name, prefix in (("waveform", ""), ("placeholder", "data:image/webp;base64,")):
        if facts.get(name) is not None:
            shown[name] = prefix + b64encode(facts[name]).decode()  # type: ignore[literal-required]  # both are fields
    return shown


def _picture(name: str, picture: domain.StoredPicture) -> Picture:
    quality, _, crop = name.partition("-")
    return Picture(
        quality=int(quality),
        crop="square" if crop else None,
        width=picture.width,
        height=picture.height,
        size=picture.size,
    )


def _place(home: str) -> Literal["mongo", "file", "s3"]:
    """The kind of a home. Which directory or bucket it is concerns the operator alone."""
    match scheme(home):
        case "mongo" | "file" | "s3" as kind:
            return kind
        case other:
            raise AssertionError(other)


def chunk_of(manifest: domain.Manifest, piece: domain.Piece) -> Chunk:
    """One entry of a manifest's `chunks`."""
    return Chunk(
        object_id=identity(manifest, piece).hex(), slice_start=piece.slice_start, size=piece.size
    )
