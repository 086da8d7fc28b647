import errno
import socket
import ssl

import pytest

from lading.client.errors import (
    LIMITS,
    LONGEST_WAIT,
    Again,
    Unreachable,
    Untrusted,
    asked_wait,
    judge,
    unreachable,
)
from lading.protocol.errors import (
    CATALOGUE,
    ChunkConflict,
    LadingError,
    QuotaExceeded,
    StorageFull,
    Unauthorized,
    Unavailable,
)


@pytest.mark.parametrize("kind", [Unavailable, StorageFull, Unreachable])
def test_what_may_pass_is_tried_with_patience(kind: type[LadingError]) -> None:
    again = judge(kind())
    assert (again.limit, again.after, again.renew) == (None, 0.0, False)


def test_what_a_fresh_look_may_cure_is_tried_a_few_times() -> None:
    assert judge(ChunkConflict()).limit == 3


def test_a_refused_credential_wants_a_new_one() -> None:
    assert judge(Unauthorized()).renew


def test_what_no_attempt_changes_is_raised() -> None:
    error = QuotaExceeded()
    with pytest.raises(QuotaExceeded) as raised:
        judge(error)
    assert raised.value is error


def test_a_sign_to_try_again_stays_one() -> None:
    again = Again(Unreachable(), limit=2)
    assert judge(again) is again


def test_limits_name_codes_of_the_protocol() -> None:
    assert set(LIMITS) <= set(CATALOGUE)


@pytest.mark.parametrize(
    ("asked", "wait"),
    [(3, 3.0), (0.5, 0.5), (-1, 0.0), (10**9, LONGEST_WAIT), ("3", 0.0), (None, 0.0)],
)
def test_what_the_server_asks_to_wait(asked: object, wait: float) -> None:
    assert asked_wait(Unavailable(retry_after=asked)) == wait


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed"), "connection refused"),
        (socket.gaierror(-2, "Name or service not known"), "unknown host"),
        (TimeoutError(), "no answer in time"),
        (ConnectionResetError(), "connection lost"),
        (EOFError(), "connection lost"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "Network is unreachable"),
        (ValueError("odd."), "odd"),
        (ValueError(), "ValueError"),
    ],
)
def test_reasons_in_words(cause: Exception, reason: str) -> None:
    wrapped = RuntimeError("wrapped")
    wrapped.__cause__ = cause
    error = unreachable("http://host", wrapped if isinstance(cause, OSError) else cause)
    assert isinstance(error, Unreachable)
    assert str(error) == f"The server at http://host cannot be reached: {reason}."


def test_a_bad_certificate_is_no_matter_of_patience() -> None:
    cause = ssl.SSLCertVerificationError()
    cause.verify_message = "self-signed certificate"
    error = unreachable("https://host", cause)
    assert isinstance(error, Untrusted)
    assert "self-signed certificate" in str(error)
    with pytest.raises(Untrusted):
        judge(error)
