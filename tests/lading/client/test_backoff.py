import math

import pytest

from lading.client.backoff import Backoff, Pace, Timing
from tests.lading.conftest import Clock


def backoff(clock: Clock, patience: float = 600.0, chance: float = 1.0) -> Backoff:
    return Backoff(patience, clock.timing(chance), base=0.2, cap=15.0)


def test_delays_double_up_to_the_cap(clock: Clock) -> None:
    delays = backoff(clock)
    found = [delays.delay() for _ in range(10)]
    assert found == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 15, 15, 15])


@pytest.mark.parametrize("chance", [0.0, 0.25, 0.999])
def test_jitter_is_full(clock: Clock, chance: float) -> None:
    delays = backoff(clock, chance=chance)
    assert [delays.delay() for _ in range(3)] == pytest.approx(
        [0.2 * chance, 0.4 * chance, 0.8 * chance]
    )


def test_what_the_server_asked_for_comes_on_top(clock: Clock) -> None:
    assert backoff(clock, chance=0.5).delay(after=7.0) == pytest.approx(7.1)


def test_patience_runs_from_the_first_failure(clock: Clock) -> None:
    delays = backoff(clock, patience=10)
    clock.now += 3600
    assert delays.delay() is not None
    clock.now += 9.9
    assert delays.delay() == pytest.approx(0.1)
    clock.now += 0.1
    assert delays.delay() is None


def test_progress_gives_all_of_it_back(clock: Clock) -> None:
    delays = backoff(clock, patience=10)
    for _ in range(5):
        delays.delay()
    clock.now += 9
    delays.progressed()
    clock.now += 100
    assert delays.delay() == pytest.approx(0.2)
    clock.now += 9
    assert delays.delay() is not None


def test_a_long_patience_does_not_overflow(clock: Clock) -> None:
    delays = backoff(clock, patience=math.inf)
    for _ in range(5000):
        assert (delays.delay() or 0) <= 15.0


def test_the_usual_timing_is_steady_and_random() -> None:
    timing = Timing()
    assert timing.clock() <= timing.clock()
    assert 0 <= timing.random() < 1


async def test_bytes_pass_at_their_pace(clock: Clock) -> None:
    pace = Pace(1000.0, clock.timing())
    began = clock.now
    for _ in range(4):
        await pace.wait(500)
    assert clock.now - began == 1.5  # the first ones need not wait
    clock.now += 100.0
    await pace.wait(500)  # a rest is not made up for
    await pace.wait(500)
    assert clock.now - began == 102.0


async def test_without_a_limit_nothing_waits(clock: Clock) -> None:
    await Pace(None, clock.timing()).wait(10**12)
    assert clock.slept == []
