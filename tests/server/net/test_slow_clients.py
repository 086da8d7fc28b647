"""A deadline that moves while bytes come, on a clock of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from lading.server.limits import NetLimits
from lading.server.net.slow_clients import SlowClientTimer, Unread

LIMITS = NetLimits()


class Loop:
    """Only what a SlowClientTimer asks of a loop."""

    def __init__(self) -> None:
        self.now = 0.0
        self._calls: list[tuple[float, Callable[[], None], Handle]] = []

    def call_later(self, delay: float, callback: Callable[[], None]) -> Handle:
        handle = Handle()
        self._calls.append((self.now + delay, callback, handle))
        return handle

    def wait(self, seconds: float) -> None:
        self.now += seconds
        due = [call for call in self._calls if call[0] <= self.now]
        self._calls = [call for call in self._calls if call[0] > self.now]
        for _, callback, handle in due:
            if not handle.cancelled:
                callback()


class Handle:
    cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Scene:
    def __init__(self) -> None:
        loop: Any = Loop()
        self.loop: Loop = loop
        self.arrived = 0
        self.paused = False
        self.pressed = False
        self.gave_up = 0
        wide: asyncio.AbstractEventLoop = loop
        self.pace = SlowClientTimer(
            wide,
            LIMITS,
            arrived=lambda: self.arrived,
            paused=lambda: self.paused,
            pressed=lambda: self.pressed,
            too_slow=self._give_up,
        )

    def _give_up(self) -> None:
        self.gave_up += 1


def test_enough_bytes_move_the_deadline() -> None:
    scene = Scene()
    scene.pace.start()
    for _ in range(10):
        scene.arrived += int(LIMITS.patience_seconds * LIMITS.slowest)
        scene.loop.wait(LIMITS.patience_seconds)
    assert scene.gave_up == 0


def test_a_byte_a_second_is_too_slow_and_told_once() -> None:
    scene = Scene()
    scene.pace.start()
    for _ in range(int(LIMITS.patience_seconds) * 3):
        scene.arrived += 1
        scene.loop.wait(1)
    assert scene.gave_up == 1


def test_while_others_wait_more_must_come() -> None:
    scene = Scene()
    scene.pace.start()
    for rate, pressed in ((LIMITS.slowest, False), (LIMITS.slowest_pressed, True)):
        scene.pressed = pressed
        for _ in range(3):
            scene.arrived += int(LIMITS.patience_seconds * rate)
            scene.loop.wait(LIMITS.patience_seconds)
    assert scene.gave_up == 0
    scene.arrived += int(LIMITS.patience_seconds * LIMITS.slowest)
    scene.loop.wait(LIMITS.patience_seconds)
    assert scene.gave_up == 1


def test_who_is_not_read_is_not_slow() -> None:
    scene = Scene()
    scene.pace.start()
    scene.paused = True
    scene.loop.wait(LIMITS.patience_seconds)
    scene.paused = False
    scene.loop.wait(LIMITS.patience_seconds)
    assert scene.gave_up == 0
    scene.loop.wait(LIMITS.patience_seconds)
    assert scene.gave_up == 1


def test_after_stop_nothing_is_watched() -> None:
    scene = Scene()
    scene.pace.start()
    scene.pace.stop()
    scene.loop.wait(10 * LIMITS.patience_seconds)
    assert scene.gave_up == 0


class Answer(asyncio.WriteTransport):
    """What waits to be sent to a client."""

    def __init__(self) -> None:
        super().__init__()
        loop: Any = Loop()
        self.loop: Loop = loop
        self.waiting = 1000
        self.aborted = 0
        wide: asyncio.AbstractEventLoop = loop
        self.unread = Unread(wide, self, LIMITS.unread_seconds)

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def abort(self) -> None:
        self.aborted += 1


def test_who_reads_a_little_is_not_cut_off() -> None:
    answer = Answer()
    for _ in range(10):
        answer.waiting -= 1
        answer.loop.wait(LIMITS.unread_seconds)
    assert answer.aborted == 0
    answer.loop.wait(LIMITS.unread_seconds)
    assert answer.aborted == 1
    answer.loop.wait(10 * LIMITS.unread_seconds)
    assert answer.aborted == 1


def test_who_has_read_is_not_watched_any_more() -> None:
    answer = Answer()
    answer.unread.stop()
    answer.loop.wait(10 * LIMITS.unread_seconds)
    assert answer.aborted == 0
