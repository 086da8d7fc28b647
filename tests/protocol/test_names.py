"""Which names, directories and tags are the same."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.protocol.names import (
    SAVED_BYTES,
    canonical_directory,
    composed,
    is_within,
    saved_name,
    search_form,
)

NFC = "Zoë"
NFD = unicodedata.normalize("NFD", NFC)


def test_two_ways_to_write_a_letter_are_one() -> None:
    assert NFC != NFD
    assert composed(NFD) == NFC


@pytest.mark.parametrize(
    "directory",
    [f"{NFC}/b", f"/{NFC}/b", f"{NFC}/b/", f"{NFC}//b", f"./{NFC}/b", f"{NFC}/./b/.", f"{NFD}/b"],
)
def test_a_directory_has_one_form(directory: str) -> None:
    assert canonical_directory(directory) == f"{NFC}/b"


@pytest.mark.parametrize("root", ["", "/", "//", ".", "./", "/./"])
def test_the_root_has_one_form(root: str) -> None:
    assert canonical_directory(root) == ""


@pytest.mark.parametrize("directory", ["../a", "a/../b", "..", "a\\b", " a ", ".a", "a."])
def test_the_rest_is_data(directory: str) -> None:
    assert canonical_directory(directory) == directory


@given(st.text(max_size=50))
def test_the_one_form_is_its_own_form(text: str) -> None:
    once = canonical_directory(text)
    assert canonical_directory(once) == once


@pytest.mark.parametrize(
    ("name", "saved"),
    [
        ("photo.jpg", "photo.jpg"),
        ("漢" * 1000 + ".jpg", "漢" * 83 + ".jpg"),
        ("a" * 1000, "a" * 255),
        ("a" * 300 + ".tar.gz", "a" * 252 + ".gz"),
        ("a." + "b" * 300, "a." + "b" * 253),
        ("." + "b" * 300, "." + "b" * 254),
        ("e\u0301" * 200 + ".txt", "e\u0301" * 83 + ".txt"),
        ("ab" + "e" + "\u0301" * 300, "ab"),
        ("👩\u200d👩" * 100, "👩\u200d👩" * 23),
    ],
    ids=lambda value: str(len(value)),
)
def test_a_long_name_is_cut_between_characters_and_keeps_its_ending(name: str, saved: str) -> None:
    assert saved_name(name) == saved


@given(st.text(min_size=1, max_size=1024))
def test_every_name_can_be_saved(name: str) -> None:
    assert len(saved_name(name).encode()) <= SAVED_BYTES


@pytest.mark.parametrize(
    ("name", "searched"),
    [
        ("Éclair ①.JPG", "eclair 1.jpg"),
        ("E\u0301clair", "eclair"),
        ("STRASSE straße", "strasse strasse"),
        ("İstanbul", "istanbul"),
        ("ﬁlm", "film"),
        ("한글", "한글"),
        ("हिन्दी", "हिन्दी"),
        ("ΟΔΥΣΣΕΎΣ", "οδυσσευσ"),
    ],
)
def test_a_name_is_searched_without_case_and_accents(name: str, searched: str) -> None:
    assert search_form(name) == searched


@given(st.text())
def test_the_searched_form_of_the_searched_form_is_itself(text: str) -> None:
    assert search_form(search_form(text)) == search_form(text)
    assert search_form(composed(text)) == search_form(text)


def test_what_lies_within_a_directory() -> None:
    for inside in ("a/b", "a/b/c", "a/b/.."):
        assert is_within(inside, "a/b")
    for outside in ("", "a", "a/bc", "b", "a/b2/c"):
        assert not is_within(outside, "a/b")
