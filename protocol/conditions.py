"""Preconditions of HTTP requests: entity tags, dates, and which condition decides.

The fields and their order are those of RFC 9110, section 13; the tags of 8.8.3, the dates of 5.6.7.
What the RFC tells a recipient to ignore is ignored. It has no rule for a malformed list of tags:
such a list matches nothing, so that a request that wanted to be careful is refused.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

ANY = "*"

_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_MEMBER = re.compile(rf"[ \t]*(?:({_TAG.pattern})[ \t]*)?(?:,|\Z)")
"""One element of a list with what ends it. Elements may be empty (RFC 9110, 5.6.1.2)."""

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH = f"(?P<month>{'|'.join(_MONTHS)})"
_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_WHOLE_DAY = "(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"
_DATES = (
    re.compile(rf"{_DAY}, (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT"),
    re.compile(rf"{_WHOLE_DAY}, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT"),
    re.compile(rf"{_DAY} {_MONTH} (?P<day>[0-9]{{2}}| [0-9]) {_TIME} (?P<year>[0-9]{{4}})"),
)


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditional fields of a request, as they arrived; None for those that did not."""

    if_match: str | None = None
    if_unmodified_since: str | None = None
    if_none_match: str | None = None
    if_modified_since: str | None = None
    if_range: str | None = None


@dataclass(frozen=True, slots=True)
class Validators:
    """What a representation is known by. `modified` is in Unix seconds; a date tells whole ones.

    Usually there is one tag, or none while the content may still change.
    """

    tags: Collection[str] = ()
    modified: float | None = None


class Verdict(Enum):
    """What the conditions of a request ask for."""

    PROCEED = "proceed"
    NOT_MODIFIED = "not modified"
    FAILED = "failed"


def evaluate(
    conditions: Conditions, current: Validators, *, reading: bool, this_year: int
) -> Verdict:
    """Judge all fields in the order of RFC 9110, 13.2.2. The representation exists.

    `reading` is true for GET and HEAD. `this_year` tells what years with two digits mean.
    """
    if conditions.if_match is not None:
        if not _matches(conditions.if_match, current.tags, weak=False):
            return Verdict.FAILED
    elif conditions.if_unmodified_since is not None and current.modified is not None:
        since = parse_date(conditions.if_unmodified_since, this_year)
        if since is not None and int(current.modified) > since:
            return Verdict.FAILED
    if conditions.if_none_match is not None:
        if _matches(conditions.if_none_match, current.tags, weak=True):
            return Verdict.NOT_MODIFIED if reading else Verdict.FAILED
    elif reading and conditions.if_modified_since is not None and current.modified is not None:
        since = parse_date(conditions.if_modified_since, this_year)
        if since is not None and int(current.modified) <= since:
            return Verdict.NOT_MODIFIED
    return Verdict.PROCEED


def range_applies(conditions: Conditions, current: Validators, this_year: int) -> bool:
    """Whether `Range` counts: without `If-Range`, or when that names this very content (13.1.5).

    The date must be exact. It is a strong validator here: the bytes of a file never change.
    """
    field = conditions.if_range
    if field is None:
        return True
    if _TAG.fullmatch(field):
        return _matches(field, current.tags, weak=False)
    since = parse_date(field, this_year)
    return since is not None and current.modified is not None and since == int(current.modified)


def parse_tags(field: str) -> list[str]:
    """The entity tags of a list, with `W/` where they are weak. Empty when it is malformed."""
    found, position = [], 0
    while position < len(field):
        member = _MEMBER.match(field, position)
        if member is None:
            return []
        if member[1]:
            found.append(member[1])
        position = member.end()
    return found


def _matches(field: str, tags: Collection[str], *, weak: bool) -> bool:
    """Whether one of the listed tags is one of `tags` (RFC 9110, 8.8.3.2)."""
    if field.strip(" \t") == ANY:
        return True
    listed = parse_tags(field)
    if weak:
        known = {tag.removeprefix("W/") for tag in tags}
        return any(tag.removeprefix("W/") in known for tag in listed)
    return any(tag in tags and not tag.startswith("W/") for tag in listed)


def parse_date(field: str, this_year: int) -> int | None:
    """An HTTP date in Unix seconds, in any of the three formats; None for everything else."""
    for pattern in _DATES:
        match = pattern.fullmatch(field.strip(" \t"))
        if match is not None:
            return _seconds(match, this_year)
    return None


def _seconds(match: re.Match[str], this_year: int) -> int | None:
    year = int(match["year"])
    if len(match["year"]) == 2:
        year += this_year - this_year % 100
        # More than 50 years ahead means the past (RFC 9110, 5.6.7).
        year -= 100 if year > this_year + 50 else 0
    month, day = _MONTHS.index(match["month"]) + 1, int(match["day"])
    hour, minute, second = (int(match[name]) for name in ("hour", "minute", "second"))
    if not 1 <= day <= _days_of(month, year) or hour > 23 or minute > 59 or second > 60:
        return None
    return ((_day_number(year, month, day) * 24 + hour) * 60 + minute) * 60 + second


def _days_of(month: int, year: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def _day_number(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01. The year begins in March here, so that a leap day is its last."""
    year, month = (year, month - 3) if month > 2 else (year - 1, month + 9)
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5 + day - 1
    return days - 719468
