"""The waveform of an audio file: the loudest sample in each of its 800 parts.

A short file is decoded whole; of a long one a part of a second is decoded at each of 800 places, so
an audio book costs no more than a song.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import av
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer

from lading.imaging.made import PEAKS

WHOLE_SECONDS = 900.0
"""Up to this duration a file is decoded whole."""
HEARD_SECONDS = 0.2
"""Of a longer one, what is decoded at each place."""
BLOCKS_A_SECOND = 100
"""How finely loudness is noted while decoding."""
MOST_BLOCKS = 2 * int(WHOLE_SECONDS) * BLOCKS_A_SECOND
"""A file that is longer than it says is heard no further."""


def waveform(
    container: InputContainer, stream: AudioStream, duration: float | None
) -> bytes | None:
    """PEAKS values from 0 to 255; None when nothing can be decoded."""
    if duration is None or duration <= WHOLE_SECONDS:
        blocks = _whole(container, stream)
    else:
        blocks = [_at(container, stream, duration * number / PEAKS) for number in range(PEAKS)]
    return grouped(blocks) if any(blocks) or len(blocks) > 1 else None


def grouped(blocks: Sequence[int]) -> bytes:
    """The largest values of PEAKS groups that follow each other; few blocks are repeated."""
    count = len(blocks)
    ends = [count * number // PEAKS for number in range(PEAKS + 1)]
    return bytes(max(blocks[start : max(end, start + 1)]) for start, end in pairwise(ends))


def _whole(container: InputContainer, stream: AudioStream) -> list[int]:
    blocks: list[int] = []
    for peak in _peaks(container, stream):
        blocks.append(peak)
        if len(blocks) >= MOST_BLOCKS:
            break
    return blocks


def _at(container: InputContainer, stream: AudioStream, second: float) -> int:
    """The loudest sample shortly after a place; 0 where nothing can be decoded."""
    container.seek(int(second * av.time_base))
    loudest = 0
    for number, peak in enumerate(_peaks(container, stream)):
        loudest = max(loudest, peak)
        if number >= HEARD_SECONDS * BLOCKS_A_SECOND:
            break
    return loudest


def _peaks(container: InputContainer, stream: AudioStream) -> Iterator[int]:
    """The loudest sample of each block from where the container stands; broken packets are skipped.

    A block is a hundredth of a second, but at most one frame.
    """
    resampler = AudioResampler(format="s16", layout="mono")
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.FFmpegError:
            continue
        for frame in frames:
            for mono in resampler.resample(frame):
                samples = memoryview(mono.planes[0])[: 2 * mono.samples].cast("B").cast("h")
                step = max(1, mono.sample_rate // BLOCKS_A_SECOND)
                for start in range(0, len(samples), step):
                    block = samples[start : start + step]
                    highest, lowest = max(block), min(block)
                    yield min(255, max(highest, -lowest) >> 7)
