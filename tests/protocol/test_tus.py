"""The headers of tus: what is taken, what is refused, and that nothing else can happen."""

from __future__ import annotations

import base64
import hashlib
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lading.protocol import tus
from lading.protocol.digests import crc32c
from lading.protocol.errors import InvalidArgument, LadingError, TooLarge
from lading.protocol.manifest import MAX_INTEGER

ANY = st.text(st.characters(max_codepoint=255), max_size=60)
PIECES = st.lists(
    st.sampled_from(["a", "filename", " ", ",", "=", "YQ==", "final;", "partial", "sha1", ";", "9"])
).map("".join)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_only_our_version_is_spoken() -> None:
    tus.check_version("1.0.0")
    for other in (None, "", "0.2.2", "1.0.0 ", "1.0.1"):
        with pytest.raises(tus.WrongVersion):
            tus.check_version(other)


def test_numbers_are_digits_up_to_the_largest() -> None:
    assert tus.parse_number("Upload-Offset", "0") == 0
    assert tus.parse_number("Upload-Offset", str(MAX_INTEGER)) == MAX_INTEGER
    for bad in ("", "-1", "+1", " 1", "1.0", "0x1", "1_0", "²", "9" * 5000, str(MAX_INTEGER + 1)):
        with pytest.raises(InvalidArgument):
            tus.parse_number("Upload-Offset", bad)


def test_a_length_is_given_or_deferred() -> None:
    assert tus.parse_length("0", None) == 0
    assert tus.parse_length(None, "1") is None
    for length, deferred in ((None, None), ("1", "1"), (None, "0"), (None, ""), ("1", "2")):
        with pytest.raises(InvalidArgument):
            tus.parse_length(length, deferred)


def test_a_length_beyond_the_largest_is_too_large() -> None:
    for much in (str(MAX_INTEGER + 1), "9" * 500):
        with pytest.raises(TooLarge) as refused:
            tus.parse_length(much, None)
        assert refused.value.extra == {"limit": MAX_INTEGER}


def test_metadata_is_pairs_of_a_key_and_base64() -> None:
    value = f"filename {encoded('Größe.mp4')},is_confidential, empty ,raw {'//8='}"
    assert tus.parse_metadata(value) == {
        "filename": "Größe.mp4",
        "is_confidential": "",
        "empty": "",
        "raw": "\xff\xff",
    }
    assert tus.parse_metadata(None) == {}


@pytest.mark.parametrize(
    "bad",
    [
        "",
        ",",
        "a YQ==,",
        "a YQ==,a YQ==",
        "a b c",
        "a Y",
        "a Y Q==",
        "ä YQ==",
        "a " + "YQ==" * 5000,
    ],
)
def test_other_metadata_is_refused(bad: str) -> None:
    with pytest.raises(InvalidArgument):
        tus.parse_metadata(bad)


@pytest.mark.parametrize("algorithm", tus.ALGORITHMS)
def test_a_checksum_names_its_algorithm(algorithm: str) -> None:
    digest = tus.new_digest(algorithm)
    digest.update(b"hel")
    digest.update(b"lo")
    known = {
        "sha1": hashlib.sha1(b"hello", usedforsecurity=False).digest(),
        "sha256": hashlib.sha256(b"hello").digest(),
        "crc32c": crc32c(b"hello").to_bytes(4, "big"),
    }
    assert digest.digest() == known[algorithm]
    value = f"{algorithm} {base64.b64encode(digest.digest()).decode()}"
    assert tus.parse_checksum(value) == tus.Checksum(algorithm, known[algorithm])


@pytest.mark.parametrize("bad", ["", "sha1", "sha1 ", "sha1 YQ==", "md5 YQ==", "SHA1 " + "A" * 28])
def test_other_checksums_are_refused(bad: str) -> None:
    with pytest.raises(InvalidArgument):
        tus.parse_checksum(bad)


def test_concatenation_is_partial_or_a_list() -> None:
    assert tus.parse_concat("partial") is None
    assert tus.parse_concat("final;/v1/tus/a https://x/v1/tus/b") == [
        "/v1/tus/a",
        "https://x/v1/tus/b",
    ]
    for bad in ("", "final", "final;", "final; a", "final;a  b", "partial;a", "Partial"):
        with pytest.raises(InvalidArgument):
            tus.parse_concat(bad)
    with pytest.raises(InvalidArgument):
        tus.parse_concat("final;" + "a " * tus.MAX_PARTS + "a")


def test_a_relative_path_has_a_directory_and_a_name() -> None:
    assert tus.split_path("a/b/c.txt") == ("a/b", "c.txt")
    assert tus.split_path("/a/c.txt") == ("a", "c.txt")
    assert tus.split_path("a\\c.txt") == ("a", "c.txt")
    assert tus.split_path("c.txt") == ("", "c.txt")
    assert tus.split_path("") == ("", "")


@given(ANY | PIECES)
@example("9" * 5000)
def test_any_value_is_understood_or_refused(value: str) -> None:
    for parse in (
        lambda: tus.parse_number("Upload-Length", value),
        lambda: tus.parse_length(value, None),
        lambda: tus.parse_length(None, value),
        lambda: tus.parse_metadata(value),
        lambda: tus.parse_checksum(value),
        lambda: tus.parse_concat(value),
        lambda: tus.check_version(value),
        lambda: tus.split_path(value),
    ):
        with suppress(LadingError):
            parse()


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_a_digest_does_not_mind_how_the_bytes_come(data: bytes, cuts: list[int]) -> None:
    for algorithm in tus.ALGORITHMS:
        whole, each, parts = (tus.new_digest(algorithm) for _ in range(3))
        whole.update(data)
        for byte in data:
            each.update(bytes([byte]))
        borders = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
        for start, end in pairwise(borders):
            parts.update(data[start:end])
        assert whole.digest() == each.digest() == parts.digest()
