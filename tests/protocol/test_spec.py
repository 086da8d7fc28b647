"""What CREATE may ask for: the borders of each field, and text that must never get further."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.protocol.errors import InvalidArgument
from lading.protocol.manifest import MAX_CHUNK_SIZE, MAX_INTEGER, MIN_CHUNK_SIZE
from lading.protocol.media_types import MAX_MEDIA_TYPE
from lading.protocol.spec import (
    MAX_FINGERPRINT,
    MAX_NAME,
    MAX_TAG,
    MAX_TAGS,
    UploadSpec,
    check_id,
    check_mime_type,
    choose_chunk_size,
)

ALLOWED: list[dict[str, Any]] = [
    {},
    {"name": "n" * MAX_NAME},
    {"name": "../../etc/passwd"},
    {"name": "%2e%2e"},
    {"name": "..\\x"},
    {"name": "line\r\nbreak"},
    {"name": "\u202egnp.exe"},
    {"size": 0},
    {"size": MAX_INTEGER},
    {"directory": "a/b" * 10},
    {"directory": "d" * MAX_NAME},
    {"tags": ()},
    {"tags": ("holiday", "2026", "a$b", "grün", "two words")},
    {"tags": tuple(str(n) for n in range(MAX_TAGS))},
    {"tags": ("t" * MAX_TAG,)},
    {"tags": ("v1.2", "$5", "node.js", "$ne", ".x", "..x", "...", ". .", "a/b", "ends.")},
    {"mime_type": "video/mp4"},
    {"mime_type": "text/plain; charset=utf-8"},
    {"mime_type": 'text/plain ;charset="u t f"; a=b'},
    {"mime_type": "video/webm;codecs=vp8,opus"},
    {"mime_type": ""},  # a browser's `File.type` where it knows none
    {"sha256": "0" * 64},
    {"fingerprint": "f" * MAX_FINGERPRINT},
    {"chunk_size": 1},
]

REFUSED: list[dict[str, Any]] = [
    {"name": ""},
    {"name": "n" * (MAX_NAME + 1)},
    {"name": "nul\0"},
    {"name": "lone \ud800 surrogate"},
    {"size": -1},
    {"size": MAX_INTEGER + 1},
    {"directory": "d" * (MAX_NAME + 1)},
    {"directory": "nul\0"},
    {"tags": ("",)},
    {"tags": (".",)},
    {"tags": ("..",)},
    {"tags": ("nul\0",)},
    {"tags": ("line\nbreak",)},
    {"tags": ("delete\x7f",)},
    {"tags": ("t" * (MAX_TAG + 1),)},
    {"tags": tuple(str(n) for n in range(MAX_TAGS + 1))},
    {"tags": ("t",) * (MAX_TAGS + 1)},
    {"mime_type": "video"},
    {"mime_type": "video/"},
    {"mime_type": "video/mp4\r\nSet-Cookie: a=b"},
    {"mime_type": "video/mp4;\r\na=b"},
    {"mime_type": "video/mp4\n"},
    {"mime_type": "video/mp4;\u2003a=b"},
    {"mime_type": "video/mp4; a"},
    {"mime_type": "text/plain; a=" + "b" * MAX_MEDIA_TYPE},
    {"sha256": "0" * 63},
    {"sha256": "F" * 64},
    {"fingerprint": ""},
    {"fingerprint": "f" * (MAX_FINGERPRINT + 1)},
    {"fingerprint": "nul\0"},
    {"chunk_size": 0},
    {"chunk_size": -1},
]


def label(fields: dict[str, Any]) -> str:
    return repr(fields)[:40]


@pytest.mark.parametrize("fields", ALLOWED, ids=label)
def test_allowed(fields: dict[str, Any]) -> None:
    UploadSpec(**{"name": "film.mp4", **fields}).check()


def test_a_tag_that_is_given_twice_counts_once_and_where_it_stood_first() -> None:
    spec = UploadSpec(name="film.mp4", tags=("b", "a", "b", "c", "a"))
    assert spec.tags == ("b", "a", "c")


def test_the_forms_of_one_directory_one_tag_and_one_type_are_one() -> None:
    decomposed = unicodedata.normalize("NFD", "é")
    spec = UploadSpec(
        name=decomposed,
        directory=f"/{decomposed}//./b/",
        tags=("é", decomposed),
        mime_type="A/B;C=d",
    )
    assert spec.name == decomposed  # a name is data
    assert (spec.directory, spec.tags, spec.mime_type) == ("é/b", ("é",), "a/b; c=d")


@pytest.mark.parametrize("fields", REFUSED, ids=label)
def test_refused_with_the_name_of_the_field(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        UploadSpec(**{"name": "film.mp4", **fields}).check()
    (field,) = fields
    assert field.rstrip("s") in str(refusal.value)


@given(st.text(alphabet=st.characters(categories=["Cc", "Zs", "Zl", "Zp"]), min_size=1))
def test_a_media_type_can_never_end_its_header(text: str) -> None:
    for value in (f"a/b{text}", f"a/b;{text}c=d", f"a/b;c={text}d", f'a/b;c="{text}"'):
        try:
            check_mime_type(value)
        except InvalidArgument:
            continue
        assert not set(value) & set("\r\n\0\x0b\x0c\x85\u2028\u2029")


@pytest.mark.parametrize("value", ["0" * 24, "0123456789abcdef01234567"])
def test_ids(value: str) -> None:
    assert check_id(value) == value


@pytest.mark.parametrize(
    "value", ["", "0" * 23, "0" * 25, "A" * 24, "0" * 23 + "\n", "0" * 24 + "\n", '{"$ne": null}',
              "\u0660" * 24, "0" * 23 + "\0"]
)  # fmt: skip
def test_what_is_no_id(value: str) -> None:
    with pytest.raises(InvalidArgument):
        check_id(value)


USUAL = 4 * 1024 * 1024


@pytest.mark.parametrize(
    ("asked", "largest", "chosen"),
    [
        (None, USUAL, 4096),
        (1, USUAL, MIN_CHUNK_SIZE),
        (MIN_CHUNK_SIZE, USUAL, MIN_CHUNK_SIZE),
        (5000, USUAL, 5000),
        (USUAL, USUAL, USUAL),
        (USUAL + 1, USUAL, USUAL),
        (MAX_INTEGER, USUAL, USUAL),
        (MAX_INTEGER, MAX_INTEGER, MAX_CHUNK_SIZE),
        (1, 512, 512),  # the largest counts, also where it is below the smallest
    ],
)
def test_the_chunk_size_stays_within_the_limits(
    asked: int | None, largest: int, chosen: int
) -> None:
    assert choose_chunk_size(asked, 4096, largest) == chosen
