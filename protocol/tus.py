"""The headers of tus 1.0: what they may be, and what they mean.

Parsing only: offsets, lengths, metadata, checksums and concatenation. Each function takes the value
of a header and raises InvalidArgument for one that the specification does not allow.
Source: tus resumable upload protocol 1.0.0 (https://tus.io/protocols/resumable-upload).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Protocol

from lading.protocol.digests import crc32c
from lading.protocol.errors import InvalidArgument, PreconditionFailed, TooLarge
from lading.protocol.manifest import MAX_INTEGER

VERSION = "1.0.0"

EXTENSIONS = (
    "creation",
    "creation-with-upload",
    "creation-defer-length",
    "expiration",
    "checksum",
    "checksum-trailer",
    "termination",
    "concatenation",
    "concatenation-unfinished",
)

ALGORITHMS = ("sha1", "sha256", "crc32c")

OVERRIDE = "x-http-method-override"
"""The header that names the method that is meant."""

CONTENT_TYPE = "application/offset+octet-stream"

MAX_METADATA = 8 * 1024
"""Bytes of Upload-Metadata: it is kept as it was given, and returned with each HEAD."""

MAX_PARTS = 1000
"""Partial uploads that one final upload may be made of."""

PARTIAL, FINAL = "partial", "final;"

_KEY = re.compile(r"[!-+\--~]{1,256}")
"""Printable ASCII without space and comma."""

_DIGEST_BYTES = {"sha1": 20, "sha256": 32, "crc32c": 4}


class WrongVersion(PreconditionFailed):
    """The client speaks another version of tus; the answer names ours in `Tus-Version`."""


class Digest(Protocol):
    """A checksum that grows with the bytes."""

    def update(self, data: bytes, /) -> None:
        """Take the next bytes."""
        ...

    def digest(self) -> bytes:
        """The checksum of all bytes so far."""
        ...


class _Crc32c:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = crc32c(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


@dataclass(frozen=True, slots=True)
class Checksum:
    """What a client says of a body: the algorithm's name, and the digest."""

    algorithm: str
    digest: bytes


def check_version(value: str | None) -> None:
    """Raise WrongVersion unless `Tus-Resumable` names the version that is spoken here."""
    if value != VERSION:
        said = "has no Tus-Resumable" if value is None else "speaks another version"
        raise WrongVersion(f"The request {said}; this server speaks tus {VERSION}.")


def parse_number(name: str, value: str) -> int:
    """A number of bytes: decimal digits, at most 2^53 - 1."""
    # The digits are counted first: the time of `int` grows with the square of their number.
    if value.isascii() and value.isdigit() and len(value) <= 16 and int(value) <= MAX_INTEGER:
        return int(value)
    raise InvalidArgument(f"{name} must be a number of bytes from 0 to {MAX_INTEGER}.")


def parse_length(length: str | None, deferred: str | None) -> int | None:
    """The size of a new upload from Upload-Length and Upload-Defer-Length; None if deferred."""
    if deferred is not None and deferred != "1":
        raise InvalidArgument("Upload-Defer-Length must be 1.")
    if (length is None) == (deferred is None):
        raise InvalidArgument("Send either Upload-Length or Upload-Defer-Length: 1.")
    if length is None:
        return None
    if length.isascii() and length.isdigit() and (len(length) > 16 or int(length) > MAX_INTEGER):
        raise TooLarge(f"A file may have at most {MAX_INTEGER} bytes.", limit=MAX_INTEGER)
    return parse_number("Upload-Length", length)


def parse_metadata(value: str | None) -> dict[str, str]:
    """The pairs of Upload-Metadata. A value that is not UTF-8 is read as if each byte were one
    character, for nothing more than its presence is used then."""
    if value is None:
        return {}
    if len(value) > MAX_METADATA:
        raise InvalidArgument(f"Upload-Metadata may have at most {MAX_METADATA} bytes.")
    found: dict[str, str] = {}
    for pair in value.split(","):
        key, _, encoded = pair.strip(" \t").partition(" ")
        if not _KEY.fullmatch(key):
            raise InvalidArgument("A key of Upload-Metadata is printable ASCII without spaces.")
        if key in found:
            raise InvalidArgument(f"Upload-Metadata has the key {key!r} twice.")
        found[key] = _decoded(key, encoded)
    return found


def _decoded(key: str, encoded: str) -> str:
    try:
        data = base64.b64decode(encoded.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise InvalidArgument(f"The value of {key!r} in Upload-Metadata is not Base64.") from error
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def parse_checksum(value: str) -> Checksum:
    """The value of Upload-Checksum: an algorithm that is known, and its digest in Base64."""
    algorithm, _, encoded = value.partition(" ")
    if algorithm not in ALGORITHMS:
        known = ", ".join(ALGORITHMS)
        raise InvalidArgument(f"The algorithm of Upload-Checksum must be one of: {known}.")
    try:
        digest = base64.b64decode(encoded.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise InvalidArgument("The digest of Upload-Checksum is not Base64.") from error
    if len(digest) != _DIGEST_BYTES[algorithm]:
        raise InvalidArgument(
            f"A digest of {algorithm} has {_DIGEST_BYTES[algorithm]} bytes, not {len(digest)}."
        )
    return Checksum(algorithm, digest)


def new_digest(algorithm: str) -> Digest:
    """A fresh checksum by one of the `ALGORITHMS`."""
    return _Crc32c() if algorithm == "crc32c" else hashlib.new(algorithm, usedforsecurity=False)


def parse_concat(value: str) -> list[str] | None:
    """The addresses that a final upload is made of, in order; None for a partial upload."""
    if value == PARTIAL:
        return None
    if not value.startswith(FINAL):
        raise InvalidArgument("Upload-Concat must be `partial` or `final;` and a list of uploads.")
    parts = value.removeprefix(FINAL).split(" ")
    if not all(parts):
        raise InvalidArgument("Upload-Concat names uploads, with one space between two of them.")
    if len(parts) > MAX_PARTS:
        raise InvalidArgument(f"A final upload may have at most {MAX_PARTS} parts.")
    return parts


def split_path(path: str) -> tuple[str, str]:
    """The directory and the name of a file from `relativePath`; either may be empty."""
    directory, _, name = path.replace("\\", "/").strip("/").rpartition("/")
    return directory, name
