"""Films in fragments, by their first bytes."""

from __future__ import annotations

import pytest

from lading.server.uploads.fragments import is_fragmented


def box(kind: bytes, content: bytes = b"") -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + kind + content


@pytest.mark.parametrize(
    ("head", "fragmented"),
    [
        (box(b"ftyp", b"isom") + box(b"moov", box(b"mvhd") + box(b"mvex")) + box(b"moof"), True),
        (box(b"ftyp", b"isom") + box(b"moov", box(b"mvhd")) + box(b"mdat", b"mvex"), False),
        (box(b"ftyp", b"isom") + box(b"mdat", b"moov") + box(b"moov", box(b"mvex")), False),
        (box(b"moov", box(b"mvhd") + box(b"mvex"))[:-20], False),
        (b"\0\0\0\1mdat" + b"\0" * 64, False),
        (b"\0\0\0\0moof", False),
        (b"\x1aE\xdf\xa3" * 9, False),
        (b"\0" * 3, False),
        (b"", False),
    ],
)
def test_a_film_in_fragments(head: bytes, fragmented: bool) -> None:
    assert is_fragmented(head) is fragmented
