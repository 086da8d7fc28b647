"""What the boxes of an ISO file and the chunks of a PNG say before anything is decoded. Pure.

Sources: ISO/IEC 14496-12 (boxes), ISO/IEC 23008-12 (`irot`, `imir`), ITU-T H.273 (transfer
characteristics), the PNG specification, third edition (`cICP`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

Read = Callable[[int, int], bytes]
"""The bytes `[start, end)` of a file, fewer at its end."""

MOST_BOXES = 10_000
"""More boxes side by side are read no further: a header may claim any number."""

PQ, HLG = 16, 18
"""Transfer characteristics of HDR pictures: SMPTE ST 2084, and ARIB STD-B67."""
BT2020 = 9
"""The colour primaries of ITU-R BT.2020."""
P3 = 12
"""The colour primaries of Display P3."""


class Box(NamedTuple):
    """A box by its type, and the range of its payload."""

    type: bytes
    start: int
    end: int


class Coding(NamedTuple):
    """How numbers stand for light and colour (H.273)."""

    primaries: int
    transfer: int


def boxes(read: Read, start: int, end: int) -> Iterator[Box]:
    """The boxes side by side in `[start, end)`, as far as they are well-formed."""
    for _ in range(MOST_BOXES):
        header = read(start, min(start + 16, end))
        if len(header) < 8:
            return
        size, kind, skip = int.from_bytes(header[:4], "big"), header[4:8], 8
        if size == 1:
            size, skip = int.from_bytes(header[8:16], "big"), 16
        elif size == 0:
            size = end - start
        if size < skip or len(header) < skip:
            return
        yield Box(kind, start + skip, min(start + size, end))
        start += size
        if start >= end:
            return


def moov_first(read: Read, size: int) -> bool | None:
    """Whether the index of an MP4 file stands before its data; None when one is missing."""
    moov = mdat = None
    for number, box in enumerate(boxes(read, 0, size)):
        if box.type == b"moov" and moov is None:
            moov = number
        elif box.type == b"mdat" and mdat is None:
            mdat = number
        if moov is not None and mdat is not None:
            return moov < mdat
    return None


class ImageProperties(NamedTuple):
    """What a HEIF file says of its picture: whether it is turned, its colours, its largest size."""

    turned: bool = False
    coding: Coding | None = None
    pixels: int = 0


def image_properties(read: Read, size: int) -> ImageProperties:
    """The properties of the pictures in a HEIC or AVIF file.

    They are not told apart by picture: a file has one picture, its thumbnail, and its parts.
    """
    turned, coding, pixels = False, None, 0
    for box in _properties(read, size):
        payload = read(box.start, min(box.end, box.start + 16))
        if box.type in (b"irot", b"imir"):
            turned = turned or box.type == b"imir" or (bool(payload[:1]) and payload[0] & 3 != 0)
        elif box.type == b"colr" and payload[:4] == b"nclx" and len(payload) >= 8:
            coding = Coding(
                int.from_bytes(payload[4:6], "big"), int.from_bytes(payload[6:8], "big")
            )
        elif box.type == b"ispe" and len(payload) >= 12:
            width, height = (int.from_bytes(payload[at : at + 4], "big") for at in (4, 8))
            pixels = max(pixels, width * height)
    return ImageProperties(turned, coding, pixels)


def _properties(read: Read, size: int) -> Iterator[Box]:
    """The boxes in `meta`/`iprp`/`ipco`."""
    for meta in boxes(read, 0, size):
        if meta.type != b"meta":
            continue
        for iprp in boxes(read, meta.start + 4, meta.end):
            if iprp.type != b"iprp":
                continue
            for ipco in boxes(read, iprp.start, iprp.end):
                if ipco.type == b"ipco":
                    yield from boxes(read, ipco.start, ipco.end)


def png_coding(head: bytes) -> Coding | None:
    """What the chunk `cICP` of a PNG says; it stands before the pixels."""
    at = 8
    while at + 12 <= len(head):
        length, kind = int.from_bytes(head[at : at + 4], "big"), head[at + 4 : at + 8]
        if kind == b"IDAT":
            return None
        if kind == b"cICP" and length == 4:
            return Coding(head[at + 8], head[at + 9])
        at += 12 + length
    return None
