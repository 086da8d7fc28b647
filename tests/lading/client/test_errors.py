import errno
import socket
import ssl

import pytest

from lading.client.errors import Unreachable, Untrusted, unreachable
from lading.client.retry import judge


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
