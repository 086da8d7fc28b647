"""The type of a file, from its first bytes and its name.

The bytes win over the name only where a browser would act on the type. Source: page 5 of the
design, security list, 22 and 23; the order of markup tests follows the WHATWG's MIME sniffing,
section 7.1; brands of ISO media files: ISO/IEC 14496-12 and 23008-12.
"""

from __future__ import annotations

import puremagic

from lading.protocol.media_types import UNNAMED, essence

HEAD_BYTES = 4096

ENOUGH_BYTES = 1024
"""So many first bytes show the type: what is looked for stands at their beginning."""

_BELIEVED = frozenset(
    {
        "application/pdf",
        "audio/flac",
        "audio/mpeg",
        "image/gif",
        "image/jpeg",
        "image/jxl",
        "image/png",
        "image/tiff",
    }
)
"""Types with signatures so long that other bytes do not match them by chance."""

_SIGNATURES = tuple(
    row.byte_match
    for row in puremagic.magic_header_array
    if row.offset == 0 and essence(row.mime_type) in _BELIEVED
)
"""What begins with none of them is none of these types: the library need not go through its 1,400
others, which took an eighth of the time of a small file."""

_KIN = (
    {"video/webm", "video/x-matroska", "audio/webm", "audio/x-matroska"},
    {"video/mp4", "audio/mp4", "video/quicktime", "video/3gpp", "video/3gpp2"},
    {"image/avif", "image/heic", "image/heif"},
    {"audio/ogg", "video/ogg", "application/ogg"},
    {"image/png", "image/apng"},
)
"""Types that share a container: the first bytes alone do not tell them apart, the name does."""

_BRANDS = (
    ("image/avif", (b"avif", b"avis")),
    ("image/heic", (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx")),
    ("image/heif", (b"mif1", b"msf1")),
    ("audio/mp4", (b"M4A ", b"M4B ", b"M4P ")),
    ("video/quicktime", (b"qt  ",)),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_PACKETS = ((0, 188), (4, 192))
"""Where the first packet of an MPEG transport stream begins, and how far it is to the next."""

_BINARY = frozenset({*range(0x09), 0x0B, *range(0x0E, 0x1B), *range(0x1C, 0x20)})
"""Bytes that no text holds (WHATWG MIME sniffing, section 3)."""


def content_type(claimed: str, head: bytes) -> str:
    """The type of a file that begins with `head` and is said to be `claimed`."""
    markup = _markup(head)
    if markup is not None:
        # Text that a browser would run keeps its declared type only if that is a type of text.
        return claimed if _is_text(claimed) else markup
    found, plain = _candidates(head), essence(claimed)
    if plain in found or any(plain in kin and kin & set(found) for kin in _KIN):
        return claimed
    if not found and head and plain == "video/mp2t":
        # Browsers call every `.ts` that, and most are written in TypeScript.
        return "text/plain" if _BINARY.isdisjoint(head) else UNNAMED
    return found[0] if found else claimed


def _is_text(claimed: str) -> bool:
    plain = essence(claimed)
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
    container = _container(head)
    if container is not None:
        return [container]
    if not head.startswith(_SIGNATURES):
        return []
    try:
        matches = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):
        return []
    found = [essence(match.mime_type) for match in matches]
    return [each for each in found if each in _BELIEVED]


def _container(head: bytes) -> str | None:
    """The type of a file whose first bytes name what is inside."""
    if head[4:8] == b"ftyp":
        return _iso_media(head)
    if head.startswith(b"\x1aE\xdf\xa3"):
        return "video/webm" if b"webm" in head[:64] else "video/x-matroska"
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12])
    if head.startswith(b"OggS"):
        return "video/ogg" if b"\x80theora" in head[:128] else "audio/ogg"
    for start, step in _PACKETS:
        if len(head) > 2 * step + start and head[start : 2 * step + start + 1 : step] == b"GGG":
            return "video/mp2t"
    return None


def _iso_media(head: bytes) -> str:
    """The kind of an ISO media file: its own brand first, then those that it agrees with."""
    size = min(int.from_bytes(head[:4], "big"), len(head), 256)
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, size, 4))]
    own = [kind for kind, names in _BRANDS if brands[0] in names]
    if own and own[0] != "image/heif":
        return own[0]
    if own:  # a brand for any picture: the others say how it is coded
        return next(kind for kind, names in _BRANDS if not set(names).isdisjoint(brands))
    return "video/mp4"
