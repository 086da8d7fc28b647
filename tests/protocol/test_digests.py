"""Checksums: against published values, a bit-by-bit oracle, and the law of combination."""

from __future__ import annotations

import hashlib
import zlib
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lading.protocol.digests import (
    POLYNOMIAL,
    TABLE_FROM,
    Sha256,
    crc32_combine,
    crc32c,
    crc32c_combine,
    format_digest_field,
    is_sha256,
    parse_digest_field,
)

PUBLISHED = [
    (b"", 0x00000000),
    (b"123456789", 0xE3069283),
    (bytes(32), 0x8A9136AA),
    (b"\xff" * 32, 0x62A8AB43),
    (bytes(range(32)), 0x46DD794E),
    (bytes(range(31, -1, -1)), 0x113FDB5C),
]
"""RFC 3720, appendix B.4, and the usual check value."""


def bit_by_bit(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (POLYNOMIAL if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


@pytest.mark.parametrize(("data", "expected"), PUBLISHED)
def test_published_values(data: bytes, expected: int) -> None:
    assert crc32c(data) == expected
    assert bit_by_bit(data) == expected


@given(st.binary(max_size=200))
def test_as_the_oracle_says(data: bytes) -> None:
    assert crc32c(data) == bit_by_bit(data)
    assert crc32c(bytearray(data)) == crc32c(memoryview(data)) == bit_by_bit(data)


@given(st.binary(max_size=200), st.binary(max_size=200))
@example(b"", b"")
@example(b"a", b"")
@example(b"", b"a")
def test_continuing_and_combining_are_the_whole(first: bytes, second: bytes) -> None:
    whole = crc32c(first + second)
    assert crc32c(second, crc32c(first)) == whole
    assert crc32c_combine(crc32c(first), crc32c(second), len(second)) == whole


@pytest.mark.parametrize(
    "length", [TABLE_FROM - 1, TABLE_FROM, TABLE_FROM + 1, 2 * TABLE_FROM, 3 * TABLE_FROM, 1 << 22]
)
@given(first=st.binary(min_size=1, max_size=50))
@example(first=b"\xff\xff\xff\xff")
def test_combining_long_pieces_with_and_without_tables(length: int, first: bytes) -> None:
    second = bytes(length)
    whole = crc32c(second, crc32c(first))
    assert crc32c_combine(crc32c(first), crc32c(second), length) == whole


@given(st.lists(st.binary(max_size=40)))
def test_combining_many_is_the_whole(pieces: list[bytes]) -> None:
    crc = 0
    for piece in pieces:
        crc = crc32c_combine(crc, crc32c(piece), len(piece))
    assert crc == crc32c(b"".join(pieces))


@given(*(st.integers(0, 2**32 - 1) for _ in range(3)), st.integers(0, 2**50), st.integers(0, 2**50))
def test_combining_is_associative_at_any_length(
    a: int, b: int, c: int, b_length: int, c_length: int
) -> None:
    left = crc32c_combine(crc32c_combine(a, b, b_length), c, c_length)
    right = crc32c_combine(a, crc32c_combine(b, c, c_length), b_length + c_length)
    assert left == right


@given(st.lists(st.binary(max_size=40)))
def test_sha256_grows_with_the_bytes(parts: list[bytes]) -> None:
    digest = Sha256()
    sent = b""
    for part in parts:
        digest.update(part)
        sent += part
        assert digest.hexdigest() == hashlib.sha256(sent).hexdigest()
    assert digest.size == len(sent)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("0" * 64, True),
        ("0123456789abcdef" * 4, True),
        ("0" * 63, False),
        ("0" * 65, False),
        ("A" * 64, False),
        ("0" * 64 + "\n", False),
        ("\u0660" * 64, False),
        ("", False),
    ],
)
def test_what_a_sha256_looks_like(text: str, answer: bool) -> None:
    assert is_sha256(text) is answer


@given(st.binary(min_size=32, max_size=32), st.sampled_from(["sha-256", "crc32c"]))
def test_a_digest_field_survives_the_round_trip(value: bytes, algorithm: str) -> None:
    digest = value if algorithm == "sha-256" else value[:4]
    field = format_digest_field(algorithm, digest)
    assert parse_digest_field(field, algorithm) == digest
    assert parse_digest_field(f"other=:AAAA:, {field}", algorithm) == digest
    assert parse_digest_field(f"{field},other=:AAAA:", algorithm) == digest


def test_an_absent_algorithm_gives_none() -> None:
    assert parse_digest_field("sha-512=:AAAA:", "sha-256") is None
    assert parse_digest_field("", "sha-256") is None


def test_an_algorithm_may_be_written_in_capitals() -> None:
    assert parse_digest_field("CRC32C=:AAAAAA==:", "crc32c") == bytes(4)


@pytest.mark.parametrize(
    "value", ["sha-256", "sha-256=", "sha-256=:", "sha-256=AAAA", "sha-256=:A:", "sha-256=:AÄ==:",
              "sha-256=:AA AA:", "sha-256=?1", "sha-256=::",
              "sha-256=:AAAA:", f"sha-256=:{'A' * 44}:"]
)  # fmt: skip
def test_what_is_not_a_byte_sequence_of_its_length_is_an_error(value: str) -> None:
    with pytest.raises(ValueError, match=r"sha-256 digest|ASCII"):
        parse_digest_field(value, "sha-256")


@given(st.text())
def test_any_field_gives_bytes_none_or_a_value_error(value: str) -> None:
    with suppress(ValueError):
        parse_digest_field(f"sha-256={value}", "sha-256")


@given(st.binary(max_size=300), st.binary(max_size=300))
@example(b"12345", b"6789")
def test_the_crc_of_zip_is_combined_too(first: bytes, second: bytes) -> None:
    whole = zlib.crc32(first + second)
    assert crc32_combine(zlib.crc32(first), zlib.crc32(second), len(second)) == whole


def test_the_crc_of_zip_over_a_long_part() -> None:
    zeros = bytes(10_000_019)
    assert crc32_combine(zlib.crc32(b"a"), zlib.crc32(zeros), len(zeros)) == zlib.crc32(
        b"a" + zeros
    )
