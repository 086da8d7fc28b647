"""What a request asks of its connection beyond ASGI: interim answers, and the trailers of a body.

`server/net/http_protocol.py` offers both in the scope. Other servers do not; then there are none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from starlette.requests import Request

INTERIM = "lading.interim"
"""The key of a scope: a function that sends an interim answer, given its status and headers."""

TRAILERS = "lading.trailers"
"""The key of a scope: the trailers of the body, once it has been read."""

REFUSED = "x-lading-interim"
"""The header by which a proxy that cannot pass interim answers on says so: `off`."""

Send = Callable[[int, Mapping[str, str]], None]


def send_interim(request: Request, status: int, headers: Mapping[str, str]) -> bool:
    """Send an answer that is not the last one (RFC 9110, 15.2); False where nobody can."""
    send = cast("Send | None", request.scope.get(INTERIM))
    if send is None or request.headers.get(REFUSED) == "off":
        return False
    send(status, headers)
    return True


def trailer(request: Request, name: str) -> str | None:
    """A trailer of the body, which must have been read (RFC 9110, 6.5)."""
    found = cast("list[tuple[bytes, bytes]]", request.scope.get(TRAILERS, []))
    values = [value for key, value in found if key == name.lower().encode()]
    return values[0].decode("latin-1") if len(values) == 1 else None
