"""The messages between the server and the child, and their bytes on the two pipes.

    server → child    job      what to make of a file of so many bytes
                      data     the bytes that were read
    child → server    hello    the decoders are loaded, and what confines them
                      read     bytes of the file are wanted
                      picture  one variant
                      done     the facts; the job is over
                      refused  it is impossible, and why; the job is over
                      absent   it takes a decoder that is not installed; the job is over

A message is its length in four bytes and a msgpack array. The child may be in the hands of whoever
sent the file, so the server reads its messages with limits and believes none of them. Pure.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable
from dataclasses import asdict, fields
from typing import Any, NamedTuple

import msgpack

from lading.imaging.ladder import SIDES, Variant
from lading.imaging.made import AUDIO, IMAGE, PEAKS, VIDEO, Media, Picture
from lading.protocol.manifest import MAX_INTEGER

LENGTH = struct.Struct(">I")
MOST_READ = 2**20
"""The child asks for so many bytes at once, at most."""
BLOCK = 256 * 1024
"""Fewer bytes count as so many: a home reads whole pieces for them."""

OVERHEAD = 64 * 1024
MOST_TEXT = 500
"""Longer titles and reasons are cut, in characters."""
MOST_PARTS = 16
"""More lists and maps than that are in no message. Each costs the server many times its bytes."""
MOST_CODECS = 8
MOST_SIDE = 2**20
"""Of a picture, in pixels. Beyond it is refused by its header."""
LONGEST = 10.0 * 365 * 86400
"""A duration beyond is a lie, in seconds."""
FASTEST = 1000.0
"""Frames a second; more are a lie, too."""

JOB, DATA = "job", "data"
HELLO, READ, PICTURE = "hello", "read", "picture"
DONE, REFUSED, ABSENT = "done", "refused", "absent"


class Broken(Exception):
    """The other side sent what is no message."""


class Job(NamedTuple):
    size: int
    variants: tuple[Variant, ...]


class Read(NamedTuple):
    start: int
    end: int

    @property
    def cost(self) -> int:
        """What counts of ImagingLimits.read_bytes."""
        return max(BLOCK, self.end - self.start)


class Drawn(NamedTuple):
    """One picture of the job."""

    variant: Variant
    picture: Picture


class Done(NamedTuple):
    media: Media | None


class Refused(NamedTuple):
    reason: str


class Absent(NamedTuple):
    """PyAV is wanted, and is not there."""


class Hello(NamedTuple):
    """What confines the child. `network` is the namespace, `filter` that of system calls."""

    network: bool
    filter: bool
    user: bool
    video: bool
    """Whether films can be read: PyAV is there."""


Reply = Hello | Read | Drawn | Done | Refused | Absent


def frame(kind: str, *items: Any) -> bytes:
    """The bytes of a message."""
    body: bytes = msgpack.packb([kind, *items])
    return LENGTH.pack(len(body)) + body


def job(size: int, variants: Iterable[Variant]) -> bytes:
    return frame(JOB, size, [list(variant) for variant in variants])


def drawn(variant: Variant, picture: Picture) -> bytes:
    return frame(PICTURE, list(variant), picture.data, picture.width, picture.height)


def done(media: Media | None) -> bytes:
    if media is None:
        return frame(DONE, None)
    # A tag may be longer than what the server reads at all.
    return frame(DONE, {name: _cut(value) for name, value in asdict(media).items()})


def _cut(value: Any) -> Any:
    return value[:MOST_TEXT] if isinstance(value, str) else value


def read_job(body: bytes) -> Job:
    """The child's side: what it is to do. The server's bytes are believed."""
    kind, size, variants = msgpack.unpackb(body)
    assert kind == JOB
    return Job(size, tuple(Variant(*variant) for variant in variants))


def read_data(body: bytes) -> bytes:
    """The child's side: the bytes it asked for."""
    kind, data = msgpack.unpackb(body)
    assert kind == DATA
    return bytes(data)


# -- what the server believes ----------------------------------------------------------------------


def _integer(value: Any, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise Broken(f"an integer from {least} to {most} was expected")
    return value


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise Broken("a truth value was expected")
    return value


def _variant(value: Any) -> Variant:
    try:
        quality, crop = value
        return Variant(_integer(quality, 1, max(SIDES)), None if crop is None else _short(crop))
    except (TypeError, ValueError) as error:
        raise Broken("a variant was expected") from error


def _short(value: Any) -> str:
    if type(value) is not str:
        raise Broken("text was expected")
    return value[:MOST_TEXT]


_UNSHOWN = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]+")


