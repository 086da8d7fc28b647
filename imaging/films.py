"""Videos and audio files: their facts, a poster or a cover.

FFmpeg reads them, through PyAV, which is an extra (`lading[video]`). It is told which demuxer to
use, so that no playlist makes it open something else, and it gets at the bytes through the pipe: of
a film of many gigabytes its index is read, and a few frames.
"""

from __future__ import annotations

import pkgutil
from contextlib import closing, suppress
from dataclasses import replace
from importlib import import_module
from typing import NamedTuple

import av
import pyvips
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from lading.imaging import boxes
from lading.imaging.boxes import HLG, PQ, Coding
from lading.imaging.formats import HEAD, IMAGE, recognize
from lading.imaging.images import open_image
from lading.imaging.ladder import Size
from lading.imaging.limits import ImagingLimits
from lading.imaging.made import AUDIO, VIDEO, Media
from lading.imaging.picture import Original, check_size, upright
from lading.imaging.pipe import FASTEST, LONGEST
from lading.imaging.ranges import File, Ranges
from lading.imaging.refusal import BROKEN, Refusal
from lading.imaging.waveform import waveform

POSTER_AT = (0.1, 0.25, 0.5, 0.75, 0.0)
"""Where a poster is looked for, as shares of the duration, until a frame is not black."""
BLACK = 24
"""The average of a black frame is at most this, of 255."""
MOST_FRAMES = 400
"""So many frames are decoded from a key frame on to reach a place, at most."""
MOST_SQUEEZED = 16
"""Pixels that are so many times wider than high, or higher than wide, are a lie."""
_AREA = 0x20
"""swscale's averaging, which is right for shrinking: SWS_AREA."""

_TURNS = {0: 1, 90: 6, 180: 3, 270: 8}
"""Degrees clockwise to EXIF's orientation."""


class Film(NamedTuple):
    """What a file holds: its facts, and the picture that stands for it, if there is one."""

    media: Media
    picture: Original | None


def load() -> None:
    """Import all of PyAV now: it imports parts of itself when a file needs them."""
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if module.name not in ("av.__main__", "av.datasets"):
            import_module(module.name)


def open_film(name: str, ranges: Ranges, limits: ImagingLimits) -> Film | None:
    """A file for the demuxer `name`; None when it holds neither video nor audio."""
    try:
        with closing(
            av.open(File(ranges), "r", format=name, metadata_errors="replace", io_open=_no_other)
        ) as container:
            return _read(name, container, ranges, limits)
    except (av.FFmpegError, ValueError, OverflowError, EOFError) as error:
        raise Refusal(BROKEN) from error


def _no_other(*_arguments: object) -> None:
    raise Refusal("The file refers to other files.")


def _read(
    name: str, container: InputContainer, ranges: Ranges, limits: ImagingLimits
) -> Film | None:
    video = next(filter(_is_readable, container.streams.video), None)
    audio = next(filter(_is_readable, container.streams.audio), None)
    main = video or audio
    if main is None:
        return None
    tags = {key.lower(): value for key, value in {**main.metadata, **container.metadata}.items()}
    duration = _duration(container, main)
    facts = Media(
        kind=AUDIO if video is None else VIDEO,
        duration=duration,
        frame_rate=None if video is None else _rate(video),
        codecs=tuple(_codec(one) for one in (video, audio) if one is not None),
        moov_first=boxes.moov_first(ranges.read, ranges.size) if name == "mov" else None,
        title=tags.get("title"),
        artist=tags.get("artist"),
        album=tags.get("album"),
    )
    if video is not None:
        return _with_poster(facts, container, video, limits)
    assert audio is not None
    picture = _cover(container, limits)  # before the waveform, which moves on in the file
    facts = replace(facts, waveform=_waveform(container, audio, duration))
    return _shown(facts, picture)


def _shown(facts: Media, picture: Original | None) -> Film:
    if picture is None:
        return Film(facts, None)
    return Film(replace(facts, width=picture.shown.width, height=picture.shown.height), picture)


def _duration(container: InputContainer, main: VideoStream | AudioStream) -> float | None:
    """Seconds; None when the file does not say, or says what cannot be."""
    found = 0.0
    if container.duration is not None:
        found = container.duration / av.time_base
    elif main.duration is not None and main.time_base is not None:
        found = float(main.duration * main.time_base)
    return found if 0 < found <= LONGEST else None


def _codec(stream: VideoStream | AudioStream) -> str:
    """`mp3`, and not the name of the decoder that reads it, `mp3float`."""
    return stream.codec_context.codec.canonical_name


def _rate(video: VideoStream) -> float | None:
    rate = video.average_rate or video.guessed_rate
    return round(float(rate), 3) if rate and 0 < rate <= FASTEST else None


