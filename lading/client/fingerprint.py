"""A short text by which a local file is recognized on the next run.

It covers name, size, time of the last change, and the first and last kilobyte. It does not prove
that all bytes are equal; the SHA-256 of the file does.
"""

from __future__ import annotations

import hashlib
import secrets

SAMPLE = 1024
"""Bytes read at each end of the file."""


def fingerprint(name: str, size: int, mtime_ns: int, head: bytes, tail: bytes) -> str:
    """The fingerprint of a file: `size` in bytes, `mtime_ns` in nanoseconds since 1970.

    `head` and `tail` are its first and last `SAMPLE` bytes, or all of them when it is shorter.
    The result is shorter than the 512 characters that the protocol allows.
    """
    digest = hashlib.sha256()
    for part in (name.encode("utf-8", "surrogateescape"), head, tail):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return f"file-1:{size}:{mtime_ns}:{digest.hexdigest()}"


def random_fingerprint() -> str:
    """For bytes that cannot be recognized, such as those of a pipe: it finds this upload only."""
    return f"once-1:{secrets.token_hex(16)}"