def clean(text: str) -> str | None:
    """A title as it may be shown: in one line, without characters that change a line's direction.

    None when nothing is left.
    """
    return _UNSHOWN.sub(" ", text).strip()[:MOST_TEXT] or None


def _few_parts() -> Callable[[Any], Any]:
    """Lets MOST_PARTS lists and maps of a message pass."""
    left = MOST_PARTS

    def passed(part: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise ValueError("too many lists and maps")
        return part

    return passed


def parse(body: bytes, picture_bytes: int) -> Reply:
    """A message of the child; raises Broken for anything else."""
    counted = _few_parts()
    try:
        items = msgpack.unpackb(
            body,
            max_str_len=OVERHEAD,
            max_bin_len=picture_bytes,
            max_array_len=64,
            max_map_len=64,
            max_ext_len=0,
            list_hook=counted,
            object_hook=counted,
        )
    except (ValueError, RecursionError) as error:
        raise Broken("bytes that are no message") from error
    if type(items) is not list or not items:
        raise Broken("an array was expected")
    kind, *rest = items
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        raise Broken("a message of no known kind")
    try:
        return reader(*rest)
    except TypeError as error:
        raise Broken(f"a {kind} with other items") from error


def _hello(network: Any, filtered: Any, user: Any, video: Any) -> Hello:
    return Hello(_flag(network), _flag(filtered), _flag(user), _flag(video))


def _read(start: Any, end: Any) -> Read:
    start = _integer(start, 0, MAX_INTEGER)
    return Read(start, _integer(end, start + 1, start + MOST_READ))


def _drawn(variant: Any, data: Any, width: Any, height: Any) -> Drawn:
    found = _variant(variant)
    side = SIDES[found.quality]
    if type(data) is not bytes or data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        raise Broken("a webp picture was expected")
    return Drawn(found, Picture(data, _integer(width, 1, side), _integer(height, 1, side)))


def _refused(reason: Any) -> Refused:
    return Refused(clean(_short(reason)) or "The file cannot be read.")


def _done(media: Any) -> Done:
    if media is None:
        return Done(None)
    if type(media) is not dict or set(media) != {field.name for field in fields(Media)}:
        raise Broken("the facts were expected")
    return Done(Media(**{name: _FACTS[name](value) for name, value in media.items()}))


def _maybe(value: Any, least: int, most: int) -> int | None:
    return None if value is None else _integer(value, least, most)


def _number(value: Any, most: float) -> float | None:
    if value is None:
        return None
    if type(value) not in (int, float) or not 0 <= value <= most:  # NaN fails this, too
        raise Broken("a number was expected")
    return float(value)


def _label(value: Any) -> str | None:
    return None if value is None else clean(_short(value))


def _bytes(value: Any, most: int) -> bytes | None:
    if value is None:
        return None
    if type(value) is not bytes or len(value) > most:
        raise Broken("bytes were expected")
    return value


def _kind(value: Any) -> str:
    if value not in (IMAGE, VIDEO, AUDIO):
        raise Broken("a kind was expected")
    return str(value)


def _codecs(value: Any) -> tuple[str, ...]:
    if type(value) is not list or len(value) > MOST_CODECS:
        raise Broken("a few codecs were expected")
    return tuple(clean(_short(name)) or "" for name in value)


_FACTS: dict[str, Callable[[Any], Any]] = {
    "kind": _kind,
    "width": lambda value: _maybe(value, 1, MOST_SIDE),
    "height": lambda value: _maybe(value, 1, MOST_SIDE),
    "frames": lambda value: _maybe(value, 1, MAX_INTEGER),
    "alpha": _flag,
    "duration": lambda value: _number(value, LONGEST),
    "frame_rate": lambda value: _number(value, FASTEST),
    "codecs": _codecs,
    "moov_first": lambda value: None if value is None else _flag(value),
    "title": _label,
    "artist": _label,
    "album": _label,
    "waveform": lambda value: _bytes(value, PEAKS),
    "placeholder": lambda value: _bytes(value, 4096),
}

_READERS: dict[str, Callable[..., Reply]] = {
    HELLO: _hello,
    READ: _read,
    PICTURE: _drawn,
    DONE: _done,
    REFUSED: _refused,
    ABSENT: Absent,
}
