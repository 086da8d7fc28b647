"""The children at work: what ends one, and what becomes of its file."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lading.imaging import pipe
from lading.imaging.ladder import QUALITIES, VARIANTS, Variant
from lading.imaging.limits import USUAL_LIMITS, ImagingLimits
from lading.imaging.made import NotHere
from lading.imaging.worker import Imager
from lading.protocol.errors import NotFound, Unavailable, UnprocessableImage
from tests.support.imaging import SAMPLES, Bytes, opened
from tests.support.photos import jpeg

PHOTO = (SAMPLES / "orientation-6.jpg").read_bytes()
SMALL = Variant(3)
Make = Callable[..., Imager]


@pytest.fixture
async def imager_with() -> AsyncIterator[Make]:
    """Makes Imagers, which are closed in the end."""
    made: list[Imager] = []

    def make(children: int = 1, limits: ImagingLimits = USUAL_LIMITS) -> Imager:
        made.append(Imager(children, limits))
        return made[-1]

    yield make
    for imager in made:
        await imager.close()


def children(imager: Imager) -> list[int]:
    """The children that run now."""
    return [memory.pid for memory in imager.memory()]


class Fatal(Bytes):
    """A file whose first bytes end the child that asks for them."""

    def __init__(self, imager: Imager, number: int, times: int = 1) -> None:
        super().__init__(PHOTO)
        self._imager = imager
        self._number = number
        self._left = times

    async def read(self, start: int, end: int) -> bytes:
        if self._left:
            self._left -= 1
            for pid in children(self._imager):
                os.kill(pid, self._number)
        return await super().read(start, end)


class Missing(Bytes):
    async def read(self, start: int, end: int) -> bytes:
        raise NotFound("gone meanwhile")


class Endless(Bytes):
    """A file whose bytes never come. `asked` is set when they are wanted."""

    def __init__(self) -> None:
        super().__init__(PHOTO)
        self.asked = asyncio.Event()

    async def read(self, start: int, end: int) -> bytes:
        self.asked.set()
        await asyncio.Event().wait()
        raise AssertionError


async def works(imager: Imager) -> None:
    assert set((await imager.make(Bytes(PHOTO), [SMALL])).pictures) == {SMALL}


async def test_a_child_starts_when_it_is_needed_and_stays(imager_with: Make) -> None:
    imager = imager_with()
    assert children(imager) == []
    await works(imager)
    (first,) = children(imager)
    await works(imager)
    assert children(imager) == [first]
    (memory,) = imager.memory()
    assert 0 < memory.now <= memory.peak < 200 * 2**20
    assert imager.peak() >= memory.peak


async def test_the_peak_of_a_child_outlives_it(imager_with: Make) -> None:
    imager = imager_with(limits=replace(USUAL_LIMITS, retire_files=1))
    await works(imager)
    assert children(imager) == []
    assert imager.peak() > 10 * 2**20


async def test_as_many_files_at_once_as_children(imager_with: Make) -> None:
    imager = imager_with(2)
    waiting = [Endless(), Endless()]
    tasks = [asyncio.create_task(imager.make(one, [SMALL])) for one in waiting]
    for one in waiting:
        await one.asked.wait()
    assert len(children(imager)) == 2
    third = asyncio.create_task(imager.make(Bytes(PHOTO), [SMALL]))
    tasks[0].cancel()
    assert set((await third).pictures) == {SMALL}
    tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_an_idle_child_that_is_killed_is_replaced(imager_with: Make) -> None:
    imager = imager_with()
    await works(imager)
    (first,) = children(imager)
    os.kill(first, signal.SIGKILL)
    await imager.make(Bytes(PHOTO), [SMALL])
    assert children(imager) != [first]


async def test_a_kill_says_nothing_about_the_file(imager_with: Make) -> None:
    imager = imager_with()
    source = Fatal(imager, signal.SIGKILL)
    with pytest.raises(Unavailable):
        await imager.make(source, [SMALL])
    assert set((await imager.make(source, [SMALL])).pictures) == {SMALL}


async def test_a_crash_may_be_chance_once(imager_with: Make) -> None:
    imager = imager_with()
    assert set((await imager.make(Fatal(imager, signal.SIGSEGV), [SMALL])).pictures) == {SMALL}


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGXCPU])
async def test_a_file_that_crashes_its_decoder_is_refused(imager_with: Make, number: int) -> None:
    imager = imager_with()
    with pytest.raises(UnprocessableImage):
        await imager.make(Fatal(imager, number, times=USUAL_LIMITS.crashes), [SMALL])
    await works(imager)


async def test_a_file_that_takes_too_long_is_tried_again_later_and_its_child_killed(
    imager_with: Make,
) -> None:
    imager = imager_with(limits=replace(USUAL_LIMITS, wall_seconds=0.0))
    with pytest.raises(Unavailable):
        await imager.make(Bytes(PHOTO), [SMALL])
    assert imager.memory() == []


async def test_waiting_for_the_file_does_not_count(
    imager_with: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    clock, waited = loop.time, 0.0

    class Slow(Bytes):
        async def read(self, start: int, end: int) -> bytes:
            nonlocal waited
            waited += 2 * USUAL_LIMITS.wall_seconds
            return await super().read(start, end)

    monkeypatch.setattr(loop, "time", lambda: clock() + waited)
    assert set((await imager_with().make(Slow(PHOTO), [SMALL])).pictures) == {SMALL}
    assert waited


async def test_a_file_whose_bytes_never_come_frees_its_child(imager_with: Make) -> None:
    imager = imager_with(limits=replace(USUAL_LIMITS, job_seconds=0.2))
    with pytest.raises(Unavailable):
        await imager.make(Endless(), [SMALL])
    await imager.make(Bytes(b"no picture"), [])


async def test_a_file_that_cannot_be_read_frees_its_child(imager_with: Make) -> None:
    imager = imager_with()
    with pytest.raises(NotFound):
        await imager.make(Missing(PHOTO), [SMALL])
    await works(imager)


async def test_whoever_stops_waiting_frees_the_child(imager_with: Make) -> None:
    imager = imager_with()
    source = Endless()
    task = asyncio.create_task(imager.make(source, [SMALL]))
    await source.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await works(imager)


@pytest.mark.parametrize("change", [{"retire_files": 1}, {"retire_bytes": 1}])
async def test_a_child_is_replaced_when_it_has_served_or_grown_enough(
    imager_with: Make, change: dict[str, int]
) -> None:
    imager = imager_with(limits=replace(USUAL_LIMITS, **change))
    await works(imager)
    first = children(imager)
    await works(imager)
    assert not set(children(imager)) & set(first)


async def test_a_picture_that_needs_more_memory_is_refused(imager_with: Make) -> None:
    imager = imager_with(limits=replace(USUAL_LIMITS, picture_bytes=500))
    with pytest.raises(UnprocessableImage, match="too large"):
        await imager.make(Bytes(PHOTO), VARIANTS)
    await works_small(imager)


async def test_an_animation_of_large_frames_is_a_still(imager_with: Make) -> None:
    source, large = Bytes((SAMPLES / "animated.gif").read_bytes()), Variant(6)
    for frame_pixels, frames in ((220 * 120, 12), (220 * 120 - 1, 1)):
        imager = imager_with(limits=replace(USUAL_LIMITS, frame_pixels=frame_pixels))
        made = await imager.make(source, [large])
        assert opened(made.pictures[large].data).get_n_pages() == frames


async def test_an_animation_that_becomes_too_long_is_a_still(imager_with: Make) -> None:
    source, large = Bytes((SAMPLES / "animated.gif").read_bytes()), Variant(6)
    moving = (await imager_with().make(source, [large])).pictures[large].data
    assert opened(moving).get_n_pages() == 12
    imager = imager_with(limits=replace(USUAL_LIMITS, picture_bytes=len(moving) - 1))
    made = await imager.make(source, [large])
    assert opened(made.pictures[large].data).get_n_pages() == 1


async def test_a_photo_of_12_megapixels_takes_little_memory(imager_with: Make) -> None:
    imager = imager_with()
    made = await imager.make(Bytes(jpeg(4000, 3000)), map(Variant, QUALITIES))
    assert len(made.pictures) == len(QUALITIES)
    (memory,) = imager.memory()
    assert memory.peak < 200 * 2**20


async def works_small(imager: Imager) -> None:
    assert await imager.make(Bytes(PHOTO), [Variant(1)])


async def test_a_child_that_cannot_start_makes_it_unavailable(imager_with: Make) -> None:
    imager = imager_with(limits=replace(USUAL_LIMITS, start_seconds=0.0))
    with pytest.raises(Unavailable):
        await imager.make(Bytes(PHOTO), [SMALL])
    assert imager.memory() == []


TAKEN_OVER = """#!{python} -I
from lading.imaging import pipe
from lading.imaging.child import Channel
from lading.imaging.ladder import Variant
from lading.imaging.made import Picture

