"""The ladder of sizes: which pictures can be made of a file, and how large each is.

Pure arithmetic. Quality 0 is the original and is never made. Source: page 10 of the design.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from lading.protocol.kinds import CROPS

SIDES = {1: 10, 2: 40, 3: 160, 4: 320, 5: 640, 6: 1080}
"""The long side of each quality in pixels."""

QUALITIES = tuple(SIDES)

COMPRESSION = {1: 30, 2: 45, 3: 60, 4: 68, 5: 75, 6: 80}
"""libwebp's quality factor (0 to 100) of each quality: the smallest is the most compressed."""

MOVING = frozenset({3, 4, 5, 6})
"""The qualities in which an animation stays one; the others are a still of its first frame."""


class Size(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int


class Variant(NamedTuple):
    """One picture of a file: a quality from 1 to 6, and None or `square`."""

    quality: int
    crop: str | None = None

    @property
    def name(self) -> str:
        """`3` or `3-square`: how the picture is named beside its file."""
        return str(self.quality) if self.crop is None else f"{self.quality}-{self.crop}"


VARIANTS = tuple(Variant(quality, crop) for crop in (None, *CROPS) for quality in QUALITIES)
"""Every picture that a file can have."""

_BY_NAME = {variant.name: variant for variant in VARIANTS}


def named(name: str) -> Variant | None:
    """The variant that `Variant.name` calls so; None when there is none."""
    return _BY_NAME.get(name)


def wanted(sizes: Iterable[int] = ()) -> tuple[Variant, ...]:
    """The variants that a kind's `sizes` ask for, uncropped; without sizes, all six."""
    return tuple(Variant(quality) for quality in sorted(sizes) or QUALITIES)


def target(variant: Variant, shown: Size) -> Size:
    """The size of the variant of a picture that is shown with `shown`; never enlarged.

    A square is as large as the short side allows. Otherwise the long side decides, and the other
    one is rounded to the nearest pixel, at least 1.
    """
    side = SIDES[variant.quality]
    if variant.crop is not None:
        side = min(side, *shown)
        return Size(side, side)
    longest = max(shown)
    if longest <= side:
        return shown
    return Size(*(max(1, (2 * each * side + longest) // (2 * longest)) for each in shown))
