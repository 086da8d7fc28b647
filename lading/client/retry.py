"""The one rule for trying again, used by requests, uploads and downloads.

An attempt that failed is repeated when another one may succeed: after a lost connection, a
refusal that the server calls temporary, an answer of a proxy in between, or a credential that can
be renewed. Between attempts the client waits with exponential back-off and full jitter
(`backoff.py`). It stops when patience runs out, when an error that is not temporary came too often
in a row, or at once when no attempt can help.

Every request of the client may be repeated: it reads, sets a value, deletes, creates something that
expires unless it is used, or carries an `Idempotency-Key`.
"""

from __future__ import annotations

from collections.abc import Callable

from lading.client.address import Credential
from lading.client.backoff import Backoff, Timing
from lading.protocol.errors import LadingError, Unauthorized

LONGEST_WAIT = 60.0
"""Seconds that a server may ask to wait; a longer request is cut to this."""

LIMITS = {
    "chunk-conflict": 3,
    "out-of-bounds": 3,
    "incomplete": 3,
    "already-complete": 3,
    "checksum-mismatch": 3,
    "invalid-message": 5,
    "window-exceeded": 5,
    "internal": 5,
}
"""How often in a row an error is retried that a fresh list of missing ranges, or an undamaged
connection, may cure: another writer stored our piece, or a proxy changed a message."""


class Again(Exception):
    """An attempt failed with `error`, and another one may succeed.

    `after`: seconds that the server asked to wait. `limit`: how often in a row, without progress,
    this may happen before it counts as a failure; None when only patience limits it. `renew`: a
    new credential is needed first.
    """

    def __init__(
        self,
        error: LadingError,
        *,
        after: float = 0.0,
        limit: int | None = None,
        renew: bool = False,
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.after = after
        self.limit = limit
        self.renew = renew


class NoChannel(Again):
    """A WebSocket carried nothing; `blocked` if the network refused its handshake."""

    def __init__(self, error: LadingError, *, blocked: bool = False) -> None:
        super().__init__(error)
        self.blocked = blocked


def judge(failure: Again | LadingError) -> Again:
    """The failure as a reason to try again. Raises it when another attempt cannot help."""
    if isinstance(failure, Again):
        return failure
    if isinstance(failure, Unauthorized):
        return Again(failure, limit=LIMITS["internal"], renew=True)
    limit = LIMITS.get(failure.code)
    if limit is None and not failure.retryable:
        raise failure
    return Again(failure, after=asked_wait(failure), limit=limit)


def asked_wait(error: LadingError) -> float:
    """Seconds that the server asked to wait, from 0 to `LONGEST_WAIT`."""
    after = error.extra.get("retry_after")
    return float(min(max(after, 0), LONGEST_WAIT)) if isinstance(after, int | float) else 0.0


class Retry:
    """The attempts at one thing: a request, an upload, a download.

    Call `wait` after each failure and `progressed` whenever something was achieved. `on_wait` is
    called with the reason before each pause.
    """

    def __init__(
        self,
        patience: float,
        timing: Timing,
        credential: Credential,
        on_wait: Callable[[str], None] = lambda _reason: None,
    ) -> None:
        self._backoff = Backoff(patience, timing)
        self._timing = timing
        self._credential = credential
        self._on_wait = on_wait
        self._limited = 0

    @property
    def patience(self) -> float:
        """Seconds without progress before a temporary error counts as a failure."""
        return self._backoff.patience

    @patience.setter
    def patience(self, seconds: float) -> None:
        self._backoff.patience = seconds

    def progressed(self) -> None:
        """Something was achieved: the next failure counts as the first one again."""
        self._backoff.progressed()
        self._limited = 0

    async def wait(self, failure: Again | LadingError) -> None:
        """Return when it is time for the next attempt. Raises the error when there is none."""
        again = judge(failure)
        self._limited += again.limit is not None
        if again.limit is not None and self._limited > again.limit:
            raise again.error
        if again.renew:
            if not self._credential.renewable:
                raise again.error
            self._credential.forget()
        delay = self._backoff.delay(again.after)
        if delay is None:
            raise again.error
        self._on_wait(str(again.error))
        await self._timing.sleep(delay)
