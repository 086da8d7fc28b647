"""Pictures in tests: files to make them of, a child that makes them, and how alike two are."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pyvips

from lading.imaging.ladder import Variant
from lading.imaging.limits import USUAL_LIMITS, ImagingLimits
from lading.imaging.made import Made
from lading.imaging.worker import Imager, Memory

SAMPLES = Path(__file__).parent.parent / "imaging" / "samples"
REFERENCES = SAMPLES / "references"

T = TypeVar("T")


def samples(*endings: str) -> list[Path]:
    """The sample files with one of these endings, or all of them."""
    found = sorted(path for path in SAMPLES.iterdir() if path.suffix not in ("", ".py"))
    return [path for path in found if not endings or path.suffix[1:] in endings]


class Bytes:
    """A file in memory, as a source. It counts what is read of it, and how many times."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)
        self.was_read = self.times = 0

    async def read(self, start: int, end: int) -> bytes:
        self.times += 1
        assert 0 <= start < end <= self.size
        self.was_read += end - start
        return self._data[start:end]


class Sparse:
    """A file that is as large as it says, with these bytes in front and nothing behind them."""

    def __init__(self, head: bytes, size: int) -> None:
        self._head = head
        self.size = size
        self.was_read = 0

    async def read(self, start: int, end: int) -> bytes:
        self.was_read += end - start
        return self._head[start:end].ljust(end - start, b"\0")


class Studio:
    """An Imager for tests that are not asynchronous, so that they share one child.

    The event loop has a thread of its own, since the child ends with the thread that started it.
    """

    def __init__(
        self,
        limits: ImagingLimits = USUAL_LIMITS,
        new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
    ) -> None:
        self._loop = new_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._imager = Imager(1, limits)

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def make(self, file: Path | bytes, variants: Iterable[Variant] = ()) -> Made:
        data = file if isinstance(file, bytes) else file.read_bytes()
        return self._do(self._imager.make(Bytes(data), variants))

    def memory(self) -> list[Memory]:
        return self._imager.memory()

    def cpu_seconds(self) -> float:
        """The CPU time that the child has used: a bound that holds on a busy machine, too."""
        found = 0.0
        for memory in self._imager.memory():
            fields = Path(f"/proc/{memory.pid}/stat").read_text().rpartition(")")[2].split()
            found += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return found

    def close(self) -> None:
        self._do(self._imager.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Likeness(NamedTuple):
    """How alike two pictures are: the mean ΔE of CIE 2000 (0 is equal, 2 hardly seen), and SSIM of
    their lightness (1 is equal)."""

    delta: float
    ssim: float


def opened(data: bytes) -> pyvips.Image:
    """A webp picture, all frames below each other."""
    return pyvips.Image.webpload_buffer(data, n=-1)


def plain(image: pyvips.Image) -> pyvips.Image:
    """In sRGB on white, as one sees it."""
    image = image.flatten(background=255) if image.hasalpha() else image
    return image.colourspace("srgb")[:3]


def likeness(one: pyvips.Image, other: pyvips.Image) -> Likeness:
    """Compare two pictures of the same size."""
    one, other = plain(one), plain(other)
    assert (one.width, one.height) == (other.width, other.height)
    delta = one.colourspace("lab").dE00(other.colourspace("lab")).avg()
    return Likeness(delta, _ssim(*(each.colourspace("lab")[0] * 2.55 for each in (one, other))))


def _ssim(one: pyvips.Image, other: pyvips.Image) -> float:
    """Wang, Bovik, Sheikh and Simoncelli (2004), with their window and constants."""
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2

    def mean(image: pyvips.Image) -> pyvips.Image:
        return image.gaussblur(1.5, precision="float")

    a, b = mean(one), mean(other)
    variance_a, variance_b = mean(one * one) - a * a, mean(other * other) - b * b
    covariance = mean(one * other) - a * b
    above = (a * b * 2 + c1) * (covariance * 2 + c2)
    below = (a * a + b * b + c1) * (variance_a + variance_b + c2)
    return float((above / below).avg())


def reference(name: str) -> pyvips.Image:
    """A picture that another program made."""
    return pyvips.Image.new_from_file(str(REFERENCES / f"{name}.png"))


def names(paths: Sequence[Path]) -> list[str]:
    return [path.name for path in paths]
