"""How slow a sender may be: a deadline that moves while bytes come.

It owns the one rule that headers, bodies and messages share. It refuses to know what arrives.
Source: page 5 of the design, security list, item 12.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable

PATIENCE_SECONDS = 20.0
"""How often it is looked whether enough has come."""

SLOWEST = 1024
"""Bytes a second that must come on the average of that time: a tenth of the slowest modem."""

SLOWEST_PRESSED = 16 * 1024
"""The same while others wait for the memory that is held: a piece of 1 MiB in about a minute."""


class Pace:
    """Calls `too_slow` when fewer bytes come than `SLOWEST` allows, unless it is we who pause.

    `arrived` tells the bytes that came so far, `paused` whether we do not read at the moment, and
    `pressed` whether others wait for what the sender holds: then `SLOWEST_PRESSED` counts.
    """

    def __init__(
        self,
        loop: AbstractEventLoop,
        *,
        arrived: Callable[[], int],
        paused: Callable[[], bool],
        pressed: Callable[[], bool],
        too_slow: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._arrived = arrived
        self._paused = paused
        self._pressed = pressed
        self._too_slow = too_slow
        self._timer: TimerHandle | None = None

    def start(self) -> None:
        """Watch from now on."""
        self.stop()
        self._arm()

    def stop(self) -> None:
        """Watch no longer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        before, paused = self._arrived(), self._paused()

        def look() -> None:
            self._timer = None
            least = PATIENCE_SECONDS * (SLOWEST_PRESSED if self._pressed() else SLOWEST)
            if paused or self._paused() or self._arrived() - before >= least:
                self._arm()
            else:
                self._too_slow()

        self._timer = self._loop.call_later(PATIENCE_SECONDS, look)
