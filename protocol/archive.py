"""The archive of `lading export`: a tar file in which each finished file has three members.

    format.json               which format this is, and how much was there at the beginning
    files/<id>/manifest.json  what is known of a file: one line of JSON
    files/<id>/content        its bytes
    files/<id>/digest.json    the SHA-256 of what was written, or why it could not all be read
    end.json                  how much there was; without it the archive is cut short

The digest follows the bytes, so they are read once, and a file counts only when its digest was
seen. What a home, a server or an attempt adds to a manifest is not in it, nor are pictures.
Source: page 12 of the design, "backup"; docs/decisions/0060.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lading.protocol.errors import InvalidArgument
from lading.protocol.grants import MAX_SENDER
from lading.protocol.manifest import Manifest
from lading.protocol.spec import (
    LAST_MOMENT,
    MAX_USER_ID,
    UploadSpec,
    check_id,
    check_moment,
    check_text,
)

FORMAT, VERSION = "lading-archive", 1
FIRST, LAST = "format.json", "end.json"
MANIFEST, CONTENT, DIGEST = "manifest.json", "content", "digest.json"

LARGEST_DOCUMENT = 2**20
"""Bytes of JSON in one member; a manifest with every field at its limit is smaller."""

CLOSING = bytes(2 * tarfile.BLOCKSIZE)
"""What ends a tar file."""

_MEMBER = re.compile(r"files/([0-9a-f]{24})/([a-z.]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedFile:
    """What the archive tells of a file. Sizes are bytes, times are in Unix seconds.

    Archives of older versions have no `modified_at`, `expires_at` and `sender`.
    """

    id: str
    user_id: str
    name: str
    directory: str
    size: int
    mime_type: str
    sha256: str | None
    crc32c: int | None
    tags: tuple[str, ...]
    public: bool
    kind: str | None
    meta: str | None
    media: Mapping[str, Any] | None
    created_at: float
    modified_at: float | None = None
    expires_at: float | None = None
    sender: str | None = None


def archived(manifest: Manifest) -> ArchivedFile:
    """What is kept of the manifest of a finished file."""
    assert manifest.size is not None
    return ArchivedFile(
        id=manifest.id,
        user_id=manifest.user_id,
        name=manifest.name,
        directory=manifest.directory,
        size=manifest.size,
        mime_type=manifest.mime_type,
        sha256=manifest.sha256,
        crc32c=manifest.crc32c,
        tags=manifest.tags,
        public=manifest.public,
        kind=manifest.kind,
        meta=manifest.meta,
        media=manifest.media,
        created_at=manifest.created_at,
        modified_at=manifest.modified_at,
        expires_at=manifest.expires_at,
        sender=manifest.sender,
    )


def document(facts: Mapping[str, Any]) -> bytes:
    """One line of JSON."""
    return json.dumps(facts, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def file_document(file: ArchivedFile) -> bytes:
    """The manifest of a file, for the archive."""
    facts = {name: getattr(file, name) for name in ArchivedFile.__slots__}
    facts["_id"] = facts.pop("id")
    return document(facts)


def parse_document(data: bytes) -> dict[str, Any]:
    """The facts of a document; raises InvalidArgument."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidArgument("A document of the archive is no JSON.") from error
    if not isinstance(found, dict):
        raise InvalidArgument("A document of the archive is no JSON object.")
    return found


def parse_file(data: bytes) -> ArchivedFile:
    """The manifest of a file; raises InvalidArgument for one that is none of ours.

    The limits of an upload hold: an archive may come from anywhere.
    """
    facts = parse_document(data)
    try:
        facts["id"] = facts.pop("_id")
        file = ArchivedFile(**{**facts, "tags": _tuple(facts["tags"])})
        check_id(file.id)
        check_text("user_id", file.user_id, MAX_USER_ID, empty=False)
        if file.sender is not None:
            check_text("sender", file.sender, MAX_SENDER, empty=False)
        _spec(file).check()
        _check_types(file)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidArgument(
            f"A manifest of the archive is not as it must be: {error}."
        ) from error
    return file


def _tuple(value: object) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise TypeError("tags is a list")
    return tuple(value)


def _check_types(file: ArchivedFile) -> None:
    """Raise TypeError for values that no other check looks at."""
    if type(file.size) is not int or type(file.public) is not bool:
        raise TypeError("size is a whole number, public is true or false")
    if file.crc32c is not None and not (type(file.crc32c) is int and 0 <= file.crc32c < 2**32):
        raise TypeError("crc32c is a number of 32 bits")
    if not isinstance(file.media, dict | None) or not isinstance(file.meta, str | None):
        raise TypeError("media is an object, meta is text")
    if type(file.created_at) not in (int, float) or not 0 <= file.created_at <= LAST_MOMENT:
        raise TypeError("created_at is a number of seconds since 1970")
    for moment in (file.modified_at, file.expires_at):
        if moment is not None and type(moment) not in (int, float):
            raise TypeError("modified_at and expires_at are numbers of seconds since 1970")
        if moment is not None:
            check_moment("modified_at and expires_at", moment)


def _spec(file: ArchivedFile) -> UploadSpec:
    return UploadSpec(
        name=file.name,
        size=file.size,
        mime_type=file.mime_type,
        directory=file.directory,
        tags=file.tags,
        sha256=file.sha256,
        kind=file.kind,
    )


def check_format(data: bytes) -> tuple[int, int]:
    """About how many files and bytes there are; InvalidArgument for what cannot be read here."""
    facts = parse_document(data)
    if facts.get("format") != FORMAT:
        raise InvalidArgument("This is no archive of `lading export`.")
    if facts.get("version") != VERSION:
        raise InvalidArgument("A newer version of Lading wrote this archive; use that one.")
    sums = [facts.get(name) for name in ("files", "bytes")]
    files, size = (each if type(each) is int else 0 for each in sums)
    return files, size


def member_of(file_id: str, part: str) -> str:
    """The name of a member."""
    return f"files/{file_id}/{part}"


def split_member(name: str) -> tuple[str, str] | None:
    """The id and the part that a member's name tells; None for other members."""
    found = _MEMBER.fullmatch(name)
    return None if found is None else (found[1], found[2])


def header(name: str, size: int, modified: float = 0.0) -> bytes:
    """What stands before the bytes of a member. `modified` is in Unix seconds."""
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, 0o600, int(modified)
    return member.tobuf(tarfile.PAX_FORMAT)


def padding(size: int) -> bytes:
    """What follows `size` bytes of a member."""
    return bytes(-size % tarfile.BLOCKSIZE)


def whole_member(name: str, data: bytes, modified: float = 0.0) -> bytes:
    """A member whose bytes are at hand."""
    return header(name, len(data), modified) + data + padding(len(data))
