"""The ladder of sizes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.imaging.ladder import (
    COMPRESSION,
    QUALITIES,
    SIDES,
    VARIANTS,
    Size,
    Variant,
    named,
    target,
    wanted,
)
from lading.protocol.kinds import SIZES as OF_KINDS

sides = st.integers(1, 200_000)
sizes = st.builds(Size, sides, sides)


def test_the_six_sides_are_those_of_the_design() -> None:
    assert list(SIDES.values()) == [10, 40, 160, 320, 640, 1080]
    assert list(OF_KINDS) == list(QUALITIES)


def test_the_smallest_is_the_most_compressed() -> None:
    assert sorted(COMPRESSION.values()) == [COMPRESSION[quality] for quality in QUALITIES]
    assert len(set(COMPRESSION.values())) == len(QUALITIES)


@given(size=sizes, quality=st.sampled_from(QUALITIES))
def test_the_long_side_decides_and_nothing_is_enlarged(size: Size, quality: int) -> None:
    made = target(Variant(quality), size)
    assert max(made) == min(SIDES[quality], max(size))
    assert made.width <= size.width
    assert made.height <= size.height
    assert min(made) >= 1


@given(size=sizes, quality=st.sampled_from(QUALITIES))
def test_the_shape_is_kept_to_half_a_pixel(size: Size, quality: int) -> None:
    made = target(Variant(quality), size)
    scale = max(made) / max(size)
    assert all(
        abs(after - before * scale) <= 0.5 or after == 1
        for before, after in zip(size, made, strict=True)
    )


@given(size=sizes, quality=st.sampled_from(QUALITIES))
def test_a_square_is_as_large_as_the_short_side_allows(size: Size, quality: int) -> None:
    side = min(SIDES[quality], *size)
    assert target(Variant(quality, "square"), size) == (side, side)


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_every_variant_has_a_name_of_its_own(variant: Variant) -> None:
    assert named(variant.name) == variant


@pytest.mark.parametrize("name", ["", "0", "7", "1-", "1-round", "01", "square"])
def test_no_other_name_is_a_variant(name: str) -> None:
    assert named(name) is None


def test_a_kind_decides_which_are_made() -> None:
    assert wanted() == tuple(Variant(quality) for quality in QUALITIES)
    assert wanted((6, 3)) == (Variant(3), Variant(6))
