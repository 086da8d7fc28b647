"""The orientation in an EXIF block. Nothing else of EXIF is read, and none of it is passed on.

Source: Exif 2.32 (CIPA DC-008), 4.6.2 and 4.6.4. Pure.
"""

from __future__ import annotations

_ORIENTATION = 0x0112
_SHORT = 3


def orientation(block: bytes | None) -> int:
    """How a picture must be turned, 1 to 8; 1 when the block says nothing of it."""
    if block is None:
        return 1
    block = block.removeprefix(b"Exif\0\0")
    if block[:2] not in (b"II", b"MM"):
        return 1

    def number(at: int, size: int) -> int:
        return int.from_bytes(block[at : at + size], "little" if block[:1] == b"I" else "big")

    directory = number(4, 4)
    for entry in range(min(number(directory, 2), 500)):
        at = directory + 2 + 12 * entry
        if number(at, 2) == _ORIENTATION and number(at + 2, 2) == _SHORT:
            found = number(at + 8, 2)
            return found if 1 <= found <= 8 else 1
    return 1
