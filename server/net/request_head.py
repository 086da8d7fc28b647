"""What a server must refuse, or read differently, in the head of a request (RFC 9112).

The parser (httptools) refuses most of what is malformed. Here is what it lets through.
"""

from __future__ import annotations

import base64
import binascii
import re

Headers = list[tuple[bytes, bytes]]
"""Names are in lower case."""

# RFC 3986, section 3.2: a name, an address in brackets, and perhaps a port.
_HOST = re.compile(rb"(\[[0-9A-Za-z:.%_~-]+\]|[0-9A-Za-z._~!$&'()*+,;=%-]*)(:[0-9]*)?")


class BadHead(Exception):
    """A request that must not be served; `status` is that of its refusal."""

    def __init__(self, detail: str, status: int = 400) -> None:
        super().__init__(detail)
        self.status = status


def check_head(version: str, url: bytes, headers: Headers) -> None:
    """Raise BadHead for a request that must not be served.

    Of a target in absolute form the host takes the place of the field `Host` (section 3.2.2).
    """
    if version not in ("1.0", "1.1"):
        raise BadHead("This server speaks HTTP/1.1.", 505)
    codings = _values(headers, b"transfer-encoding")
    if codings and version == "1.0":
        raise BadHead("Transfer-Encoding needs HTTP/1.1.")  # section 6.1
    if codings and [coding.strip().lower() for coding in codings] != [b"chunked"]:
        raise BadHead("The only Transfer-Encoding that this server reads is chunked.", 501)
    hosts = _values(headers, b"host")
    if (not hosts and version == "1.1") or len(hosts) > 1:
        raise BadHead("A request of HTTP/1.1 has exactly one field Host.")
    if hosts and not _HOST.fullmatch(hosts[0]):
        raise BadHead("The field Host is not a host.")
    scheme, slashes, rest = url.partition(b"://")
    if slashes and not scheme.startswith(b"/"):
        authority = re.split(rb"[/?#]", rest, maxsplit=1)[0].rpartition(b"@")[2]
        headers[:] = [field for field in headers if field[0] != b"host"] + [(b"host", authority)]


def is_handshake(method: bytes, headers: Headers) -> bool:
    """Whether a request opens a WebSocket (RFC 6455, section 4.2.1).

    One that only looks like it is answered as any other request.
    """
    connection = b",".join(_values(headers, b"connection")).lower()
    keys = _values(headers, b"sec-websocket-key")
    return (
        method == b"GET"
        and b"upgrade" in [token.strip() for token in connection.split(b",")]
        and [each.lower() for each in _values(headers, b"upgrade")] == [b"websocket"]
        and _values(headers, b"sec-websocket-version") == [b"13"]
        and len(keys) == 1
        and _is_nonce(keys[0])
    )


def _is_nonce(key: bytes) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except binascii.Error:
        return False


def _values(headers: Headers, wanted: bytes) -> list[bytes]:
    return [value for name, value in headers if name == wanted]