channel, picture = Channel(0, 1), Picture(b"RIFF....WEBP", 1, 1)
channel.send(pipe.frame(pipe.HELLO, False, False, False, False))
job = pipe.read_job(channel.receive())
{mischief}
channel.receive()
"""

MISCHIEF = {
    "reads without end": "while True: channel.read(0, job.size)",
    "reads byte by byte": "while True: channel.read(0, 1)",
    "reads what is not there": "channel.read(job.size, job.size + 1)",
    "sends a picture again and again": "while True: channel.send(pipe.drawn(Variant(3), picture))",
    "sends another picture": "channel.send(pipe.drawn(Variant(6), picture))",
    "sends what swells": "channel.send(pipe.frame(pipe.PICTURE, [[[[]] * 60] * 60] * 60))",
    "sends a message without end": "channel.send(pipe.LENGTH.pack(2**32 - 1))",
    "says hello again": "channel.send(pipe.frame(pipe.HELLO, True, True, True, True))",
}
"""What a child may do that is in the hands of whoever sent the file."""


@pytest.mark.parametrize("mischief", MISCHIEF)
async def test_a_child_that_was_taken_over_is_killed(
    imager_with: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mischief: str
) -> None:
    child = tmp_path / "child"
    child.write_text(TAKEN_OVER.format(python=sys.executable, mischief=MISCHIEF[mischief]))
    child.chmod(0o755)
    imager, source = imager_with(limits=replace(USUAL_LIMITS, read_bytes=2**20)), Bytes(PHOTO)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", str(child))
        with pytest.raises(UnprocessableImage, match="lost its way"):
            await imager.make(source, [SMALL])
    assert source.was_read <= USUAL_LIMITS.crashes * 2**20
    assert source.times <= USUAL_LIMITS.crashes * 2**20 // pipe.BLOCK
    assert imager.memory() == []
    await works(imager)


async def test_a_child_without_a_decoder_says_so_and_stays(
    imager_with: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child, absent = tmp_path / "child", "channel.send(pipe.frame(pipe.ABSENT))"
    child.write_text(TAKEN_OVER.format(python=sys.executable, mischief=absent))
    child.chmod(0o755)
    imager = imager_with()
    monkeypatch.setattr(sys, "executable", str(child))
    with pytest.raises(NotHere):
        await imager.make(Bytes(PHOTO), [SMALL])
    assert len(children(imager)) == 1


async def test_a_child_that_starts_while_all_end_does_not_stay(imager_with: Make) -> None:
    imager = imager_with()
    making = asyncio.create_task(works(imager))
    await asyncio.sleep(0)
    await imager.close()
    with pytest.raises(Unavailable):
        await making
    assert imager.memory() == []


async def test_closing_ends_all_children() -> None:
    imager = Imager(1)
    await works(imager)
    assert children(imager)
    await imager.close()
    assert not children(imager)
    with pytest.raises(Unavailable):
        await works(imager)


SERVER = """
import asyncio, sys
from lading.imaging.ladder import Variant
from lading.imaging.worker import Imager
from tests.imaging.test_worker import PHOTO, Bytes, children

async def main():
    imager = Imager()
    await imager.make(Bytes(PHOTO), [Variant(3)])
    print(*children(imager), file=sys.stderr, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def test_a_child_ends_with_a_server_that_is_killed() -> None:
    root = Path(__file__).parent.parent.parent
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=root,
    )
    assert server.stderr is not None
    with server.stderr:
        child = os.pidfd_open(int(server.stderr.readline()))
    server.kill()
    server.wait()
    ended = select.poll()
    ended.register(child, select.POLLIN)
    assert ended.poll(10_000), "the child outlives its server"
    os.close(child)
