"""How slow a client may be: deadlines that move while bytes do.

It owns the one rule that bodies and messages share, and the one for those who do not read. It
refuses to know what is sent.
Source: page 5 of the design, security list, item 12.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, Protocol, TimerHandle, Transport, WriteTransport
from collections.abc import Callable

PATIENCE_SECONDS = 20.0
"""How often it is looked whether enough has come."""

SLOWEST = 1024
"""Bytes a second that must come on the average of that time: a tenth of the slowest modem."""

SLOWEST_PRESSED = 16 * 1024
"""The same while others wait for the memory that is held: a piece of 1 MiB in about a minute."""

UNREAD_SECONDS = 60.0
"""How long a client may read nothing of what it is sent; it can ask again from where it was."""


class Unread:
    """Ends a connection when for `UNREAD_SECONDS` nothing of what waits to be sent has gone out.

    Begin when too much waits, and stop when little does.
    """

    def __init__(self, loop: AbstractEventLoop, transport: WriteTransport) -> None:
        self._loop = loop
        self._transport = transport
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

        self._timer = self._loop.call_later(UNREAD_SECONDS, look)


class ClosesUnread(Protocol):
    """A protocol whose connection ends when its client reads nothing. Goes before uvicorn's own."""

    loop: AbstractEventLoop
    transport: Transport
    _unread: Unread | None = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = Unread(self.loop, self.transport)

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
