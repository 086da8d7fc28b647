"""The orientation in an EXIF block."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.imaging.exif import orientation


def block(order: str, value: int, tag: int = 0x0112, kind: int = 3) -> bytes:
    head = {"<": b"II*\0", ">": b"MM\0*"}[order]
    entry = struct.pack(f"{order}HHIHH", tag, kind, 1, value, 0)
    return b"Exif\0\0" + head + struct.pack(f"{order}IH", 8, 1) + entry


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("value", range(1, 9))
def test_orientation_is_found(order: str, value: int) -> None:
    assert orientation(block(order, value)) == value
    assert orientation(block(order, value).removeprefix(b"Exif\0\0")) == value


@pytest.mark.parametrize(
    "data",
    [None, b"", b"II", block("<", 0), block("<", 9), block("<", 6, 0x0110), block("<", 6, kind=4)],
)
def test_without_one_a_picture_is_upright(data: bytes | None) -> None:
    assert orientation(data) == 1


@given(st.binary(max_size=200))
def test_any_bytes_are_answered(data: bytes) -> None:
    assert 1 <= orientation(b"II*\0" + data) <= 8
