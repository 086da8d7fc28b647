"""How long to wait before the next attempt, and when to stop trying.

It owns exponential back-off with full jitter, so that a thousand clients of a restarted server do
not come back at the same moment. It refuses to know what is attempted; the clock and the
randomness are handed in.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

BASE_SECONDS = 0.2
CAP_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Timing:
    """Where time (seconds of a steady clock), sleep and chance (0 to 1) come from."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Callable[[], float] = random.random


class Backoff:
    """Delays between attempts without progress.

    The n-th delay is drawn evenly from 0 to `base * 2**n` seconds, at most `cap`. Patience is
    counted from the first failure after the last progress, so that an upload that was quiet for
    an hour has all of it.
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
        # 2**n is bounded by hand: a float overflows after some thousand attempts.
        longest = min(self._cap, self._base * 2.0 ** min(self.attempts, 32))
        self.attempts += 1
        return after + min(self._timing.random() * longest, left)

    def progressed(self) -> None:
        """Something was achieved: the next failure is a first one again."""
        self.attempts = 0
