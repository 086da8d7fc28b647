"""Files that lie, swell, loop or end too early, and mutations of good ones."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable

import pyvips

from lading.imaging.pipe import MOST_SIDE
from tests.imaging.samples.make import png
from tests.support.imaging import SAMPLES

LOADERS = {
    "jpeg": "orientation-6.jpg",
    "progressive": "progressive.jpg",
    "png": "palette.png",
    "webp": "lossy.webp",
    "animation": "animated.webp",
    "gif": "animated.gif",
    "tiff": "jpeg.tiff",
    "avif": "plain.avif",
    "heic": "turned.heic",
    "mp4": "moov-first.mp4",
    "matroska": "vp9.webm",
    "mp3": "covered.mp3",
    "ogg": "tagged.ogg",
    "flac": "covered.flac",
}
"""A sample for each loader that meets the bytes of strangers."""


def sample(loader: str) -> bytes:
    return (SAMPLES / LOADERS[loader]).read_bytes()


def png_of(width: int, height: int, *more: tuple[bytes, bytes], bits: int = 1) -> bytes:
    """A black grey-scale picture, written as its size demands."""
    deflate = zlib.compressobj(9)
    row = bytes(1 + (width * bits + 7) // 8)
    data = b"".join(deflate.compress(row * min(1000, height)) for _ in range(-(-height // 1000)))
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    return png([(b"IHDR", header), *more, (b"IDAT", data + deflate.flush()), (b"IEND", b"")])


def claimed_png(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 16, 6, 0, 0, 0)
    return png([(b"IHDR", header), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b"")])


def claimed_jpeg() -> bytes:
    data = bytearray((SAMPLES / "orientation-1.jpg").read_bytes())
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = b"\xff\xff\xff\xff"
    return bytes(data)


def claimed_gif() -> bytes:
    data = bytearray(sample("gif"))
    data[6:10] = b"\xff\xff\xff\xff"
    return bytes(data)


def claimed_webp() -> bytes:
    """A canvas of 16,777,216 squared."""
    data = bytearray(sample("animation"))
    at = data.index(b"VP8X") + 12
    data[at : at + 6] = b"\xff" * 6
    return bytes(data)


def claimed_tiff() -> bytes:
    entries = [(256, 4, 1, 400_000), (257, 4, 1, 400_000), (258, 3, 1, 8), (259, 3, 1, 1),
               (262, 3, 1, 1), (273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, 400_000),
               (279, 4, 1, 0xFFFFFFFF)]  # fmt: skip
    table = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + table + bytes(4)


def long_tiff() -> bytes:
    """A picture of two megapixels that is wider than any number the server believes."""
    data: bytes = pyvips.Image.black(MOST_SIDE + 1, 2).tiffsave_buffer(compression="deflate")
    return data


def claimed_heif(name: str) -> bytes:
    data = bytearray((SAMPLES / name).read_bytes())
    at = data.index(b"ispe") + 8
    while at >= 8:
        data[at : at + 8] = struct.pack(">II", 60_000, 60_000)
        at = data.find(b"ispe", at) + 8
    return bytes(data)


def claimed_film() -> bytes:
    """An index that says it has four GiB, and entries without number."""
    data = bytearray((SAMPLES / "moov-first.mp4").read_bytes())
    at = data.index(b"stsz")
    data[at + 12 : at + 16] = b"\xff\xff\xff\xff"
    at = data.index(b"moov")
    data[at - 4 : at] = b"\xff\xff\xff\xff"
    return bytes(data)


def claimed_wave() -> bytes:
    """A RIFF file whose data are said to have four GiB."""
    data = bytearray((SAMPLES / "grows.wav").read_bytes())
    at = data.index(b"data")
    data[at + 4 : at + 8] = b"\xff\xff\xff\xff"
    return bytes(data)


def bomb(kind: bytes, size: int = 2**28) -> bytes:
    """A chunk of a PNG that unpacks to so many bytes."""
    packed = zlib.compress(bytes(size), 9)
    payload = {b"iCCP": b"x\0\0", b"zTXt": b"x\0\0", b"iTXt": b"x\0\x01\0\0\0"}[kind] + packed
    return png_of(300, 200, (kind, payload), bits=8)


def many_frames(count: int) -> bytes:
    """A webp animation with so many frames."""
    data = sample("animation")
    at = data.index(b"ANMF")
    size = 8 + struct.unpack("<I", data[at + 4 : at + 8])[0]
    frames = data[at : at + size] * count
    body = data[12:at] + frames
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


REFUSED: dict[str, Callable[[], bytes]] = {
    "a PNG of 30,000 squared": lambda: png_of(30_000, 30_000),
    "a PNG that claims 2 billion squared": lambda: claimed_png(2**31 - 1, 2**31 - 1),
    "a PNG of a line without end": lambda: claimed_png(2**31 - 1, 1),
    "a JPEG that claims 65,535 squared": claimed_jpeg,
    "a webp that claims 16 million squared": claimed_webp,
    "a TIFF that claims 400,000 squared": claimed_tiff,
    "a HEIC that claims 60,000 squared": lambda: claimed_heif("plain.heic"),
    "an AVIF that claims 60,000 squared": lambda: claimed_heif("plain.avif"),
    "a JPEG of its first bytes": lambda: sample("jpeg")[:20],
    "a PNG of its magic number": lambda: b"\x89PNG\r\n\x1a\n",
    "a RIFF that is no webp inside": lambda: b"RIFF\x10\0\0\0WEBPVP8 \xff\xff\xff\xff",
    "a HEIC without pixels": lambda: mutated(sample("heic"), 202),
    "a HEIC that is a film": lambda: b"\0\0\0\x14ftypheic\0\0\0\0heic" + sample("mp4"),
    "a PNG that is a JPEG": lambda: b"\x89PNG\r\n\x1a\n" + sample("jpeg"),
    "a GIF that is a program": lambda: b"GIF89a=1;alert(1);//" + bytes(1000),
    "an MP4 without an index": lambda: b"\0\0\0\x14ftypisom\0\0\0\0isom" + bytes(10_000),
}
"""What must be refused, each from its header or nearly so."""

TAKEN: dict[str, Callable[[], bytes]] = {
    "a GIF that claims 65,535 squared": claimed_gif,
    "a webp of 10,000 frames": lambda: many_frames(10_000),
    "a bomb in a profile": lambda: bomb(b"iCCP"),
    "a bomb in a text": lambda: bomb(b"zTXt"),
    "a bomb in an international text": lambda: bomb(b"iTXt"),
    "a JPEG that is a ZIP, too": lambda: sample("jpeg") + b"PK\x03\x04" + bytes(50_000),
    "a PNG that is a page, too": lambda: sample("png") + b"<script>alert(1)</script>",
    "a film with a wild index": claimed_film,
    "a sound of four GiB": claimed_wave,
}
"""What may be refused, or shown as it is."""


def truncated(data: bytes, percent: int) -> bytes:
    return data[: max(1, len(data) * percent // 100)]


def mutated(data: bytes, seed: int) -> bytes:
    """A few bytes changed, a part repeated, left out, or filled with one value."""
    draw = random.Random(seed)
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 5, 20))):
        at, length = draw.randrange(len(changed)), draw.choice((1, 1, 2, 4, 64, 1000))
        # Headers are short, and decide more.
        at = at if draw.random() < 0.5 else draw.randrange(min(600, len(changed)))
        what = draw.randrange(5)
        if what <= 1:
            changed[at : at + 4] = draw.choice(
                (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff")
            )
        elif what == 2:
            changed[at : at + length] = draw.randbytes(min(length, len(changed) - at))
        elif what == 3:
            changed[at:at] = changed[at : at + length]
        else:
            del changed[at : at + length]
        if not changed:
            return b"\0"
    return bytes(changed)