def _waveform(
    container: InputContainer, audio: AudioStream, duration: float | None
) -> bytes | None:
    with suppress(av.FFmpegError, ValueError, Refusal):  # of a file that is too long, the rest
        return waveform(container, audio, duration)
    return None


# -- covers ----------------------------------------------------------------------------------------


def _is_readable(stream: VideoStream | AudioStream) -> bool:
    """Whether it is a film or sound for which there is a decoder, and not a cover."""
    cover = stream.disposition & Disposition.attached_pic
    # PyAV's types do not say that there may be no decoder.
    return not cover and getattr(stream, "codec_context", None) is not None


def _cover(container: InputContainer, limits: ImagingLimits) -> Original | None:
    """The cover of an audio file, an image file inside it; None when it has none that can be read.

    FFmpeg returns such a stream as one packet, which goes the way of every image.
    """
    for stream in container.streams.video:
        for packet in container.demux(stream):
            data = bytes(packet)
            found = recognize(data[:HEAD])
            if found is None or found.family != IMAGE:
                break
            inside = Ranges(_Memory(data), len(data), limits.read_bytes)
            with suppress(Refusal):
                return open_image(found.name, inside, limits)[0]
            break
    return None


class _Memory:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, start: int, end: int) -> bytes:
        return self._data[start:end]


# -- posters ---------------------------------------------------------------------------------------


def _with_poster(
    facts: Media, container: InputContainer, video: VideoStream, limits: ImagingLimits
) -> Film:
    context = video.codec_context
    check_size(Size(context.width, context.height), limits)
    video.thread_type = "SLICE"  # threads by frame need memory for each
    frame = _poster(container, video, facts.duration)
    if frame is None:
        return Film(
            replace(facts, width=context.width or None, height=context.height or None), None
        )
    check_size(Size(frame.width, frame.height), limits)
    ratio = video.sample_aspect_ratio or 1
    if not 1 / MOST_SQUEEZED <= ratio <= MOST_SQUEEZED:
        ratio = 1
    wide = Size(max(1, round(frame.width * ratio)), frame.height)
    orientation = _TURNS.get(round(-frame.rotation) % 360, 1)

    def open_(_frames: int, enough: Size) -> pyvips.Image:
        return _pixels(frame, enough)

    picture = Original(open_, upright(wide, orientation), orientation, 1, _coding(video))
    return _shown(facts, picture)


def _poster(
    container: InputContainer, video: VideoStream, duration: float | None
) -> VideoFrame | None:
    """The first frame at one of the places that is not black, else the brightest of them."""
    best, brightness = None, -1.0
    for share in POSTER_AT if duration else (0.0,):
        frame = _frame_at(container, video, share * (duration or 0.0))
        if frame is None:
            continue
        light = _brightness(frame)
        if light > BLACK:
            return frame
        if light > brightness:
            best, brightness = frame, light
    return best


def _frame_at(container: InputContainer, video: VideoStream, second: float) -> VideoFrame | None:
    """The frame that is shown at a time, or the last one before that is readable, or None."""
    base = video.time_base
    assert base is not None
    wanted = int(second / base) + (video.start_time or 0)
    found = None
    try:
        container.seek(wanted, stream=video)
        for number, frame in enumerate(container.decode(video)):
            if found is not None and frame.pts is not None and frame.pts > wanted:
                break
            found = frame
            if number >= MOST_FRAMES or (frame.pts is not None and frame.pts >= wanted):
                break
    except av.FFmpegError:
        return found
    return found


def _brightness(frame: VideoFrame) -> float:
    grey = frame.reformat(width=32, height=32, format="gray")
    plane = grey.planes[0]
    rows = memoryview(plane)
    return sum(sum(rows[y * plane.line_size :][:32]) for y in range(32)) / 32**2


def _coding(video: VideoStream) -> Coding | None:
    context = video.codec_context
    transfer = int(context.color_trc)
    return Coding(int(context.color_primaries), transfer) if transfer in (PQ, HLG) else None


def _pixels(frame: VideoFrame, size: Size) -> pyvips.Image:
    """The frame as RGB and shrunk to `size`, which is all that is needed of it."""
    deep = frame.format.components[0].bits > 8
    rgb = frame.reformat(
        width=size.width,
        height=size.height,
        format="rgb48le" if deep else "rgb24",
        interpolation=_AREA,
    )
    plane = rgb.planes[0]
    line, each = plane.line_size, 6 if deep else 3
    rows = memoryview(plane)
    data = b"".join(
        bytes(rows[y * line : y * line + size.width * each]) for y in range(size.height)
    )
    image = pyvips.Image.new_from_memory(
        data, size.width, size.height, 3, "ushort" if deep else "uchar"
    )
    return image.copy(interpretation="rgb16" if deep else "srgb")
