"""What a client may ask for when it creates an upload, and which values are allowed.

The limits of names, tags and the other fields hold for every transport, and so does the one form in
which directories, tags and media types are kept. Names are data: no path is ever built from them.
Source: page 3 of the design (CREATE), page 5 ("Bad inputs").
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lading.protocol.digests import is_sha256
from lading.protocol.errors import InvalidArgument
from lading.protocol.manifest import MAX_CHUNK_SIZE, MAX_INTEGER, MIN_CHUNK_SIZE
from lading.protocol.media_types import MAX_MEDIA_TYPE, MEDIA_TYPE, normalized
from lading.protocol.names import canonical_directory, composed

MAX_NAME = 1024
MAX_TAGS = 64
MAX_TAG = 128
MAX_FINGERPRINT = 512
MAX_USER_ID = 256
MAX_KIND = 64
FIRST_MOMENT, LAST_MOMENT = -62_135_596_800.0, 253_402_300_799.0
"""The years 1 to 9999, which calendars know, in Unix seconds."""

# No control characters; `.` and `..` alone cannot stand in a URL.
TAG = re.compile(r"(?:[^\x00-\x1f\x7f.]|\.[^\x00-\x1f\x7f.]|\.\.[^\x00-\x1f\x7f])[^\x00-\x1f\x7f]*")
ID = re.compile(r"[0-9a-f]{24}")


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadSpec:
    """The fields of CREATE. `size` in bytes, None while unknown; `sha256` in hexadecimal.

    `modified_at` is when the file was last changed where it comes from, in Unix seconds, to the
    millisecond. `public`, which only HTTP carries, lets anyone fetch the finished file. `meta` and
    `concat` are what a client of tus says, see `Manifest`. `sha256_follows`, which only CREATE
    carries, says that FINISH will name the SHA-256.

    The directory, the tags and the type are brought into their one form; `check` refuses what has
    none.
    """

    name: str
    size: int | None = None
    mime_type: str | None = None
    directory: str = ""
    tags: tuple[str, ...] = ()
    sha256: str | None = None
    fingerprint: str | None = None
    chunk_size: int | None = None
    kind: str | None = None
    modified_at: float | None = None
    public: bool = False
    meta: str | None = None
    concat: str | None = None
    replaces: str | None = None
    sha256_follows: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "tags", each_once(self.tags))
        object.__setattr__(self, "directory", one_directory(self.directory))
        if self.mime_type is not None:
            object.__setattr__(self, "mime_type", normalized(self.mime_type))

    def check(self) -> None:
        """Raise InvalidArgument for the first value that is not allowed."""
        check_text("name", self.name, MAX_NAME, empty=False)
        check_text("directory", self.directory, MAX_NAME)
        check_tags(self.tags)
        if self.size is not None and not 0 <= self.size <= MAX_INTEGER:
            raise InvalidArgument(f"size must lie between 0 and {MAX_INTEGER}.")
        if self.mime_type is not None:
            check_mime_type(self.mime_type)
        if self.sha256 is not None:
            check_sha256(self.sha256)
        if self.fingerprint is not None:
            check_text("fingerprint", self.fingerprint, MAX_FINGERPRINT, empty=False)
        if self.chunk_size is not None and self.chunk_size <= 0:
            raise InvalidArgument("chunk_size must be at least 1.")
        if self.modified_at is not None:
            check_moment("modified_at", self.modified_at)
        if self.replaces is not None:
            check_id(self.replaces)
        if self.kind is not None:
            check_text("kind", self.kind, MAX_KIND, empty=False)


def check_text(what: str, value: str, most: int, *, empty: bool = True) -> None:
    """Raise InvalidArgument unless `value` is text of at most `most` characters without NUL."""
    if not empty and not value:
        raise InvalidArgument(f"{what} must not be empty.")
    if len(value) > most:
        raise InvalidArgument(f"{what} may have at most {most} characters.")
    if "\0" in value:
        raise InvalidArgument(f"{what} must not hold NUL.")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidArgument(f"{what} is not valid Unicode.") from error


def one_directory(directory: str) -> str:
    """The one form of a directory. One that is too long stays too long, for `check_text`."""
    return directory if len(directory) > MAX_NAME else canonical_directory(directory)


def each_once(tags: tuple[str, ...]) -> tuple[str, ...]:
    """The tags in their one form, without those that came before.

    Too many stay too many, and too long ones too long, for `check_tags`.
    """
    if len(tags) > MAX_TAGS:
        return tags
    return tuple(dict.fromkeys(tag if len(tag) > MAX_TAG else composed(tag) for tag in tags))


def check_tags(tags: tuple[str, ...]) -> None:
    """Raise InvalidArgument for too many tags or one that is not allowed.

    Tags stand in URLs: no control characters, and neither `.` nor `..`, which a URL cannot hold.
    """
    if len(tags) > MAX_TAGS:
        raise InvalidArgument(f"An upload may have at most {MAX_TAGS} tags.")
    for tag in tags:
        check_text("tag", tag, MAX_TAG, empty=False)
        if not TAG.fullmatch(tag):
            raise InvalidArgument("A tag must not hold control characters, nor be '.' or '..'.")


def check_mime_type(value: str) -> None:
    """Raise InvalidArgument unless `value` is a media type such as `video/mp4`, or empty.

    Browsers report the empty type for a file whose type they do not know.
    """
    if len(value) > MAX_MEDIA_TYPE:
        raise InvalidArgument(f"mime_type may have at most {MAX_MEDIA_TYPE} characters.")
    if not MEDIA_TYPE.fullmatch(value):
        raise InvalidArgument("mime_type must be a media type such as video/mp4.")


def check_sha256(value: str) -> None:
    """Raise InvalidArgument unless `value` is a SHA-256 in lower-case hexadecimal."""
    if not is_sha256(value):
        raise InvalidArgument("sha256 must be 64 lower-case hexadecimal digits.")


def check_moment(what: str, value: float) -> None:
    """Raise InvalidArgument for a time, in Unix seconds, that calendars lack."""
    if not FIRST_MOMENT <= value <= LAST_MOMENT:
        raise InvalidArgument(f"{what} must lie between the years 1 and 9999.")


def check_id(value: str) -> str:
    """The id itself; InvalidArgument unless it is 24 lower-case hexadecimal digits."""
    if not ID.fullmatch(value):
        raise InvalidArgument("An id is 24 lower-case hexadecimal digits.")
    return value


def choose_chunk_size(asked: int | None, usual: int, largest: int) -> int:
    """The cell size of a new upload: what was asked for, within the limits, else the usual one.

    `largest` bounds what a connection may cost.
    """
    if asked is None:
        return usual
    return min(max(asked, MIN_CHUNK_SIZE), largest, MAX_CHUNK_SIZE)
