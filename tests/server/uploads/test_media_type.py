"""What the first bytes of a file say it is."""

from __future__ import annotations

import random
from collections.abc import Iterable

import puremagic
import pytest

from lading.protocol.media_types import essence
from lading.server.uploads import media_type
from lading.server.uploads.media_type import HEAD_BYTES, content_type

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(32)
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(32)
MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(32)
HEIC = b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(32)
MOV = b"\0\0\0\x14ftypqt  " + bytes(32)
WEBM = b"\x1aE\xdf\xa3\x01\0\0\0\0\0\0\x1fB\x86\x81\x01B\x82\x84webm"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>'


@pytest.mark.parametrize(
    ("claimed", "head", "found"),
    [
        ("image/png", PNG, "image/png"),
        ("image/jpeg", PNG, "image/png"),
        ("application/octet-stream", JPEG, "image/jpeg"),
        ("video/mp4", MP4, "video/mp4"),
        ("video/quicktime", MOV, "video/quicktime"),
        ("video/mp4", MOV, "video/mp4"),
        ("video/webm", WEBM, "video/webm"),
        ("video/x-matroska", WEBM, "video/x-matroska"),
        ("application/octet-stream", HEIC, "image/heic"),
        ("application/octet-stream", b"\0\0\0\x18ftypiso5\0\0\0\0avc1" + bytes(32), "video/mp4"),
        ("application/octet-stream", b"\0\0\0\x18ftypM4A \0\0\0\0isom" + bytes(32), "audio/mp4"),
        ("image/heic", MP4, "video/mp4"),
        ("audio/mp4", MP4, "audio/mp4"),
        ("application/octet-stream", (b"G" + bytes(187)) * 4, "video/mp2t"),
        ("video/mp2t", (b"\0\0\0\0G" + bytes(187)) * 4, "video/mp2t"),
        ("video/mp2t", b"export const x = 1;", "text/plain"),
        ("image/png", SVG, "image/svg+xml"),
        ("image/svg+xml", SVG, "image/svg+xml"),
        ("image/png", b"<?xml version='1.0'?>" + SVG, "image/svg+xml"),
        ("image/png", b"<?xml version='1.0'?><a/>", "application/xml"),
        ("image/png", b"\xef\xbb\xbf \n<!DOCTYPE html>", "text/html"),
        ("video/mp4", b"<script>alert(1)</script>", "text/html"),
        ("text/html; charset=utf-8", b"<html>", "text/html; charset=utf-8"),
        ("text/plain", b"<html>", "text/plain"),
        ("text/plain", b"hello", "text/plain"),
        ("image/png", b"", "image/png"),
        ("application/zip", b"PK\3\4" + bytes(40), "application/zip"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_the_bytes_are_believed_where_a_browser_would_act(
    claimed: str, head: bytes, found: str
) -> None:
    assert content_type(claimed, head) == found


def test_bytes_of_no_known_kind_leave_the_claim() -> None:
    numbers = random.Random(5)
    for _ in range(500):
        assert content_type("video/mp4", numbers.randbytes(HEAD_BYTES)) == "video/mp4"


# -- the library


def _believed(rows: Iterable[puremagic.PureMagic]) -> list[puremagic.PureMagic]:
    return [row for row in rows if essence(row.mime_type) in media_type._BELIEVED]


def test_all_signatures_of_types_that_are_believed_stand_at_the_beginning() -> None:
    assert {row.offset for row in _believed(puremagic.magic_header_array)} == {0}
    assert _believed(puremagic.magic_footer_array) == []
    several = [first for first, rows in puremagic.multi_part_dict.items() if _believed(rows)]
    assert several
    assert all(first.startswith(media_type._SIGNATURES) for first in several)
