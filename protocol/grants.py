"""What a grant allows: a token with which its bearer may do one thing for a user.

The bounds of a grant, and the comparison of an upload with them. The bearer chooses what is not
bound. A name and a directory replace those that the bearer sends; a length, a digest and a type
must be met.
Source: page 4 of the design (grants), page 5, security list, item 19.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from lading.protocol.allowed_types import Allowed, check_allowed, is_allowed
from lading.protocol.errors import Forbidden, InvalidArgument, TooLarge, UnsupportedMediaType
from lading.protocol.manifest import MAX_INTEGER, Manifest
from lading.protocol.media_types import essence, is_named
from lading.protocol.spec import (
    MAX_NAME,
    MAX_USER_ID,
    UploadSpec,
    check_id,
    check_sha256,
    check_text,
)

MAX_SECONDS = 366 * 24 * 3600
"""The longest that a grant may be good for."""

ORIGINAL = 0
HIGHEST_QUALITY = 6
"""Renditions of a file: 0 is what was uploaded, 1 to 6 are images made of it."""


class Action(StrEnum):
    """The one thing that a grant allows."""

    UPLOAD = "upload"
    DOWNLOAD = "download"
    MEDIA_UPLOAD = "media-upload"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What was minted. Sizes are bytes, times are Unix seconds; None and () leave a field open.

    An upload grant allows `uses` creations, of which `used` are made, of uploads that belong to
    `user_id`. A download grant allows `file_id`, in every quality or in the one that is named. A
    grant for media-upload allows to send the bytes of `file_id`, an upload that exists, as often
    as need be. `minter` is empty where the server minted it by itself.
    """

    id: str
    action: Action
    user_id: str
    minter: str
    created_at: float
    expires_at: float
    name: str | None = None
    directory: str | None = None
    size: int | None = None
    max_size: int | None = None
    sha256: str | None = None
    mime_types: Allowed = ()
    kind: str | None = None
    uses: int = 1
    used: int = 0
    file_id: str | None = None
    quality: int | None = None
    watchers: tuple[str, ...] = ()
    """Who received bytes while the grant was good; see `server/access/watching.py`."""

    def check(self) -> None:
        """Raise InvalidArgument for the first value that is not allowed."""
        check_text("user_id", self.user_id, MAX_USER_ID, empty=False)
        if not 0 < self.expires_at - self.created_at <= MAX_SECONDS:
            raise InvalidArgument(f"expires_in must be more than 0 and at most {MAX_SECONDS} s.")
        if self.name is not None:
            check_text("name", self.name, MAX_NAME, empty=False)
        if self.directory is not None:
            check_text("directory", self.directory, MAX_NAME)
        if self.sha256 is not None:
            check_sha256(self.sha256)
        self._check_numbers()
        check_allowed(self.mime_types)
        if self.file_id is not None:
            check_id(self.file_id)

    def _check_numbers(self) -> None:
        numbers = [
            ("size", self.size, 0, MAX_INTEGER),
            ("max_size", self.max_size, 0, MAX_INTEGER),
            ("uses", self.uses, 1, MAX_INTEGER),
            ("quality", self.quality, ORIGINAL, HIGHEST_QUALITY),
        ]
        for what, value, least, most in numbers:
            if value is not None and not least <= value <= most:
                raise InvalidArgument(f"{what} must lie between {least} and {most}.")
        if self.size is not None and self.max_size is not None and self.size > self.max_size:
            raise InvalidArgument("size must not be larger than max_size.")

    # -- an upload

    @property
    def limit(self) -> int | None:
        """The most bytes of an upload; None for no bound."""
        return self.max_size if self.size is None else self.size

    def admit(self, spec: UploadSpec) -> UploadSpec:
        """The upload that the bearer asks for, as the grant has it.

        A type that nobody named is not judged here: the first bytes decide.
        Raises TooLarge, UnsupportedMediaType, Forbidden where it lies outside of the bounds.
        """
        self.check_size(spec.size)
        if None not in (self.sha256, spec.sha256) and spec.sha256 != self.sha256:
            raise Forbidden("This grant is for a file with another SHA-256.")
        if None not in (self.kind, spec.kind) and spec.kind != self.kind:
            raise Forbidden(f"This grant is for a file of the kind {self.kind}.")
        if spec.mime_type is not None and is_named(spec.mime_type):
            self.check_type(spec.mime_type)
        return replace(
            spec,
            name=spec.name if self.name is None else self.name,
            directory=spec.directory if self.directory is None else self.directory,
            size=spec.size if self.size is None else self.size,
            sha256=spec.sha256 if self.sha256 is None else self.sha256,
            kind=spec.kind if self.kind is None else self.kind,
        )

    def check_size(self, size: int | None) -> None:
        """Raise TooLarge or Forbidden unless a file may have this size; None is yet unknown."""
        if size is None:
            return
        if self.limit is not None and size > self.limit:
            raise TooLarge(f"This grant is for at most {self.limit} bytes.", limit=self.limit)
        if self.size is not None and size != self.size:
            raise Forbidden(f"This grant is for a file of {self.size} bytes, not {size}.")

    def check_type(self, mime_type: str) -> None:
        """Raise UnsupportedMediaType unless the type, its parameters aside, is allowed."""
        if not is_allowed(mime_type, self.mime_types):
            shown = ", ".join(self.mime_types)
            raise UnsupportedMediaType(f"This grant is for {shown}, not for {essence(mime_type)}.")

    # -- what exists already

    def covers(self, manifest: Manifest) -> bool:
        """Whether this is an upload that was created with the grant, or the file that it names."""
        if self.action is Action.UPLOAD:
            return manifest.grant_id == self.id
        return manifest.id == self.file_id

    def check_quality(self, quality: int) -> None:
        """Raise Forbidden unless the bearer may have the file in this quality."""
        if self.quality is not None and quality != self.quality:
            raise Forbidden(f"This grant is for the quality {self.quality}.")
