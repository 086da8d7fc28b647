"""The wrappers around a driver: what each adds, without a store."""

from __future__ import annotations

import asyncio

import pytest

from lading.protocol.errors import ChunkConflict, Unavailable
from lading.protocol.manifest import Piece
from lading.storage.blobs.limit import LARGE, WRITES_AT_ONCE, Limited
from lading.storage.blobs.measure import Measured
from lading.storage.blobs.retry import Retried, repeat, watch_repetitions
from tests.support.blobs import Idle, finished
from tests.support.clock import Clock
from tests.support.servers import until

ID = "0" * 24
PIECE = Piece(0, 5, 0)


class Pauses:
    """Sleeps that take no time, and are written down."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)


async def test_a_failure_of_a_moment_is_repeated() -> None:
    driver, pauses = Idle(), Pauses()
    driver.failures = [Unavailable(), Unavailable()]
    assert await Retried(driver, (1.0, 2.0, 4.0), pauses).write(ID, PIECE, b"hallo") is True
    assert (pauses.slept, driver.calls) == ([1.0, 2.0], ["write"] * 3)


async def test_a_failure_that_lasts_is_raised_after_the_last_pause() -> None:
    driver, pauses = Idle(), Pauses()
    driver.failures = [Unavailable() for _ in range(9)]
    with pytest.raises(Unavailable):
        await Retried(driver, (1.0, 2.0), pauses).read(ID, [PIECE])
    assert (pauses.slept, driver.calls) == ([1.0, 2.0], ["read"] * 3)


async def test_what_took_long_to_fail_is_not_repeated_where_somebody_waits() -> None:
    now, pauses = Clock(), Pauses()

    async def hang() -> None:
        now.now += 6
        raise Unavailable

    with pytest.raises(Unavailable):
        await repeat(hang, (1.0, 2.0, 4.0), pauses, now, patience=10.0)
    assert pauses.slept == [1.0], "the second try ended after 12 s"
    with pytest.raises(Unavailable):
        await repeat(hang, (1.0, 2.0, 4.0), pauses, now)
    assert pauses.slept == [1.0, 1.0, 2.0, 4.0], "nobody waits for a part of a move"


async def test_whoever_watches_hears_of_each_repetition() -> None:
    driver, heard = Idle(), list[str]()
    stop = watch_repetitions(lambda: heard.append("again"))
    driver.failures = [Unavailable(), Unavailable()]
    await Retried(driver, (1.0, 2.0, 4.0), Pauses()).write(ID, PIECE, b"hallo")
    assert len(heard) == 2
    stop()
    driver.failures = [Unavailable()]
    await Retried(driver, (1.0, 2.0, 4.0), Pauses()).write(ID, PIECE, b"hallo")
    assert len(heard) == 2


async def test_an_answer_is_not_repeated() -> None:
    driver, pauses = Idle(), Pauses()
    driver.failures = [ChunkConflict("other bytes")]
    with pytest.raises(ChunkConflict):
        await Retried(driver, (1.0,), pauses).write(ID, PIECE, b"hallo")
    assert pauses.slept == []


@pytest.mark.parametrize(("size", "at_once"), [(LARGE, WRITES_AT_ONCE), (LARGE - 1, 20)])
async def test_large_pieces_wait_for_each_other_and_small_ones_do_not(
    size: int, at_once: int
) -> None:
    driver, data = Idle(), bytes(size)
    driver.opened.clear()
    blobs = Limited(driver)
    writes = asyncio.gather(*[blobs.write(ID, Piece(0, size, 0), data) for _ in range(20)])
    await until(lambda: driver.under_way == at_once)
    await asyncio.sleep(0)
    assert driver.under_way == at_once
    driver.opened.set()
    assert await writes == [True] * 20


async def test_every_operation_is_measured_with_its_outcome() -> None:
    seen: list[tuple[str, float, int, str]] = []
    driver, ticks = Idle(), iter(range(100))
    blobs = Measured(driver, lambda *each: seen.append(each), lambda: float(next(ticks)))
    await blobs.write(ID, PIECE, b"hallo")
    await blobs.read(ID, [PIECE])
    await blobs.delete(finished(ID), 10)
    await blobs.remove(ID, 0)
    for failure in (Unavailable(), ValueError("a fault"), asyncio.CancelledError()):
        driver.failures = [failure]
        with pytest.raises(type(failure)):
            await blobs.read(ID, [PIECE])
    assert seen == [
        ("write", 1.0, 5, "ok"),
        ("read", 1.0, 5, "ok"),
        ("delete", 1.0, 0, "ok"),
        ("remove", 1.0, 0, "ok"),
        ("read", 1.0, 0, "unavailable"),
        ("read", 1.0, 0, "fault"),
        ("read", 1.0, 0, "cancelled"),
    ]


def test_a_wrapper_has_the_name_and_the_traits_of_its_driver() -> None:
    driver = Idle()
    blobs = Measured(Limited(Retried(driver)), lambda *_: None)
    assert (blobs.name, blobs.traits) == (driver.name, driver.traits)
