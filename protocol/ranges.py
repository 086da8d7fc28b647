"""HTTP byte ranges: from a `Range` field to places in a file.

It owns the grammar and the arithmetic of RFC 9110, section 14. It refuses to know what is stored.
"""

from __future__ import annotations

import re

from protocol.errors import RangeNotSatisfiable
from protocol.manifest import Range

MAX_RANGES = 64
"""More than a player ever asks for; a longer list is refused before it is read."""

_SPEC = re.compile(r"([0-9]{0,16})-([0-9]{0,16})")


def parse(field: str | None, size: int) -> list[Range] | None:
    """The ranges that `field` asks for in a file of `size` bytes, each `[start, end)`, in order.

    None when there is no range to honour: no field, another unit, or a malformed one, which the
    RFC tells us to ignore. Raises RangeNotSatisfiable when none of the ranges lies in the file,
    or when there are too many.
    """
    if field is None:
        return None
    unit, _, list_of_specs = field.partition("=")
    if unit.strip().lower() != "bytes" or not list_of_specs.strip():
        return None
    if list_of_specs.count(",") >= MAX_RANGES:
        raise RangeNotSatisfiable(f"More than {MAX_RANGES} ranges were asked for.", size=size)
    ranges = []
    for spec in list_of_specs.split(","):
        match = _SPEC.fullmatch(spec.strip())
        if match is None or not _is_sound(match[1], match[2]):
            return None
        found = _resolve(match[1], match[2], size)
        if found is not None:
            ranges.append(found)
    if not ranges:
        raise RangeNotSatisfiable(f"The file has {size} bytes.", size=size)
    return ranges


def _is_sound(first: str, last: str) -> bool:
    if first and last:
        return int(first) <= int(last)
    return bool(first or last)


def _resolve(first: str, last: str, size: int) -> Range | None:
    """One range; None when it lies outside the file."""
    if not first:
        length = min(int(last), size)
        return (size - length, size) if length else None
    start = int(first)
    if start >= size:
        return None
    return start, min(int(last) + 1, size) if last else size


def content_range(start: int, end: int, size: int | None) -> str:
    """The `Content-Range` field of the bytes `[start, end)`; `*` for a size not known yet."""
    return f"bytes {start}-{end - 1}/{'*' if size is None else size}"
