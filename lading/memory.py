"""Keep freed memory in this process for the next piece.

glibc returns blocks of the size of a piece to the kernel as soon as they are free, and requests new
ones for the next piece; the kernel then clears every page again. That took up to two thirds of the
client's time and a tenth of the server's. Source: mallopt(3).
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
    """From now on keep up to `most` free bytes at the end of the heap.

    Does nothing where the C library is not glibc.
    """
    if not sys.platform.startswith("linux"):
        return
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, 32 * MIB)
        mallopt(_TRIM_THRESHOLD, min(most, KEPT))
        mallopt(_TOP_PAD, min(most // 4, 8 * MIB))
