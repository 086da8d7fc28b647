"""How slow a client may be: deadlines that move while bytes do.

One rule for the bodies and messages that arrive, one for a client that does not read.
Source: page 5 of the design, security list, item 12.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, Protocol, TimerHandle, Transport, WriteTransport
from collections.abc import Callable

from lading.server.limits import NetLimits
from lading.server.net.bounds import Bounds


class Unread:
    """Ends a connection when for `seconds` nothing of what waits to be sent has gone out.

    Begin when too much waits, and stop when little does.
    """

    def __init__(self, loop: AbstractEventLoop, transport: WriteTransport, seconds: float) -> None:
        self._loop = loop
        self._transport = transport
        self._seconds = seconds
        self._arm()

    def stop(self) -> None:
        """Watch no longer."""
        self._timer.cancel()

    def _arm(self) -> None:
        before = self._transport.get_write_buffer_size()

        def look() -> None:
            if self._transport.get_write_buffer_size() < before:
                self._arm()
            else:
                self._transport.abort()

        self._timer = self._loop.call_later(self._seconds, look)


class ClosesUnread(Protocol):
    """A protocol whose connection ends when its client reads nothing. Goes before uvicorn's own."""

    loop: AbstractEventLoop
    transport: Transport
    _bounds: Bounds
    _unread: Unread | None = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = Unread(self.loop, self.transport, self._bounds.limits.unread_seconds)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._forget_unread()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_unread()
        super().connection_lost(exc)

    def _forget_unread(self) -> None:
        if self._unread is not None:
            self._unread.stop()
            self._unread = None


class SlowClientTimer:
    """Calls `too_slow` when fewer bytes come than `limits.slowest`, unless it is we who pause.

    `arrived` returns the bytes that came so far, `paused` whether we do not read at the moment, and
    `pressed` whether others wait for memory that the sender holds: then `slowest_pressed` counts.
    """

    def __init__(
        self,
        loop: AbstractEventLoop,
        limits: NetLimits,
        *,
        arrived: Callable[[], int],
        paused: Callable[[], bool],
        pressed: Callable[[], bool],
        too_slow: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._limits = limits
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
        limits = self._limits

        def look() -> None:
            self._timer = None
            rate = limits.slowest_pressed if self._pressed() else limits.slowest
            least = limits.patience_seconds * rate
            if paused or self._paused() or self._arrived() - before >= least:
                self._arm()
            else:
                self._too_slow()

        self._timer = self._loop.call_later(limits.patience_seconds, look)
