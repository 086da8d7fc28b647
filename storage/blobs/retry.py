"""Retries: an operation that failed for a moment is tried again.

Every operation of a driver means the same when it is done twice, so each may be repeated. For a
driver whose store is far away; the collections of MongoDB repeat their operations themselves. Where
somebody waits, what took long to fail is no trouble of a moment: it is not tried again, so the
failure of a store that hangs is reported soon.

Only `take` cannot be repeated from outside, since its pieces can be read once: a driver repeats
the requests of which it consists.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence

from lading.protocol.errors import Unavailable
from lading.storage.blobs.base import Blobs
from lading.storage.blobs.wrapper import Call, T, Wrapper

PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds before each further try."""

PATIENCE = 10.0
"""Where somebody waits, no further try begins later than so many seconds after the first."""

Sleep = Callable[[float], Awaitable[None]]

_observers: list[Callable[[], None]] = []


def watch_repetitions(observe: Callable[[], None]) -> Callable[[], None]:
    """Let `observe` hear of every repetition of this process; returns what ends that."""
    _observers.append(observe)
    return lambda: _observers.remove(observe)


async def repeat(
    call: Call[T],
    pauses: Sequence[float] = PAUSES,
    sleep: Sleep = asyncio.sleep,
    steady: Callable[[], float] = time.monotonic,
    patience: float = math.inf,
) -> T:
    """Repeat what raises Unavailable, once after each of `pauses`.

    No try begins later than `patience` seconds after the first.
    """
    end = steady() + patience
    for pause in pauses:
        try:
            return await call()
        except Unavailable:
            if steady() + pause > end:
                raise
            await sleep(pause)
            for observe in _observers:
                observe()
    return await call()


class Retried(Wrapper):
    """Repeats what raises Unavailable, once after each of `pauses`; `sleep` waits for seconds."""

    def __init__(
        self,
        inner: Blobs,
        pauses: Sequence[float] = PAUSES,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        super().__init__(inner)
        self._pauses = pauses
        self._sleep = sleep

    async def _around(self, _operation: str, _size: int, call: Call[T], /) -> T:
        return await repeat(call, self._pauses, self._sleep, patience=PATIENCE)
