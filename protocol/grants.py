"""What a grant allows: a token with which its bearer may do one thing for a user.

A link that people share is a grant, too.

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
from lading.protocol.manifest import MAX_INTEGER, Manifest, State
from lading.protocol.media_types import essence, is_named
from lading.protocol.names import is_within
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

MAX_SENDER = 128
"""Characters of the name that a sender gives."""

MAX_PASSWORD = 1024
"""Characters of a link's password."""

ORIGINAL = 0
HIGHEST_QUALITY = 6
"""Renditions of a file: 0 is what was uploaded, 1 to 6 are images made of it."""


def check_password(password: str) -> None:
    """Raise InvalidArgument unless a link may have this password."""
    check_text("password", password, MAX_PASSWORD, empty=False)


class Action(StrEnum):
    """The one thing that a grant allows."""

    UPLOAD = "upload"
    DOWNLOAD = "download"
    MEDIA_UPLOAD = "media-upload"
    SHARE = "share"
    REQUEST = "request"
    SIGNUP = "signup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What was minted. Sizes are bytes, times are Unix seconds; None and () leave a field open.

    An upload grant allows `uses` creations, of which `used` are made, of uploads that belong to
    `user_id`. A download grant allows `file_id`, in every quality or in the one that is named. A
    grant for media-upload allows to send the bytes of `file_id`, an upload that exists, as often
    as need be. A grant for share is a link for people: to the finished file `file_id`, or to those
    in `directory` and below it, for `uses` visits, with a `password` if one is set, which is a hash
    here. A grant for request asks people for files: whoever has its token, or that of a sender who
    gave a name (`parent` and `sender`), uploads into `directory`, at most `max_size` bytes in all,
    of which `taken` are there or reserved. A grant for signup allows to make `uses` accounts.
    `minter` is empty where the server minted it by itself.
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
    password: str | None = None
    quality: int | None = None
    approves: bool = False
    """Whether its bearer may read a file that waits for approval."""
    parent: str | None = None
    """Of somebody who sends what was asked for: the grant for request, whose bounds hold."""
    sender: str | None = None
    """The name that they gave; None for whoever has the token of the request alone."""
    senders: int = 0
    """How many gave a name."""
    taken: int = 0
    """Bytes of uploads that were created with a request, and did not end unfinished."""
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
        if self.password is not None:
            check_password(self.password)
        if self.action is Action.SHARE and (self.file_id is None) == (not self.directory):
            raise InvalidArgument("Name a file by `file_id`, or a `directory` other than the root.")
        if self.action is Action.REQUEST and not self.directory:
            raise InvalidArgument("Name the `directory` for what is sent, other than the root.")
        if self.sender is not None:
            check_text("name", self.sender, MAX_SENDER, empty=False)
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

    # -- a request

    def sent_by(self, grant_id: str, sender: str | None = None) -> Grant:
        """The upload grant of somebody who sends what this request asks for."""
        return replace(
            self, id=grant_id, action=Action.UPLOAD, parent=self.id, sender=sender, watchers=()
        )

    @property
    def is_nobodys(self) -> bool:
        """Whether all who have the token of a request are one to the server: none sees a list."""
        return self.parent == self.id

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
        """Whether this is an upload that was created with the grant, or a file that it names."""
        if self.action is Action.UPLOAD:
            return manifest.grant_id == self.id
        if self.action is Action.SHARE and self.directory is not None:
            own = manifest.user_id == self.user_id and manifest.state is State.READY
            return own and is_within(manifest.directory, self.directory)
        return manifest.id == self.file_id

    def check_quality(self, quality: int) -> None:
        """Raise Forbidden unless the bearer may have the file in this quality."""
        if self.quality is not None and quality != self.quality:
            raise Forbidden(f"This grant is for the quality {self.quality}.")
