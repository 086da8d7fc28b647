"""What this process does with memory that it no longer needs: it keeps some for the next piece.

glibc gives blocks of the size of a piece back to the kernel as soon as they are free, and asks for
new ones at the next piece: the kernel then clears every page anew. That took up to two thirds of
the client's time and a tenth of the server's. Source: mallopt(3).
"""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

MIB = 2**20

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
"""M_TRIM_THRESHOLD, M_TOP_PAD and M_MMAP_THRESHOLD of malloc.h."""

KEPT = 48 * MIB


def keep_freed(most: int = KEPT) -> None:
    """Keep up to so many free bytes at the end of the heap, from now on, in this process.

    Does nothing where the C library is not glibc.
    """
    if not sys.platform.startswith("linux"):
        return
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, 32 * MIB)
        mallopt(_TRIM_THRESHOLD, min(most, KEPT))
        mallopt(_TOP_PAD, min(most // 4, 8 * MIB))
