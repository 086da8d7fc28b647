"""What can go wrong on the client's side alone, as branches of the protocol's error tree.

It owns the errors that no server sends, and `Again`, the sign that an attempt failed in a way in
which the next one may not. It refuses to know how long to wait: that is `backoff.py`.
"""

from __future__ import annotations

import socket
import ssl

from lading.protocol.errors import LadingError, NotFound, Unauthorized

LONGEST_WAIT = 60.0


class Unreachable(LadingError):
    code = "unreachable"
    title = "The server cannot be reached."
    retryable = True


class Stranger(NotFound):
    """No Lading server answered: it says nothing about what there is on one."""


class Untrusted(LadingError):
    code = "untrusted"
    title = "The server's certificate is not trusted."


class NoServer(LadingError):
    code = "no-server"
    title = "No server is given. Set LADING_URL or use --server."


class SourceChanged(LadingError):
    code = "source-changed"
    title = "The file changed while it was being sent."


class SourceFailed(LadingError):
    code = "source-failed"
    title = "The file cannot be read."


class TargetExists(LadingError):
    code = "target-exists"
    title = "The file to write is already there."


class TargetFailed(LadingError):
    code = "target-failed"
    title = "The file cannot be written."


class Again(Exception):
    """An attempt failed with `error`, and another one may succeed.

    `after`: seconds that the server asked to wait. `limit`: how often in a row, without progress,
    before this is a failure after all; None when only patience counts. `renew`: a new credential
    is needed first.
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
"""Errors that a fresh look at the server's list, or an undamaged connection, may cure, and how
often in a row that is tried: another writer met our piece, a broken proxy changed a message."""


def judge(failure: Again | LadingError) -> Again:
    """The failure as a reason to try again; raises it when trying again cannot help."""
    if isinstance(failure, Again):
        return failure
    if isinstance(failure, Unauthorized):
        return Again(failure, limit=LIMITS["internal"], renew=True)
    limit = LIMITS.get(failure.code)
    if limit is None and not failure.retryable:
        raise failure
    return Again(failure, after=asked_wait(failure), limit=limit)


def asked_wait(error: LadingError) -> float:
    """Seconds that the server asked to wait, within reason: it may be anyone's number."""
    after = error.extra.get("retry_after")
    return float(min(max(after, 0), LONGEST_WAIT)) if isinstance(after, int | float) else 0.0


def unreachable(url: str, error: BaseException) -> LadingError:
    """What a failed connection means, in words without numbers of system errors."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Untrusted(f"The certificate of {url} is not trusted: {cause.verify_message}.")
    return Unreachable(f"The server at {url} cannot be reached: {_reason(causes)}.")


def _causes(error: BaseException | None) -> list[BaseException]:
    causes: list[BaseException] = []
    while error is not None and error not in causes:
        causes.append(error)
        error = error.__cause__ or error.__context__
    return causes


def _reason(causes: list[BaseException]) -> str:
    for cause in causes:
        match cause:
            case ConnectionRefusedError():
                return "connection refused"
            case socket.gaierror():
                return "unknown host"
            case TimeoutError():
                return "no answer in time"
            case ConnectionResetError() | BrokenPipeError() | EOFError():
                return "connection lost"
            case OSError(strerror=str(text)) if text:
                return text
    return str(causes[0]).rstrip(".") or type(causes[0]).__name__
