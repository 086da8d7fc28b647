"""HTTP byte ranges: from a `Range` field to places in a file.

The grammar and the arithmetic of RFC 9110, section 14.
"""

from __future__ import annotations

import re

from lading.protocol.errors import RangeNotSatisfiable
from lading.protocol.manifest import MAX_INTEGER, Range

MAX_RANGES = 64
"""More than a player ever asks for; a longer list is refused before it is read."""

_SPEC = re.compile(r"([0-9]*)-([0-9]*)")

_DIGITS = len(str(MAX_INTEGER))
_BEYOND = 10**_DIGITS
"""Stands for every number of more digits: none of them lies in a file."""


def parse(field: str | None, size: int, *, growing: bool = False) -> list[Range] | None:
    """The ranges that `field` asks for in a file of `size` bytes, each `[start, end)`, in order.

    Of a file that is `growing`, `size` is how far it may come: it has no last bytes yet.

    None when there is no range to honour: no field, another unit, or a malformed one, which the
    RFC tells us to ignore. Raises RangeNotSatisfiable when none of the ranges lies in the file,
    when one ends before it begins, or when there are too many.
    """
    if field is None:
        return None
    unit, _, list_of_specs = field.partition("=")
    if unit.strip().lower() != "bytes" or not list_of_specs.strip():
        return None
    facts = {} if growing else {"size": size}
    if list_of_specs.count(",") >= MAX_RANGES:
        raise RangeNotSatisfiable(f"More than {MAX_RANGES} ranges were asked for.", **facts)
    ranges = []
    for spec in list_of_specs.split(","):
        match = _SPEC.fullmatch(spec.strip())
        if match is None:
            return None
        first, last = _number(match[1]), _number(match[2])
        if first is None and last is None:
            return None
        if first is not None and last is not None and last < first:
            raise RangeNotSatisfiable("A range ends before it begins.", **facts)
        found = _resolve(first, last, size, growing)
        if found is not None:
            ranges.append(found)
    if not ranges:
        if growing:
            raise RangeNotSatisfiable("The file is still growing: it has no last bytes yet.")
        raise RangeNotSatisfiable(f"The file has {size} bytes.", **facts)
    return ranges


def _number(digits: str) -> int | None:
    """A number of any length: counted before `int`, whose time grows with the square of it."""
    if not digits:
        return None
    digits = digits.lstrip("0") or "0"
    return int(digits) if len(digits) <= _DIGITS else _BEYOND


def _resolve(first: int | None, last: int | None, size: int, growing: bool) -> Range | None:
    """One range; None when it lies outside the file."""
    if first is None:
        length = min(last or 0, size)
        return (size - length, size) if length and not growing else None
    if first >= size:
        return None
    return first, size if last is None else min(last + 1, size)


def content_range(start: int, end: int, size: int | None) -> str:
    """The `Content-Range` field of the bytes `[start, end)`; `*` for a size not known yet."""
    return f"bytes {start}-{end - 1}/{'*' if size is None else size}"
