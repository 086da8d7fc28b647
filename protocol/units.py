"""Sizes and durations as people write them: `32MB`, `4MiB`, `90s`, `24h`, or plain numbers.

Source: page 4 of the design, "Settings that outside checks use".
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_SIZES = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}
_SPANS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_QUANTITY = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*")


def parse_size(value: object) -> int:
    """Bytes from `32MB`, `4MiB` or a plain number; ValueError for anything else."""
    return int(_quantity(value, _SIZES, "32MB or 4MiB"))


def parse_duration(value: object) -> float:
    """Seconds from `90s`, `24h` or a plain number; ValueError for anything else."""
    return _quantity(value, _SPANS, "90s or 24h")


def _quantity(value: object, units: Mapping[str, float], example: str) -> float:
    match = _QUANTITY.fullmatch(str(value))
    if match is None or match[2].lower() not in units:
        raise ValueError(f"must be a number with or without a unit, such as {example}")
    return float(match[1]) * float(units[match[2].lower()])
