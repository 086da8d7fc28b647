"""Which names the server answers to, and which pages may call it.

It owns the Host allow-list and the CORS answers. A name that is not ours means that a browser was
led here by somebody else's DNS. Source: page 5 of the design, security list, items 1 and 13.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from lading.protocol.errors import InvalidArgument
from lading.server.net.problems import problem_response
from lading.server.settings import Settings

HOME = ("localhost", "127.0.0.1", "::1")

SENT = (
    "Authorization",
    "Content-Type",
    "Content-Digest",
    "Repr-Digest",
    "If-Match",
    "If-None-Match",
    "If-Range",
    "Range",
    "X-Lading-Crc32c",
)
SHOWN = (
    "Accept-Ranges",
    "Content-Disposition",
    "Content-Range",
    "ETag",
    "Location",
    "Repr-Digest",
    "Retry-After",
)


def allowed_hosts(settings: Settings) -> frozenset[str] | None:
    """The names that requests may use; None when any will do.

    Without a credential only the names of this machine will do, whatever is set: a page anywhere
    could else reach the server under a name that resolves to loopback.
    """
    if not settings.allowed_hosts and settings.auth != "none":
        return None
    names = {*settings.allowed_hosts, *HOME, settings.host}
    if settings.public_url is not None:
        names.add(urlsplit(settings.public_url).hostname or "")
    return frozenset(name.lower() for name in names)


class HostGate:
    """Refuses requests and connections under names that are not ours."""

    def __init__(self, app: ASGIApp, names: frozenset[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._is_ours(Headers(scope=scope).get("host", "")):
            await self._app(scope, receive, send)
            return
        response = problem_response(
            InvalidArgument("The server does not answer to this Host; see LADING_ALLOWED_HOSTS.")
        )
        await response(scope, receive, send)

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name in self._names


def middleware(settings: Settings) -> list[Middleware]:
    """What stands before the routes."""
    stack = []
    names = allowed_hosts(settings)
    if names is not None:
        stack.append(Middleware(HostGate, names=names))
    if settings.allowed_origins:
        stack.append(
            Middleware(
                CORSMiddleware,
                allow_origins=list(settings.allowed_origins),
                allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
                allow_headers=list(SENT),
                expose_headers=list(SHOWN),
                max_age=7200,
            )
        )
    return stack
