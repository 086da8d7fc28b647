"""Byte ranges: the grammar of RFC 9110, and what of it lies in a file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.protocol.errors import RangeNotSatisfiable
from lading.protocol.manifest import Range
from lading.protocol.ranges import MAX_RANGES, content_range, parse

LONG = "9" * 17


@pytest.mark.parametrize(
    ("field", "ranges"),
    [
        ("bytes=0-0", [(0, 1)]),
        ("bytes=5-", [(5, 10)]),
        ("bytes=-3", [(7, 10)]),
        ("bytes=-10", [(0, 10)]),
        ("bytes=-11", [(0, 10)]),
        ("bytes=0-99", [(0, 10)]),
        ("Bytes = 0-1 ,\t3-4", [(0, 2), (3, 5)]),
        ("bytes=8-,0-1,20-", [(8, 10), (0, 2)]),
        ("bytes=-0,0-1", [(0, 2)]),
    ],
)
def test_what_lies_in_the_file(field: str, ranges: list[Range]) -> None:
    assert parse(field, 10) == ranges


@pytest.mark.parametrize(
    "field",
    [None, "", "bytes", "bytes=", "bytes= ", "items=0-1", "bytes=-", "bytes=0-1,"],
)
def test_what_is_no_range_is_ignored(field: str | None) -> None:
    assert parse(field, 10) is None


@pytest.mark.parametrize("spec", ["a-b", "+1-2", "1.0-2", "0x1-2", "1e3-", "--1", "٣-٤"])
def test_numbers_are_decimal_digits_and_nothing_else(spec: str) -> None:
    assert parse(f"bytes={spec}", 10) is None


@pytest.mark.parametrize(
    "field",
    ["bytes=10-", "bytes=10-11", "bytes=-0", "bytes=20-,30-40", "bytes=5-2", "bytes=0-1,5-4"],
)
def test_what_lies_outside_cannot_be_had(field: str) -> None:
    with pytest.raises(RangeNotSatisfiable) as caught:
        parse(field, 10)
    assert caught.value.extra == {"size": 10}


@pytest.mark.parametrize(
    ("field", "ranges"),
    [
        (f"bytes=-{LONG}", [(0, 10)]),
        (f"bytes=0-{LONG}", [(0, 10)]),
        (f"bytes=5-{LONG * 1000}", [(5, 10)]),
        (f"bytes={'0' * 5000}1-{'0' * 17}3", [(1, 4)]),
        (f"bytes={LONG}-,1-2", [(1, 3)]),
    ],
)
def test_a_number_may_have_any_length(field: str, ranges: list[Range]) -> None:
    assert parse(field, 10) == ranges


@pytest.mark.parametrize(
    "field", [f"bytes={LONG}-", f"bytes={LONG}-{LONG}0", f"bytes={LONG * 99}-"]
)
def test_a_long_number_lies_outside(field: str) -> None:
    with pytest.raises(RangeNotSatisfiable):
        parse(field, 10)


def test_a_long_list_is_refused() -> None:
    assert parse("bytes=" + ",".join(["0-0"] * MAX_RANGES), 10) == [(0, 1)] * MAX_RANGES
    with pytest.raises(RangeNotSatisfiable):
        parse("bytes=" + ",".join(["0-0"] * (MAX_RANGES + 1)), 10)


def test_what_grows_has_no_last_bytes_yet() -> None:
    assert parse("bytes=2-", 10, growing=True) == [(2, 10)]
    assert parse("bytes=-3,2-4", 10, growing=True) == [(2, 5)]
    for field in ("bytes=-3", "bytes=-0", f"bytes=-{LONG}", "bytes=10-"):
        with pytest.raises(RangeNotSatisfiable) as caught:
            parse(field, 10, growing=True)
        assert caught.value.extra == {}, "its size is not known"


@given(st.integers(0, 30), st.integers(0, 10**20), st.integers(0, 10**20))
def test_a_range_is_the_bytes_that_it_names(size: int, first: int, last: int) -> None:
    last, places = max(first, last), range(size)
    for field, wanted in (
        (f"bytes={first}-{last}", [at for at in places if first <= at <= last]),
        (f"bytes={first}-", [at for at in places if first <= at]),
        (f"bytes=-{last}", [at for at in places if at >= size - last]),
    ):
        try:
            found = parse(field, size)
        except RangeNotSatisfiable:
            assert wanted == []
        else:
            assert found == [(wanted[0], wanted[-1] + 1)]


def test_a_part_says_where_it_belongs() -> None:
    assert content_range(0, 1, 10) == "bytes 0-0/10"
    assert content_range(5, 10, None) == "bytes 5-9/*"
