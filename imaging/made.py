"""What is asked of this room and what it returns, as plain values.

Nothing here decodes anything, so the server may import it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from lading.imaging.ladder import Variant
from lading.protocol.errors import Unavailable

IMAGE, VIDEO, AUDIO = "image", "video", "audio"
PEAKS = 800
"""How many peaks a waveform has."""


class Source(Protocol):
    """A file that can be read in ranges. `size` is bytes."""

    @property
    def size(self) -> int: ...

    async def read(self, start: int, end: int) -> bytes:
        """The bytes `[start, end)`, at least one and all of them. Raises LadingError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """The facts of a file that a player or a grid needs: `media` of its manifest.

    `width` and `height` are pixels as shown, after the file's own orientation; of an audio file
    those of its cover. `duration` is seconds, `frame_rate` frames a second. What is unknown is
    None, and `codecs` is empty.
    """

    kind: str
    """`image`, `video` or `audio`."""
    width: int | None = None
    height: int | None = None
    frames: int | None = None
    """The frames of an animation; None of everything else."""
    alpha: bool = False
    """Whether an image has an alpha channel, so that parts of it may be transparent."""
    duration: float | None = None
    frame_rate: float | None = None
    codecs: tuple[str, ...] = ()
    moov_first: bool | None = None
    """Whether an MP4 file can be played before its end has arrived; None of other formats."""
    title: str | None = None
    artist: str | None = None
    album: str | None = None
    waveform: bytes | None = None
    """The loudest sample in each of PEAKS parts of equal length, 0 to 255; of audio files."""
    placeholder: bytes | None = None
    """Quality 1 of the picture, to be inlined while another quality is loaded."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One webp picture and its size in pixels; `height` is that of one frame."""

    data: bytes
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Made:
    """The facts of a file and its pictures.

    `media` is None for a file that is no image, video or audio: it has no pictures and never will.
    A video or an audio file may have facts and no picture.
    """

    media: Media | None = None
    pictures: Mapping[Variant, Picture] = field(default_factory=dict)


class NotHere(Unavailable):
    """There is no decoder here for a file of this kind. Another server may have one."""


class Maker(Protocol):
    """What the server asks: `imaging.worker.Imager`, or a stand-in for it in a test."""

    async def make(self, source: Source, variants: Iterable[Variant]) -> Made:
        """The facts of a file and the variants of its picture; no variants ask for the facts.

        UnprocessableImage says that it is impossible, and `detail` why: the file is broken or
        beyond the limits, and trying again helps nothing. Unavailable says that it could not be
        done now: the child was killed from outside, or cannot be started; NotHere, that this
        process never can. What `source.read` raises is raised.
        """
        ...
