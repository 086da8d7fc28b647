"""Which decoder a file is given to, by its first bytes: the allow-list of formats.

The name and the declared type of a file are not asked, since they are whatever a client says. A
format that is not listed here is decoded by nothing: SVG, PDF, PostScript, and FFmpeg's playlists,
which open further files. Pure.
"""

from __future__ import annotations

from typing import NamedTuple

HEAD = 4096
"""How many bytes from the start of a file `recognize` wants."""

IMAGE, FILM = "image", "film"


class Format(NamedTuple):
    """`family` is IMAGE (libvips or libheif) or FILM (FFmpeg); `name` is what they call it."""

    family: str
    name: str


_HEIC_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"))
_AVIF_BRANDS = frozenset((b"avif", b"avis"))

_MAGIC: tuple[tuple[bytes, Format], ...] = (
    (b"\xff\xd8\xff", Format(IMAGE, "jpeg")),
    (b"\x89PNG\r\n\x1a\n", Format(IMAGE, "png")),
    (b"GIF87a", Format(IMAGE, "gif")),
    (b"GIF89a", Format(IMAGE, "gif")),
    (b"II*\0", Format(IMAGE, "tiff")),
    (b"MM\0*", Format(IMAGE, "tiff")),
    (b"II+\0", Format(IMAGE, "tiff")),
    (b"MM\0+", Format(IMAGE, "tiff")),
    (b"\x1a\x45\xdf\xa3", Format(FILM, "matroska")),
    (b"OggS", Format(FILM, "ogg")),
    (b"fLaC", Format(FILM, "flac")),
    (b"ID3", Format(FILM, "mp3")),
    (b"FLV\x01", Format(FILM, "flv")),
    (b"\x00\x00\x01\xba", Format(FILM, "mpeg")),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c", Format(FILM, "asf")),
    (b"#!AMR", Format(FILM, "amr")),
    (b"caff", Format(FILM, "caf")),
)

_RIFF = {
    b"WEBP": Format(IMAGE, "webp"),
    b"WAVE": Format(FILM, "wav"),
    b"AVI ": Format(FILM, "avi"),
}
_QUICKTIME_ATOMS = frozenset((b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"))
_TRANSPORT_PACKETS = ((188, 0, "mpegts"), (192, 4, "mpegts"))


def recognize(head: bytes) -> Format | None:
    """The format of a file whose first HEAD bytes (or all, if it has fewer) are `head`."""
    for magic, found in _MAGIC:
        if head.startswith(magic):
            return found
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12])
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return Format(FILM, "aiff")
    if head[4:8] == b"ftyp":
        return _of_brands(head)
    if head[4:8] in _QUICKTIME_ATOMS:
        return Format(FILM, "mov")
    return _of_sync_bytes(head)


def _of_brands(head: bytes) -> Format:
    """ISO/IEC 14496-12, 4.3: the brands of the box `ftyp` say what an ISO file is."""
    end = min(len(head), int.from_bytes(head[:4], "big"))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))]
    for brand in brands:
        if brand in _AVIF_BRANDS:
            return Format(IMAGE, "avif")
        if brand in _HEIC_BRANDS:
            return Format(IMAGE, "heic")
    if brands[0] == b"mif1" or brands[0] == b"msf1":
        return Format(IMAGE, "heic")
    return Format(FILM, "mov")


def _of_sync_bytes(head: bytes) -> Format | None:
    """Formats without a magic number: their packets begin with a certain byte or bits."""
    for length, offset, name in _TRANSPORT_PACKETS:
        places = range(offset, min(len(head), 5 * length), length)
        if len(head) >= 2 * length and all(head[at] == 0x47 for at in places):
            return Format(FILM, name)
    if len(head) >= 2 and head[0] == 0xFF:
        if head[1] & 0xF6 == 0xF0:
            return Format(FILM, "aac")  # ADTS: layer 00
        if head[1] & 0xE0 == 0xE0 and head[1] & 0x18 != 0x08 and head[1] & 0x06 == 0x02:
            return Format(FILM, "mp3")  # layer III of MPEG 1, 2 or 2.5
    return None
