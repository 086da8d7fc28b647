"""What the boxes of an ISO file and the chunks of a PNG say."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.imaging.boxes import (
    MOST_BOXES,
    Box,
    Coding,
    ImageProperties,
    Read,
    boxes,
    image_properties,
    moov_first,
    png_coding,
)


def box(kind: bytes, *inside: bytes) -> bytes:
    body = b"".join(inside)
    return struct.pack(">I4s", len(body) + 8, kind) + body


def reader(data: bytes) -> Read:
    return lambda start, end: data[start:end]


def heif(*properties: bytes) -> bytes:
    return box(b"ftyp", b"heic") + box(
        b"meta", bytes(4), box(b"iprp", box(b"ipco", *properties)), box(b"iloc")
    )


def test_boxes_are_listed() -> None:
    data = box(b"ftyp", b"isom") + box(b"free")
    assert list(boxes(reader(data), 0, len(data))) == [Box(b"ftyp", 8, 12), Box(b"free", 20, 20)]


def test_a_box_may_have_a_long_size_or_reach_to_the_end() -> None:
    data = struct.pack(">I4sQ", 1, b"wide", 20) + b"1234" + struct.pack(">I4s", 0, b"mdat") + b"567"
    assert list(boxes(reader(data), 0, len(data))) == [Box(b"wide", 16, 20), Box(b"mdat", 28, 31)]


def test_a_claim_beyond_the_file_is_cut() -> None:
    data = struct.pack(">I4s", 0xFFFFFFFF, b"mdat") + b"1"
    assert list(boxes(reader(data), 0, len(data))) == [Box(b"mdat", 8, 9)]


def test_no_more_boxes_are_read_than_a_file_needs() -> None:
    data = box(b"free") * (MOST_BOXES + 5)
    assert len(list(boxes(reader(data), 0, len(data)))) == MOST_BOXES


@given(st.binary(max_size=300))
def test_any_bytes_are_read_to_an_end(data: bytes) -> None:
    assert len(list(boxes(reader(data), 0, len(data)))) <= len(data) // 8 + 1
    image_properties(reader(data), len(data))
    moov_first(reader(data), len(data))
    png_coding(data)


@pytest.mark.parametrize(
    ("order", "first"),
    [((b"moov", b"mdat"), True), ((b"mdat", b"moov"), False), ((b"mdat",), None), ((), None)],
)
def test_where_the_index_of_a_film_is(order: tuple[bytes, ...], first: bool | None) -> None:
    data = box(b"ftyp", b"isom") + b"".join(box(kind, b"....") for kind in order)
    assert moov_first(reader(data), len(data)) is first


def test_properties_of_a_heif_picture() -> None:
    size = box(b"ispe", struct.pack(">III", 0, 4000, 3000))
    small = box(b"ispe", struct.pack(">III", 0, 40, 30))
    colours = box(b"colr", b"nclx", struct.pack(">HHHB", 9, 16, 9, 128))
    data = heif(small, size, colours, box(b"irot", b"\x01"))
    found = image_properties(reader(data), len(data))
    assert found == ImageProperties(True, Coding(9, 16), 12_000_000)


def test_a_turn_by_nothing_is_none() -> None:
    data = heif(box(b"irot", b"\0"))
    assert image_properties(reader(data), len(data)) == ImageProperties()


def test_coding_of_a_png() -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I4s", len(data), kind) + data + bytes(4)

    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", bytes(13))
    assert png_coding(head + chunk(b"cICP", bytes((9, 16, 0, 1)))) == Coding(9, 16)
    assert png_coding(head + chunk(b"IDAT", b"") + chunk(b"cICP", bytes((9, 16, 0, 1)))) is None
