"""Is a film cut into fragments, each with its own index?

Where such a film may be read at any place, players look at all fragments before they show the first
one. Source: ISO/IEC 14496-12, the boxes `moov` and `mvex`.
"""

from __future__ import annotations

HEAD_BYTES = 64 * 1024
"""The index of a film in fragments describes the tracks only, and is short."""


def is_fragmented(head: bytes) -> bool:
    """Whether `head`, the first bytes of a file, begins an MP4 in fragments."""
    position = 0
    while position + 8 <= len(head):
        size = int.from_bytes(head[position : position + 4], "big")
        kind = head[position + 4 : position + 8]
        if kind == b"moov":
            return b"mvex" in head[position : position + size]
        if size < 8 or kind == b"mdat":
            return False  # a box of 64 bits, or up to the end, is no small one
        position += size
    return False
