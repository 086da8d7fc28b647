"""Checksums: CRC-32C of a piece, its combination over pieces, and an incremental SHA-256.

The arithmetic and the text forms of digests.
CRC-32C is the Castagnoli polynomial of RFC 3720, appendix B.4; combining follows from the CRC
being linear: appending n zero bytes is a multiplication by x^(8n) modulo the polynomial.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from functools import lru_cache

import crc32c as _crc32c

POLYNOMIAL = 0x82F63B78
"""CRC-32C's polynomial, bits reversed, without the x^32 term."""

ONE = 0x80000000
"""The polynomial 1 in reversed bit order."""


def crc32c(data: bytes | bytearray | memoryview, value: int = 0) -> int:
    """The CRC-32C of `data`, continuing from `value`, as an unsigned integer."""
    return int(_crc32c.crc32c(data, value))


def _multiply(a: int, b: int, polynomial: int = POLYNOMIAL) -> int:
    """The product of two polynomials modulo that of a CRC, bits reversed."""
    product = 0
    for bit in range(31, -1, -1):
        if a >> bit & 1:
            product ^= b
        b = (b >> 1) ^ (polynomial if b & 1 else 0)
    return product


@lru_cache(maxsize=64)
def _zeros(length: int, polynomial: int = POLYNOMIAL) -> int:
    """x^(8 * length): what appending `length` zero bytes multiplies a CRC by."""
    result, power = ONE, ONE >> 8  # x^0 and x^8
    while length:
        if length & 1:
            result = _multiply(result, power, polynomial)
        power = _multiply(power, power, polynomial)
        length >>= 1
    return result


@lru_cache(maxsize=8)
def _table(length: int) -> tuple[tuple[int, ...], ...]:
    """For each byte of a CRC, what that byte becomes after `length` zero bytes."""
    operator = _zeros(length)
    return tuple(
        tuple(_multiply(byte << shift, operator) for byte in range(256)) for shift in (0, 8, 16, 24)
    )


TABLE_FROM = 4096
"""Lengths that files are made of get tables (a combination is then four look-ups); odd ones
would only push those out."""


def crc32c_combine(first: int, second: int, second_length: int) -> int:
    """The CRC-32C of A + B from those of A and B and the length of B in bytes."""
    if second_length >= TABLE_FROM and second_length & (second_length - 1) == 0:
        low, lower, higher, high = _table(second_length)
        shifted = (
            low[first & 255]
            ^ lower[first >> 8 & 255]
            ^ higher[first >> 16 & 255]
            ^ high[first >> 24]
        )
    else:
        shifted = _multiply(first, _zeros(second_length))
    return shifted ^ second


ZIP_POLYNOMIAL = 0xEDB88320
"""The polynomial of the CRC-32 of ZIP and PNG (ISO 3309), bits reversed."""


def crc32_combine(first: int, second: int, second_length: int) -> int:
    """The CRC-32 of A + B, as ZIP has it, from those of A and B and the length of B in bytes."""
    return _multiply(first, _zeros(second_length, ZIP_POLYNOMIAL), ZIP_POLYNOMIAL) ^ second


class Sha256:
    """A SHA-256 that grows with the bytes; `hexdigest` may be asked for at any time."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.size = 0

    def update(self, data: bytes | bytearray | memoryview) -> None:
        self._hash.update(data)
        self.size += len(data)

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


_HEX = re.compile(r"[0-9a-f]{64}")


def is_sha256(text: str) -> bool:
    """Whether `text` is a SHA-256 as 64 lower-case hexadecimal digits."""
    return _HEX.fullmatch(text) is not None


_DIGEST_BYTES = {"sha-256": 32, "crc32c": 4}


def parse_digest_field(value: str, algorithm: str) -> bytes | None:
    """The bytes of one algorithm in a `Content-Digest` or `Repr-Digest` field (RFC 9530).

    The field is a dictionary of byte sequences: `sha-256=:…:, crc32c=:…:`. None when the algorithm
    is not in it; ValueError when its member is not a byte sequence as long as its digests are.
    """
    for member in value.split(","):
        key, _, item = member.strip().partition("=")
        if key.lower() != algorithm:
            continue
        if len(item) < 2 or item[0] != ":" or item[-1] != ":":
            raise ValueError(f"the {algorithm} digest is not a byte sequence between colons")
        try:
            digest = base64.b64decode(item[1:-1], validate=True)
        except binascii.Error as error:
            raise ValueError(f"the {algorithm} digest is not base64") from error
        if len(digest) != _DIGEST_BYTES[algorithm]:
            raise ValueError(f"the {algorithm} digest must have {_DIGEST_BYTES[algorithm]} bytes")
        return digest
    return None


def format_digest_field(algorithm: str, digest: bytes) -> str:
    """One member of a digest field (RFC 9530)."""
    return f"{algorithm}=:{base64.b64encode(digest).decode('ascii')}:"
