"""The choice between WebSocket and plain HTTP, for all uploads of one client.

WebSocket comes first. Plain HTTP is used when the network refuses the WebSocket handshake, or when
two WebSocket connections in a row carried nothing. After some minutes, or when plain HTTP carries
nothing either, WebSocket is tried again.
"""

from __future__ import annotations

import math

from lading.client.backoff import Timing

MOST_MISSES = 2
HTTP_SECONDS = 300.0
"""After so long over plain HTTP, new connections try WebSocket again."""


class Transport:
    """Remembers which way works. With `only`, `ws` or `http`, there is no other."""

    def __init__(self, timing: Timing, only: str | None = None) -> None:
        self._timing = timing
        self._only = only
        self._misses = 0
        self._http_until = math.inf if only == "http" else -math.inf

    @property
    def is_http(self) -> bool:
        """Whether the next attempt goes by plain HTTP."""
        return self._timing.clock() < self._http_until

    def missed(self, *, blocked: bool = False) -> bool:
        """An attempt carried nothing; `blocked` if the network refused the WebSocket handshake.

        Returns whether the next attempt goes by plain HTTP.
        """
        if self._only is not None:
            return self.is_http
        if self.is_http:
            self._http_until = -math.inf
            return False
        self._misses += 1
        if blocked or self._misses >= MOST_MISSES:
            self._misses = 0
            self._http_until = self._timing.clock() + HTTP_SECONDS
        return self.is_http

    def works(self) -> None:
        """The present way carried something."""
        self._misses = 0
