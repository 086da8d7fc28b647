"""The headers of the IETF's resumable uploads, in each version of the draft."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.protocol import rufh
from lading.protocol.errors import InvalidArgument
from lading.protocol.rufh import DIALECTS, NEWEST, Upload

ANY = st.text(st.characters(max_codepoint=255), max_size=40)
PIECES = st.lists(st.sampled_from(["?1", "?0", "5", "-", ";", "a", "=", '"', " ", ":", "1.5"])).map(
    "".join
)
OLD = DIALECTS[3]


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("0", 0),
        ("999999999999999", 10**15 - 1),
        (" 5 ", 5),
        ('5;a;b=2;c="x\\"y";d=:YQ==:;e=?1;f=tok;g=1.5', 5),
        ("0005", 5),
        ("-1", None),
        ("1000000000000000", None),
        ("5.0", None),
        ('"5"', None),
        ("5, 6", None),
        ("5;A", None),
        ("+5", None),
        ("", None),
        ("\u0665", None),
        (None, None),
    ],
)
def test_an_offset_is_an_integer_of_structured_fields(
    value: str | None, number: int | None
) -> None:
    assert rufh.parse_integer(value) == number


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("?1", True),
        ("?0", False),
        (" ?1;x=1 ", True),
        ("1", None),
        ("true", None),
        ("?2", None),
        ("?1, ?1", None),
        ("", None),
        (None, None),
    ],
)
def test_completeness_is_a_boolean_of_structured_fields(
    value: str | None, said: bool | None
) -> None:
    assert rufh.parse_boolean(value) is said


def test_a_request_names_its_version() -> None:
    for number, dialect in DIALECTS.items():
        assert rufh.spoken({"upload-draft-interop-version": str(number)}) is dialect
    for other in ("4", "7", "9", "x", ""):
        assert rufh.spoken({"upload-draft-interop-version": other}) is None
    assert rufh.spoken({}) is None


def test_the_first_drafts_say_the_opposite() -> None:
    assert rufh.completeness(OLD, {"upload-incomplete": "?1"}) is False
    assert rufh.completeness(OLD, {"upload-incomplete": "?0"}) is True
    assert rufh.completeness(OLD, {"upload-complete": "?1"}) is None
    assert rufh.completeness(NEWEST, {"upload-complete": "?1"}) is True
    assert rufh.fields(OLD, complete=True) == {"Upload-Incomplete": "?0"}
    assert rufh.fields(OLD, complete=False) == {"Upload-Incomplete": "?1"}
    assert rufh.fields(NEWEST, offset=3, complete=False, length=9) == {
        "Upload-Offset": "3",
        "Upload-Complete": "?0",
        "Upload-Length": "9",
    }


def test_the_length_is_said_or_is_that_of_the_last_content() -> None:
    last, more = {"upload-complete": "?1"}, {"upload-complete": "?0"}
    assert rufh.creation(NEWEST, last, 10) == Upload(True, 10)
    assert rufh.creation(NEWEST, last, None) == Upload(True, None)
    assert rufh.creation(NEWEST, more, 10) == Upload(False, None)
    assert rufh.creation(NEWEST, {**more, "upload-length": "12"}, 10) == Upload(False, 12)
    assert rufh.creation(NEWEST, {**last, "upload-length": "10"}, 10) == Upload(True, 10)
    assert rufh.append(NEWEST, {**last, "upload-offset": "5"}, 10) == Upload(True, 15, 5)
    for headers in ({**last, "upload-length": "9"}, {**last, "upload-length": "11"}):
        with pytest.raises(InvalidArgument) as refused:
            rufh.creation(NEWEST, headers, 10)
        assert refused.value.extra["type"].endswith("#inconsistent-upload-length")


def test_a_malformed_value_counts_as_absent() -> None:
    headers = {"upload-complete": "?1", "upload-length": "ten"}
    assert rufh.creation(NEWEST, headers, 10) == Upload(True, 10)
    assert rufh.creation(NEWEST, {"upload-complete": "yes"}, 10) == Upload(True, 10)


def test_an_append_needs_its_offset_and_says_whether_it_is_the_last() -> None:
    for dialect in DIALECTS.values():
        with pytest.raises(InvalidArgument):
            rufh.append(dialect, {dialect.complete_field.lower(): "?1"}, 1)
    with pytest.raises(InvalidArgument):
        rufh.append(NEWEST, {"upload-offset": "0"}, 1)
    assert rufh.append(OLD, {"upload-offset": "0"}, 1) == Upload(True, 1, 0)


def test_early_drafts_refuse_the_state_in_a_look() -> None:
    for number in (3, 5, 6):
        dialect = DIALECTS[number]
        for name in ("Upload-Offset", dialect.complete_field, "Upload-Length"):
            with pytest.raises(InvalidArgument):
                rufh.check_look(dialect, {name.lower(): "?0"}, "Upload-Length")
        rufh.check_look(dialect, {})
    rufh.check_look(NEWEST, {"upload-offset": "0", "upload-complete": "?1"})


def test_limits_have_the_names_of_their_version() -> None:
    assert rufh.limits(OLD, 5, 9.9) == rufh.limits(DIALECTS[5], 5, 9.9) == {}
    assert rufh.limits(DIALECTS[6], 5, 9.9) == {"Upload-Limit": "max-size=5, expires=9"}
    assert rufh.limits(NEWEST, 5, -1.0) == {"Upload-Limit": "max-size=5, max-age=0"}
    assert rufh.limits(NEWEST, None, None) == {"Upload-Limit": "max-size=999999999999999"}
    assert rufh.limits(NEWEST, 2**53 - 1, None) == {"Upload-Limit": "max-size=999999999999999"}


@given(ANY | PIECES, ANY | PIECES, ANY | PIECES, st.none() | st.integers(0, 20))
def test_any_headers_are_understood_or_refused(
    offset: str, complete: str, length: str, content: int | None
) -> None:
    for dialect in DIALECTS.values():
        headers = {
            "upload-offset": offset,
            dialect.complete_field.lower(): complete,
            "upload-length": length,
        }
        for parse in (rufh.creation, rufh.append):
            try:
                found = parse(dialect, headers, content)
            except InvalidArgument:
                continue
            assert 0 <= found.offset <= rufh.MAX_SIZE
            assert found.length is None or found.length >= 0
