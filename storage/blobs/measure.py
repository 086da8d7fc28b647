"""Measurement around a driver: a hook hears of every operation, its duration and its outcome."""

from __future__ import annotations

import time
from collections.abc import Callable

from lading.protocol.errors import LadingError
from lading.storage.blobs.base import Blobs
from lading.storage.blobs.wrapper import Call, T, Wrapper

Observe = Callable[[str, float, int, str], None]
"""Called with the operation, its seconds, the bytes that were written or read, and the outcome:
`ok`, the code of the error, `cancelled`, or `fault` for an error that is not Lading's."""


class Measured(Wrapper):
    """Reports each operation to `observe`. `clock` returns seconds and is never set back."""

    def __init__(
        self, inner: Blobs, observe: Observe, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        super().__init__(inner)
        self._observe = observe
        self._clock = clock

    async def _around(self, operation: str, size: int, call: Call[T], /) -> T:
        begun, outcome = self._clock(), "cancelled"
        try:
            found = await call()
        except LadingError as error:
            outcome = error.code
            raise
        except Exception:
            outcome = "fault"
            raise
        else:
            outcome = "ok"
            if isinstance(found, bytes):
                size = len(found)
            return found
        finally:
            self._observe(operation, self._clock() - begun, size, outcome)
