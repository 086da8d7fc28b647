"""Preconditions against an oracle that was written from the text of RFC 9110, section 13."""

from __future__ import annotations

import calendar
import itertools
import time
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.protocol.conditions import (
    Conditions,
    Validators,
    Verdict,
    evaluate,
    parse_date,
    parse_tags,
    range_applies,
)

YEAR = 2026
MODIFIED = calendar.timegm((2026, 11, 29, 2, 0, 0)) + 0.75
EXACT = "Sun, 29 Nov 2026 02:00:00 GMT"
BEFORE = "Sun, 29 Nov 2026 01:59:59 GMT"
AFTER = "Sun, 29 Nov 2026 02:00:01 GMT"
STRONG, WEAK, OTHER = '"a,b"', 'W/"a,b"', '"x"'

LISTS: dict[str, set[str]] = {
    STRONG: {STRONG},
    WEAK: {WEAK},
    OTHER: {OTHER},
    f"{OTHER}, {STRONG}": {OTHER, STRONG},
    f",{OTHER} , {WEAK},": {OTHER, WEAK},
    "a,b": set(),
    '"a, "b"': set(),
    f"{STRONG} {OTHER}": set(),
    f"*, {OTHER}": set(),
    '""': {'""'},
}
"""Lists of tags, and what they hold; malformed ones hold nothing."""

DATES = {EXACT: 0, BEFORE: -1, AFTER: 1, "yesterday": None, f"{EXACT}, {EXACT}": None}
"""Dates, and where they lie in relation to the file's; None for invalid ones."""


def oracle_tags(field: str, current: set[str], *, strong: bool) -> bool:
    """13.1.1, 13.1.2 and 8.8.3.2."""
    if field == "*":
        return True
    for each, mine in itertools.product(LISTS[field], current):
        same = each.removeprefix("W/") == mine.removeprefix("W/")
        if same and not (strong and (each.startswith("W/") or mine.startswith("W/"))):
            return True
    return False


def oracle(sent: Conditions, current: set[str], dated: bool, reading: bool) -> Verdict:
    """13.2.2, step by step."""
    until, since = sent.if_unmodified_since, sent.if_modified_since
    if sent.if_match is not None:  # 1
        if not oracle_tags(sent.if_match, current, strong=True):
            return Verdict.FAILED
    elif until is not None and dated and DATES[until] == -1:  # 2
        return Verdict.FAILED
    if sent.if_none_match is not None:  # 3
        if oracle_tags(sent.if_none_match, current, strong=False):
            return Verdict.NOT_MODIFIED if reading else Verdict.FAILED
    elif reading and since is not None and dated and DATES[since] in (0, 1):  # 4
        return Verdict.NOT_MODIFIED
    return Verdict.PROCEED  # 5 and 6


@pytest.mark.parametrize("reading", [True, False])
@pytest.mark.parametrize(
    "tags", [set(), {STRONG}, {WEAK}, {STRONG, OTHER}], ids=lambda tags: " ".join(sorted(tags))
)
@pytest.mark.parametrize("dated", [True, False])
def test_every_combination_is_judged_as_the_rfc_says(
    reading: bool, tags: set[str], dated: bool
) -> None:
    lists = [None, "*", *LISTS]
    dates = [None, *DATES]
    current = Validators(tags, MODIFIED if dated else None)
    for values in itertools.product(lists, dates, lists, dates):
        sent = Conditions(*values)
        found = evaluate(sent, current, reading=reading, this_year=YEAR)
        assert found is oracle(sent, tags, dated, reading), sent


@pytest.mark.parametrize("tags", [(), (STRONG,), (WEAK,)])
@pytest.mark.parametrize("dated", [True, False])
def test_a_range_counts_only_for_the_same_content(tags: tuple[str, ...], dated: bool) -> None:
    current = Validators(tags, MODIFIED if dated else None)
    wanted: dict[str | None, bool] = dict.fromkeys([*LISTS, *DATES, "*"], False)
    wanted |= {None: True, STRONG: STRONG in tags, EXACT: dated}
    for field, applies in wanted.items():
        assert range_applies(Conditions(if_range=field), current, YEAR) is applies, field


@pytest.mark.parametrize(
    ("field", "found"),
    [
        (STRONG, [STRONG]),
        (f" , {WEAK} ,, {STRONG},", [WEAK, STRONG]),
        ('"\xe4\xff!"', ['"\xe4\xff!"']),
        ('w/"a"', []),
        ('"a b"', []),
        ('"a', []),
        ("", []),
        (", ,", []),
        ('"a"' + ", " * 30_000 + "!", []),
        ('"a",' * 15_000, ['"a"'] * 15_000),
    ],
)
def test_lists_of_tags(field: str, found: list[str]) -> None:
    started = time.perf_counter()
    assert parse_tags(field) == found
    assert time.perf_counter() - started < 1


@given(st.integers(calendar.timegm((1000, 1, 1, 0, 0, 0)), calendar.timegm((9999, 1, 1, 0, 0, 0))))
def test_dates_in_the_usual_format(seconds: int) -> None:
    moment = datetime.fromtimestamp(seconds, UTC)
    assert parse_date(format_datetime(moment, usegmt=True), YEAR) == seconds


@pytest.mark.parametrize(
    ("field", "wanted"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 784111777),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 784111777),
        ("Sun Nov  6 08:49:37 1994", 784111777),
        ("Sun Nov 16 08:49:37 1994", 784975777),
        ("Sunday, 01-Nov-76 00:00:00 GMT", calendar.timegm((2076, 11, 1, 0, 0, 0))),
        ("Monday, 01-Nov-77 00:00:00 GMT", calendar.timegm((1977, 11, 1, 0, 0, 0))),
        ("Sat, 31 Dec 2016 23:59:60 GMT", calendar.timegm((2017, 1, 1, 0, 0, 0))),
        ("Thu, 29 Feb 2024 00:00:00 GMT", calendar.timegm((2024, 2, 29, 0, 0, 0))),
        ("Wed, 29 Feb 2023 00:00:00 GMT", None),
        ("Mon, 29 Feb 2100 00:00:00 GMT", None),
        ("Sun, 31 Nov 1994 08:49:37 GMT", None),
        ("Sun, 00 Nov 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994 24:49:37 GMT", None),
        ("Sun, 06 Nov 1994 08:60:37 GMT", None),
        ("Sun, 06 Nov 1994 08:49:37 +0000", None),
        ("Sun, 6 Nov 1994 08:49:37 GMT", None),
        ("sun, 06 nov 1994 08:49:37 gmt", None),
        ("784111777", None),
        ("", None),
    ],
)
def test_dates_in_three_formats(field: str, wanted: int | None) -> None:
    assert parse_date(field, YEAR) == wanted
