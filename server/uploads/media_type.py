"""The type of a file, from its first bytes and its name.

The bytes win over the name only where a browser would act on the type. Source: page 5 of the
design, security list, 22 and 23; the order of markup tests follows the WHATWG's MIME sniffing,
section 7.1.
"""

from __future__ import annotations

import puremagic

HEAD_BYTES = 4096

_BELIEVED = frozenset(
    {
        "application/pdf",
        "audio/flac",
        "audio/mpeg",
        "audio/ogg",
        "audio/wave",
        "audio/x-wav",
        "image/avif",
        "image/gif",
        "image/heic",
        "image/jpeg",
        "image/png",
        "image/tiff",
        "image/webp",
        "video/mp4",
        "video/quicktime",
        "video/webm",
        "video/x-matroska",
        "application/x-matroska",
    }
)
"""Types with signatures so long that other bytes do not match them by chance."""

_KIN = (
    {"video/webm", "video/x-matroska", "application/x-matroska", "audio/webm"},
    {"audio/wave", "audio/x-wav", "audio/wav"},
    {"video/mp4", "audio/mp4", "video/quicktime", "image/avif", "image/heic", "image/heif"},
    {"audio/ogg", "video/ogg", "application/ogg"},
)
"""Types that share a container: the first bytes alone do not tell them apart, the name does."""


_BINARY = frozenset({*range(0x09), 0x0B, *range(0x0E, 0x1B), *range(0x1C, 0x20)})
"""Bytes that no text holds (WHATWG MIME sniffing, section 3)."""


def content_type(claimed: str, head: bytes) -> str:
    """The type of a file that begins with `head` and is said to be `claimed`."""
    markup = _markup(head)
    if markup is not None:
        # Text that a browser would run keeps its declared type only if that is a type of text.
        return claimed if _is_text(claimed) else markup
    found = _candidates(head)
    plain = claimed.partition(";")[0].strip().lower()
    if not found or plain in found or any(plain in kin and kin & set(found) for kin in _KIN):
        return claimed
    return found[0]


def _is_text(claimed: str) -> bool:
    plain = claimed.partition(";")[0].strip().lower()
    return not plain.startswith(("image/", "video/", "audio/")) or plain == "image/svg+xml"


def _markup(head: bytes) -> str | None:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip(b"\t\n\x0c\r ").lower()
    if not text.startswith(b"<") or not _BINARY.isdisjoint(text):
        return None
    if b"<svg" in text:
        return "image/svg+xml"
    if text.startswith(b"<?xml"):
        return "application/xml"
    return "text/html"


def _candidates(head: bytes) -> list[str]:
    try:
        matches = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):
        return []
    return [match.mime_type for match in matches if match.mime_type in _BELIEVED]
