"""Measurement around a maker of pictures: a hook hears of every file and its outcome."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from lading.imaging.ladder import Variant
from lading.imaging.made import Made, Maker, Source
from lading.protocol.errors import LadingError

Observe = Callable[[str, float, int], None]
"""Called with the outcome, the seconds and the number of pictures. The outcome is `made`, the code
of the error, `cancelled`, or `fault` for an error that is not Lading's."""


class Measured:
    """Reports each call to `observe`. `clock` returns seconds and is never set back."""

    def __init__(
        self, inner: Maker, observe: Observe, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._inner = inner
        self._observe = observe
        self._clock = clock

    async def make(self, source: Source, variants: Iterable[Variant]) -> Made:
        """As `Maker.make`."""
        begun, outcome, count = self._clock(), "cancelled", 0
        try:
            made = await self._inner.make(source, variants)
        except LadingError as error:
            outcome = error.code
            raise
        except Exception:
            outcome = "fault"
            raise
        else:
            outcome, count = "made", len(made.pictures)
            return made
        finally:
            self._observe(outcome, self._clock() - begun, count)
