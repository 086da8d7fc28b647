"""Which decoder a file is given to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.imaging.formats import FILM, HEAD, IMAGE, Format, recognize


def ftyp(*brands: bytes) -> bytes:
    body = brands[0] + b"\0\0\0\0" + b"".join(brands[1:])
    return (len(body) + 8).to_bytes(4, "big") + b"ftyp" + body


@pytest.mark.parametrize(
    ("head", "family", "name"),
    [
        (b"\xff\xd8\xff\xe0", IMAGE, "jpeg"),
        (b"\x89PNG\r\n\x1a\n", IMAGE, "png"),
        (b"GIF89a", IMAGE, "gif"),
        (b"RIFF\0\0\0\0WEBP", IMAGE, "webp"),
        (b"MM\0*", IMAGE, "tiff"),
        (ftyp(b"heic", b"mif1"), IMAGE, "heic"),
        (ftyp(b"mif1", b"heic"), IMAGE, "heic"),
        (ftyp(b"avif", b"mif1"), IMAGE, "avif"),
        (ftyp(b"mif1", b"avif", b"miaf"), IMAGE, "avif"),
        (ftyp(b"isom", b"mp42"), FILM, "mov"),
        (ftyp(b"M4A ", b"isom"), FILM, "mov"),
        (ftyp(b"qt  "), FILM, "mov"),
        (b"\0\0\x10\0mdat", FILM, "mov"),
        (b"\x1a\x45\xdf\xa3", FILM, "matroska"),
        (b"RIFF\0\0\0\0WAVE", FILM, "wav"),
        (b"ID3\x04", FILM, "mp3"),
        (b"\xff\xfb\x90\x64", FILM, "mp3"),
        (b"\xff\xf1\x50\x80", FILM, "aac"),
        ((b"G" + bytes(187)) * 3, FILM, "mpegts"),
    ],
)
def test_format_is_recognized(head: bytes, family: str, name: str) -> None:
    assert recognize(head) == Format(family, name)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"%PDF-1.7",
        b"%!PS-Adobe",
        b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        b"#EXTM3U\nfile:///etc/passwd",
        b"ffconcat version 1.0",
        b"push graphic-context",
        b"P6 1 1 255",
        b"8BPS",
        b"\xff\xd9",
        b"\xff\xfe\0\0",
        b"RIFF\0\0\0\0XXXX",
        b"GIF90a",
        b"G",
        b"PK\x03\x04",
    ],
)
def test_anything_else_meets_no_decoder(head: bytes) -> None:
    assert recognize(head) is None


@given(st.binary(max_size=HEAD))
def test_any_bytes_are_answered(head: bytes) -> None:
    found = recognize(head)
    assert found is None or found.family in (IMAGE, FILM)
