"""What the client returns and reports: frozen objects with plain attributes.

Sizes are bytes. Times are `datetime` objects in UTC. `raw` is the server's own answer as a
mapping, for fields that this version of the client does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from lading.protocol.manifest import Piece, coverage

Raw = Mapping[str, Any]


class State(StrEnum):
    """What a transfer is doing."""

    LOOKING = "looking"
    SENDING = "sending"
    WAITING = "waiting"
    HASHING = "hashing"
    VERIFYING = "verifying"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a transfer is.

    Of `total` bytes (None while unknown), `stored` are durable: on the server for an upload, in
    the target for a download. `checked` counts the bytes hashed so far in the states `hashing`
    (here) and `verifying` (on the server). `reason` says why a transfer is `waiting`.
    """

    state: State = State.LOOKING
    stored: int = 0
    total: int | None = None
    checked: int = 0
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A finished file.

    `sha256` is in lower-case hexadecimal, None for a file that was uploaded without one. `crc32c`
    is None for a file that was sent directly to its bucket; that has a `sha256`. `url` is
    where the file can be fetched, absolute. `modified_at` is when the file that was uploaded was
    last changed, where its sender said so.
    """

    id: str
    name: str
    size: int
    mime_type: str
    sha256: str | None
    crc32c: int | None
    url: str
    modified_at: datetime | None = None
    raw: Raw = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stored piece of a file: `size` bytes from `start`."""

    id: str
    start: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """An image that was made of a file; sizes are pixels and bytes.

    `quality` is 1 (the smallest) to 6, `crop` is `square` or None. `url` is where it can be
    fetched.
    """

    quality: int
    crop: str | None
    width: int
    height: int
    size: int
    url: str

    @classmethod
    def of(cls, raw: Raw, file_url: str) -> Self:
        """An entry of a manifest's `pictures`, as the HTTP API sends it."""
        crop = "" if raw["crop"] is None else f"?crop={raw['crop']}"
        return cls(
            **_named(raw, "quality", "crop", "width", "height", "size"),
            url=f"{file_url}/{raw['quality']}{crop}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest(File):
    """A finished file with all that the server knows about it.

    `chunks` is filled by `Client.manifest` only; a list of files leaves it empty.
    """

    user_id: str
    directory: str
    tags: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    kind: str | None = None
    """The kind of files that it was uploaded as."""
    blobs: str = ""
    """Where its bytes are: `mongo`, `file` or `s3`; empty where the server does not say."""
    public: bool = False
    """Whether anyone may fetch it, without a credential."""
    expires_at: datetime | None = None
    """When the file is deleted; None for one that stays."""
    trashed_at: datetime | None = None
    """When the file was moved to the trash; None for one that is not there."""
    media: Raw | None = None
    """Facts of an image, video or audio file: `width`, `height`, `duration` and others."""
    pictures: tuple[Picture, ...] = ()
    """The images that were made of it; others can be asked for."""
    chunks: tuple[Chunk, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, raw: Raw, url: str) -> Self:
        """The manifest of a finished file, as the HTTP API sends it."""
        return cls(
            url=url,
            **_named(raw, "name", "size", "mime_type", "sha256", "crc32c"),
            **_common(raw),
            kind=raw.get("kind"),
            blobs=raw.get("blobs", ""),
            public=raw.get("public", False),
            modified_at=_moment(raw, "modified_at"),
            expires_at=_moment(raw, "expires_at"),
            trashed_at=_moment(raw, "trashed_at"),
            media=raw.get("media"),
            pictures=tuple(Picture.of(each, url) for each in raw.get("pictures", ())),
            chunks=tuple(
                Chunk(each["object_id"], each["slice_start"], each["size"])
                for each in raw.get("chunks", ())
            ),
        )

    @property
    def path(self) -> str:
        """Directory and name, as `Client.find` takes them."""
        return path_of(self.directory, self.name)

    def file(self) -> File:
        """The same as an upload returns it."""
        names = ("id", "size", "mime_type", "sha256", "crc32c")
        facts: dict[str, Any] = {name: getattr(self, name) for name in names}
        return File(**facts, name=self.name, url=self.url, raw={**facts, "url": self.url})


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """An unfinished upload, as the server has it.

    `size` is None while the length is unknown. `stored` bytes are durable; `missing` are the ranges
    that are not, each from its first byte up to, not including, its last. The upload is deleted at
    `expires_at` unless it is resumed.
    """

    id: str
    name: str
    size: int | None
    mime_type: str
    stored: int
    missing: tuple[tuple[int, int], ...]
    chunk_size: int
    user_id: str
    directory: str
    tags: tuple[str, ...]
    fingerprint: str | None
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    raw: Raw = field(default_factory=dict, repr=False, compare=False)

    @property
    def path(self) -> str:
        """Directory and name."""
        return path_of(self.directory, self.name)

    @classmethod
    def of(cls, raw: Raw) -> Self:
        """An unfinished upload, as the HTTP API sends it."""
        return cls(
            **_named(raw, "name", "size", "mime_type", "chunk_size"),
            **_common(raw),
            stored=raw["upload_size"],
            missing=_missing(raw),
            fingerprint=raw.get("fingerprint"),
            expires_at=_moment(raw, "expires_at"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """With what somebody signs in. `scopes` may have `admin` and `grant`."""

    scopes: tuple[str, ...]
    disabled: bool
    has_password: bool
    created_at: datetime

    @classmethod
    def of(cls, raw: Raw) -> Self:
        """The account of a user, as the HTTP API sends it."""
        return cls(
            **_named(raw, "disabled", "has_password"),
            scopes=tuple(raw["scopes"]),
            created_at=moment(raw["created_at"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a user has stored and may store, in bytes.

    `reserved` is held for unfinished uploads. `quota` is None where there is no limit. `account` is
    known in a list of users, and None for one who has none.
    """

    user_id: str
    used: int
    reserved: int
    quota: int | None
    account: Account | None = None
    raw: Raw = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, raw: Raw) -> Self:
        """The usage of a user, as the HTTP API sends it."""
        return cls(
            **_named(raw, "user_id", "used", "reserved", "quota"),
            account=Account.of(raw["account"]) if "account" in raw else None,
            raw=raw,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedUser:
    """How many of each were deleted with a user, and whether there was an account."""

    user_id: str
    files: int
    uploads: int
    tags: int
    grants: int
    account: bool = False
    raw: Raw = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, raw: Raw) -> Self:
        """The answer of the HTTP API."""
        counts = _named(raw, "user_id", "files", "uploads", "tags", "grants")
        return cls(**counts, account=raw.get("account", False), raw=raw)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A token for one purpose. `url` (HTTP) and `ws_url` (WebSocket) are where it is used."""

    id: str
    token: str = field(repr=False)
    url: str = field(repr=False)
    ws_url: str
    expires_at: datetime
    raw: Raw = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, raw: Raw) -> Self:
        """A new grant, as the HTTP API sends it."""
        return cls(
            **_named(raw, "id", "token", "url", "ws_url"),
            expires_at=moment(raw["expires_at"]),
            raw=raw,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedGrant:
    """A grant that was created before. Its token is not known to anybody but its bearer.

    `action` is `upload`, `download`, `share` or `request`. `file_id` is the file of a download or
    link; `uses` and `used` count uploads, or visitors of a link, and are None for a download.
    """

    id: str
    action: str
    user_id: str
    file_id: str | None
    uses: int | None
    used: int | None
    created_at: datetime
    expires_at: datetime
    raw: Raw = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, raw: Raw) -> Self:
        """A grant as the HTTP API shows it."""
        return cls(
            **_named(raw, "id", "action", "user_id"),
            file_id=raw.get("file_id"),
            uses=raw.get("uses"),
            used=raw.get("used"),
            created_at=moment(raw["created_at"]),
            expires_at=moment(raw["expires_at"]),
            raw=raw,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """A tag, and how many files have it."""

    name: str
    files: int

    @classmethod
    def of(cls, raw: Raw) -> Self:
        """A tag as the HTTP API shows it."""
        return cls(**_named(raw, "name", "files"))


@dataclass(frozen=True, slots=True, kw_only=True)
class PresignedAddress:
    """An address that works without a credential until `expires_at`.

    Send `headers` with a request to it, by `method`.
    """

    url: str = field(repr=False)
    method: str
    headers: Mapping[str, str]
    expires_at: datetime

    @classmethod
    def of(cls, raw: Raw) -> Self:
        """An address as the HTTP API sends it, made absolute."""
        return cls(
            url=raw["url"],
            method=raw.get("method", "GET"),
            headers=raw.get("headers", {}),
            expires_at=moment(raw["expires_at"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Medium:
    """An announced file: `upload` is where its bytes are sent, `download` where they are fetched.

    One of them is there, depending on whether the file is published.
    """

    file: Manifest | Upload
    upload: PresignedAddress | None
    download: PresignedAddress | None
    raw: Raw = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStatus:
    """A server that is ready. `version` is its version of Lading, None where it does not say."""

    status: str
    version: str | None
    raw: Raw = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, raw: Raw) -> Self:
        """The answer of `/readyz`."""
        return cls(status=str(raw.get("status")), version=raw.get("version"), raw=raw)


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRequest:
    """The options of one upload; the fields are those of `Client.upload`."""

    name: str | None
    directory: str
    tags: tuple[str, ...]
    mime_type: str | None
    sha256: bool
    resume: bool
    chunk_size: int | None
    one_request: bool = False
    kind: str | None = None
    direct: bool = False
    protocol: str | None = None
    modified_at: datetime | None = None
    replaces: str | None = None


PROTOCOLS = ("ws", "http", "tus", "ietf")
"""WebSocket, plain HTTP in its place, tus 1.0, the IETF's resumable uploads."""


def path_of(directory: str, name: str) -> str:
    """Directory and name as one path."""
    return f"{directory.rstrip('/')}/{name}" if directory.rstrip("/") else name


def moment(text: str) -> datetime:
    """A time of the HTTP API."""
    return datetime.fromisoformat(text)


def _moment(raw: Raw, name: str) -> datetime | None:
    return None if raw.get(name) is None else moment(raw[name])


def _named(raw: Raw, *names: str) -> dict[str, Any]:
    return {name: raw[name] for name in names}


def _common(raw: Raw) -> dict[str, Any]:
    """What finished files and unfinished uploads have in common."""
    return {
        "id": raw["_id"],
        **_named(raw, "user_id", "directory"),
        "tags": tuple(raw["tags"]),
        "created_at": moment(raw["created_at"]),
        "updated_at": moment(raw["updated_at"]),
        "raw": raw,
    }


def _missing(raw: Raw) -> tuple[tuple[int, int], ...]:
    if "missing" in raw:
        return tuple((start, end) for start, end in raw["missing"])
    pieces = [Piece(each["slice_start"], each["size"], 0) for each in raw.get("chunks", ())]
    return tuple(coverage(pieces, raw["size"]).missing)
