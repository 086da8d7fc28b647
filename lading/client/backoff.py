"""How long to wait: before the next attempt, and between bytes that must not go too fast.

Attempts: exponential back-off with full jitter, which keeps a thousand clients of a restarted
server from returning at the same moment.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

BASE_SECONDS = 0.2
CAP_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Timing:
    """The sources of time (seconds of a steady clock), sleep and randomness (0 to 1).

    `open_seconds` is how long a WebSocket may take to be opened and welcomed.
    """

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Callable[[], float] = random.random
    open_seconds: float = 10.0


class Backoff:
    """Delays between attempts without progress.

    The n-th delay is drawn evenly from 0 to `base * 2**n` seconds, at most `cap`. Patience runs
    from the first failure after the last progress, so an upload that was quiet for an hour still
    has all of it.
    """

    def __init__(
        self,
        patience: float,
        timing: Timing,
        *,
        base: float = BASE_SECONDS,
        cap: float = CAP_SECONDS,
    ) -> None:
        self.patience = patience
        self.attempts = 0
        self._timing = timing
        self._base = base
        self._cap = cap
        self._since = 0.0

    def delay(self, after: float = 0.0) -> float | None:
        """Seconds to wait now, at least `after`; None when patience has run out."""
        now = self._timing.clock()
        if self.attempts == 0:
            self._since = now
        left = self._since + self.patience - now
        if left <= 0:
            return None
        # The exponent is bounded: a float overflows after about a thousand attempts.
        longest = min(self._cap, self._base * 2.0 ** min(self.attempts, 32))
        self.attempts += 1
        return after + min(self._timing.random() * longest, left)

    def progressed(self) -> None:
        """Something was achieved: the next failure counts as the first one."""
        self.attempts = 0


class Pace:
    """Lets at most `rate` bytes a second pass, on average; None for any number."""

    def __init__(self, rate: float | None, timing: Timing) -> None:
        self._rate = rate
        self._timing = timing
        self._free_at = -math.inf
        self._turn = asyncio.Lock()

    @property
    def limited(self) -> bool:
        return self._rate is not None

    async def wait(self, size: int) -> None:
        """Return when so many bytes may pass. Callers pass in the order in which they came."""
        if self._rate is None:
            return
        async with self._turn:
            now = self._timing.clock()
            delay = self._free_at - now
            self._free_at = max(self._free_at, now) + size / self._rate
            if delay > 0:
                await self._timing.sleep(delay)
