"""Makes the six sizes of a photo again and again: by Lading's child, or by pyvips alone.

The job: `{"path", "count", "bare"}`. The result: the `seconds` of all after the first one, which is
not counted, and `peak`, the resident bytes of the process that decodes.

The bare cascade is what a script would do: `thumbnail` of the file to the largest size, each
further size from that before it, webp with the same quality; nothing is checked or confined.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import time
from pathlib import Path

import structlog

from bench.clients import Job, work
from lading.imaging.ladder import COMPRESSION, QUALITIES, SIDES, Variant
from lading.imaging.worker import Imager


class Photo:
    """A file in memory, as a source."""

    def __init__(self, path: str) -> None:
        self._data = Path(path).read_bytes()
        self.size = len(self._data)

    async def read(self, start: int, end: int) -> bytes:
        return self._data[start:end]


async def by_lading(job: Job) -> Job:
    """One file after the other, through the pipe to the child."""
    photo, imager = Photo(job["path"]), Imager()
    variants = [Variant(quality) for quality in QUALITIES]
    try:
        await imager.make(photo, variants)
        begin = time.perf_counter()
        for _ in range(job["count"]):
            made = await imager.make(photo, variants)
            assert len(made.pictures) == len(variants)
        seconds = time.perf_counter() - begin
        (memory,) = imager.memory()
        return {"seconds": seconds, "peak": memory.peak}
    finally:
        await imager.close()


def bare(job: Job) -> Job:
    """The same by pyvips in this process."""
    import pyvips

    data = Path(job["path"]).read_bytes()

    def once() -> None:
        image = pyvips.Image.thumbnail_buffer(data, SIDES[6], height=SIDES[6]).copy_memory()
        for quality in reversed(QUALITIES):
            side = SIDES[quality]
            image = image.thumbnail_image(side, height=side).copy_memory()
            image.webpsave_buffer(Q=COMPRESSION[quality], keep="none")

    once()
    begin = time.perf_counter()
    for _ in range(job["count"]):
        once()
    seconds = time.perf_counter() - begin
    return {"seconds": seconds, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def make(job: Job) -> Job:
    """Do the job."""
    # Standard output is for the result.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    return bare(job) if job["bare"] else asyncio.run(by_lading(job))


if __name__ == "__main__":
    work(make)
