"""The errors that no server sends, as branches of the protocol's error tree."""

from __future__ import annotations

import socket
import ssl

from lading.protocol.errors import LadingError, NotFound


class Unreachable(LadingError):
    code = "unreachable"
    title = "The server cannot be reached."
    retryable = True


class NotALadingServer(NotFound):
    """Something else answered, such as a proxy. It says nothing about files on a Lading server."""


class Untrusted(LadingError):
    code = "untrusted"
    title = "The server's certificate is not trusted."


PROXY_UNAUTHORIZED = 407
"""The HTTP status with which a proxy asks for a credential of its own (RFC 9110, 15.5.8)."""


class ProxyUnauthorized(LadingError):
    code = "proxy-unauthorized"
    title = (
        "The proxy on the way to the server requires a user name and password. Set them in its "
        "address, as in HTTPS_PROXY=http://user:password@proxy:3128."
    )


class NoServer(LadingError):
    code = "no-server"
    title = "No server is given. Set LADING_URL, use --server, or run `lading login`."


class SourceChanged(LadingError):
    code = "source-changed"
    title = "The file changed during the upload."


class SourceFailed(LadingError):
    code = "source-failed"
    title = "The file cannot be read."


class TargetExists(LadingError):
    code = "target-exists"
    title = "The output file already exists."


class TargetFailed(LadingError):
    code = "target-failed"
    title = "The output file cannot be written."


def unreachable(url: str, error: BaseException) -> LadingError:
    """The error for a failed connection, in words instead of system error numbers."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Untrusted(f"The certificate of {url} is not trusted: {cause.verify_message}.")
        # What httpx raises for a refused tunnel tells the status in words only.
        if str(cause).startswith(f"{PROXY_UNAUTHORIZED} "):
            return ProxyUnauthorized()
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
