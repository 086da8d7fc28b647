"""One job of the child: from the bytes of a file to its facts and its pictures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

import pillow_heif
import pyvips

from lading.imaging import images, pipe
from lading.imaging.formats import FILM, HEAD, recognize
from lading.imaging.ladder import Size, Variant
from lading.imaging.limits import ImagingLimits
from lading.imaging.made import Media
from lading.imaging.picture import Original, draw
from lading.imaging.ranges import Ranges
from lading.imaging.refusal import Refusal

try:
    from lading.imaging import films
except ModuleNotFoundError as error:
    if error.name != "av":
        raise
    films = None  # type: ignore[assignment]  # a module or nothing

PLACEHOLDER = Variant(1)


class _Absent(Exception):
    """The file is for PyAV, which is not installed."""


class Channel(Protocol):
    """The two pipes to the server."""

    def send(self, frame: bytes) -> None: ...

    def read(self, start: int, end: int) -> bytes: ...


def load() -> bool:
    """Load all decoders, and what they load when they are first used; whether films can be read."""
    images.allow_loaders()
    pillow_heif.libheif_info()
    _draw_one()
    if films is None:
        return False
    films.load()
    return True


def _draw_one() -> None:
    """Draw something: libvips starts its threads and finds its profiles with the first picture."""
    grey = pyvips.Image.black(64, 64, bands=4).copy(interpretation="cmyk")
    size = Size(64, 64)
    original = Original(lambda _frames, _enough: grey, size)
    for _ in draw(original, (Variant(3, "square"), Variant(2)), ImagingLimits()):
        pass


def carry_out(job: pipe.Job, channel: Channel, limits: ImagingLimits) -> None:
    """Do a job, and send what comes of it."""
    ranges = Ranges(channel, job.size, limits.read_bytes)
    try:
        media, original = _open(ranges, limits)
        if media is not None and original is not None:
            media = replace(media, placeholder=_send(original, job.variants, channel, limits))
    except Refusal as refusal:
        channel.send(pipe.frame(pipe.REFUSED, str(refusal)))
    except _Absent:
        channel.send(pipe.frame(pipe.ABSENT))
    except MemoryError:
        text = "Its picture needs more memory than this server allows."
        channel.send(pipe.frame(pipe.REFUSED, text))
    else:
        channel.send(pipe.done(media))


def _open(ranges: Ranges, limits: ImagingLimits) -> tuple[Media | None, Original | None]:
    """The facts of a file and its picture, of which the header was read."""
    found = recognize(ranges.read(0, HEAD))
    if found is None:
        return None, None
    if found.family != FILM:
        original, media = images.open_image(found.name, ranges, limits)
        return media, original
    if films is None:
        raise _Absent
    film = films.open_film(found.name, ranges, limits)
    return (None, None) if film is None else film


def _send(
    original: Original, variants: Iterable[Variant], channel: Channel, limits: ImagingLimits
) -> bytes:
    """Send the variants; returns the placeholder, which is made in any case."""
    asked, placeholder = set(variants), b""
    for variant, picture in draw(original, asked | {PLACEHOLDER}, limits):
        if variant == PLACEHOLDER:
            placeholder = picture.data
        if variant in asked:
            channel.send(pipe.drawn(variant, picture))
    return placeholder
