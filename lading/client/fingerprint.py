"""A short text by which a local file is recognized on the next run.

It covers the name, the size and samples of the content. It does not prove that all bytes are equal;
the SHA-256 of the file does. The time of the last change is left out: a copy or a `touch` changes
it and not one byte.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable

SAMPLE = 4096
"""Bytes of one sample."""
SAMPLES = 16
DATED_SAMPLE = 1024
"""Bytes that `dated_fingerprint` covers at each end of the file."""


def sample_starts(size: int) -> list[int]:
    """Where the samples of a file of `size` bytes begin: evenly spread, at both ends too."""
    last = size - SAMPLE
    if last <= 0:
        return [0]
    count = min(SAMPLES, -(-size // SAMPLE))
    return [last * number // (count - 1) for number in range(count)]


def fingerprint(name: str, size: int, samples: Iterable[bytes]) -> str:
    """The fingerprint of a file of `size` bytes; `samples` are those at `sample_starts`.

    The result is shorter than the 512 characters that the protocol allows.
    """
    return f"file-2:{size}:{_digest(name, samples)}"


def dated_fingerprint(name: str, size: int, mtime_ns: int, head: bytes, tail: bytes) -> str:
    """The fingerprint with the time of the last change, in nanoseconds since 1970.

    It is for uploads without a SHA-256: nothing else would tell that bytes between the samples
    changed. Version 0.1 used it for all uploads, so it is also looked for. `head` and `tail` are
    the first and last `DATED_SAMPLE` bytes, or all of them when the file is shorter.
    """
    return f"file-1:{size}:{mtime_ns}:{_digest(name, (head, tail))}"


def _digest(name: str, parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in (name.encode("utf-8", "surrogateescape"), *parts):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


def random_fingerprint() -> str:
    """For bytes that cannot be recognized, such as those of a pipe: it finds this upload only."""
    return f"once-1:{secrets.token_hex(16)}"
