"""A lease that one process of many holds while it works, and renews.

A process that was paused past its lease does nothing when it wakes.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import suppress

from lading.janitor.sweep import Lost
from lading.protocol.errors import LadingError
from lading.storage.collections.leases import Lease, Leases


def holder_name() -> str:
    """A name for this process that no other one has."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"


class Holding:
    """The lease with a name, for `seconds` at a time. `clock` is the database's."""

    def __init__(
        self,
        leases: Leases,
        name: str,
        *,
        holder: str,
        seconds: float,
        clock: Callable[[], float],
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._leases = leases
        self._name = name
        self._holder = holder
        self._seconds = seconds
        self._clock = clock
        self._steady = steady
        self._lease: Lease | None = None
        self._until = 0.0

    async def take(self) -> bool:
        """Take or renew the lease; False when another process has it. Raises Unavailable."""
        if self._lease is not None and await self._renew():
            return True
        asked = self._steady()
        now = self._clock()
        self._lease = await self._leases.acquire(
            self._name, self._holder, now=now, until=now + self._seconds
        )
        self._until = asked + self._seconds
        return self._lease is not None

    async def _renew(self) -> bool:
        assert self._lease is not None
        asked = self._steady()
        if not await self._leases.renew(self._lease, until=self._clock() + self._seconds):
            self._lease = None
            return False
        self._until = asked + self._seconds
        return True

    async def check(self) -> None:
        """Raise Lost unless the lease is still held, renewing it in its second half."""
        if self._until - self._steady() > self._seconds / 2:
            return
        if self._lease is None or not await self._renew():
            raise Lost

    async def release(self) -> None:
        """Let another process have it at once."""
        if self._lease is not None:
            # No shield: a second cancellation ends this, too. A task of its own would outlive the
            # database's client, and its failure would be nobody's.
            with suppress(LadingError):
                await self._leases.release(self._lease)
