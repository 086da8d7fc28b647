"""Grouping peaks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lading.imaging.made import PEAKS
from lading.imaging.waveform import grouped

peaks = st.lists(st.integers(0, 255), min_size=1, max_size=3 * PEAKS)


@given(peaks)
def test_there_are_always_as_many_and_the_loudest_is_kept(blocks: list[int]) -> None:
    found = grouped(blocks)
    assert len(found) == PEAKS
    assert max(found) == max(blocks)
    assert set(found) <= set(blocks)


def test_few_are_repeated_and_many_are_joined() -> None:
    assert grouped([7]) == bytes([7] * PEAKS)
    assert grouped(list(range(200)) * 8)[:100] == bytes(range(1, 200, 2))
