"""What every request passes before the routes: metrics, the Host allow-list, and CORS.

A Host that is not ours means that a foreign DNS name led a browser here. Source: page 5 of the
design, security list, items 1 and 13.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lading.protocol.errors import InvalidArgument
from lading.server.http.endpoints import TEMPLATE
from lading.server.net.problems import problem_response
from lading.server.settings import Settings

Observe = Callable[[str, str, int, float], None]
"""Gets the method, the route's template, the status, and the seconds until the last byte."""

HOME = ("localhost", "127.0.0.1", "::1")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

SENT = (
    "Authorization",
    "Content-Type",
    "Content-Digest",
    "Repr-Digest",
    "If-Match",
    "If-None-Match",
    "If-Range",
    "Range",
    "Idempotency-Key",
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
    """The host names that requests may use; None allows all.

    Without credentials only the names of this machine are allowed, whatever is set. Otherwise a
    page anywhere could reach the server under a name that resolves to loopback.
    """
    if not settings.allowed_hosts and settings.auth != "none":
        return None
    names = {*settings.allowed_hosts, *HOME, settings.host}
    if settings.public_url is not None:
        names.add(urlsplit(settings.public_url).hostname or "")
    return frozenset(name.lower() for name in names)


class Observer:
    """Reports each HTTP request when its response ends.

    The route is a template such as `/v1/files/{id}`, and empty where no route matched. Unusual
    methods are reported as empty, too: a client must not be able to create new time series.
    """

    def __init__(self, app: ASGIApp, observe: Observe) -> None:
        self._app = app
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500  # until a response starts, the request ends as a fault
        start = time.perf_counter()

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            method = scope["method"] if scope["method"] in METHODS else ""
            seconds = time.perf_counter() - start
            self._observe(method, scope.get(TEMPLATE, ""), status, seconds)


class HostGate:
    """Refuses requests and connections with other hosts than ours."""

    def __init__(self, app: ASGIApp, names: frozenset[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._is_ours(Headers(scope=scope).get("host", "")):
            await self._app(scope, receive, send)
            return
        response = problem_response(
            InvalidArgument("This Host is not allowed; see LADING_ALLOWED_HOSTS.")
        )
        await response(scope, receive, send)

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name in self._names


def middleware(settings: Settings, observe: Observe | None = None) -> list[Middleware]:
    """The middleware of the application, outermost first."""
    stack = []
    if observe is not None:
        stack.append(Middleware(Observer, observe=observe))
    names = allowed_hosts(settings)
    if names is not None:
        stack.append(Middleware(HostGate, names=names))
    if settings.allowed_origins:
        stack.append(
            Middleware(
                CORSMiddleware,
                allow_origins=list(settings.allowed_origins),
                allow_methods=list(METHODS),
                allow_headers=list(SENT),
                expose_headers=list(SHOWN),
                max_age=7200,
            )
        )
    return stack
