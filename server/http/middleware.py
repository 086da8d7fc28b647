"""What every request passes before the routes: its record, the Host allow-list, and CORS.

A Host that is not ours means that a foreign DNS name led a browser here. Source: page 5 of the
design, security list, items 1 and 13.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lading.protocol.errors import Internal, InvalidArgument, NotFound
from lading.protocol.spec import ID as UPLOAD_ID
from lading.server.hooks import Hooks
from lading.server.net.cross_origin import METHODS, SENT, SHOWN
from lading.server.net.problems import problem_response
from lading.server.net.record import (
    HEADER,
    ID,
    OPEN,
    RECORD,
    REST,
    TEMPLATE,
    Record,
    choose_id,
    known,
    record_of,
    set_current,
)
from lading.server.settings import Settings

METRICS = "/metrics"

HOME = ("localhost", "127.0.0.1", "::1")


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
    """Gives each request and channel an id and a record, and reports it when it has ended."""

    def __init__(self, app: ASGIApp, hooks: Hooks) -> None:
        self._app = app
        self._hooks = hooks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        request_id = scope.get(ID) or choose_id(scope["headers"])
        record = scope[RECORD] = Record(
            request_id=request_id, method=known(scope.get("method", "GET"))
        )
        set_current(request_id)
        self._hooks.arrived(scope["headers"], scope["type"] == "websocket")
        watched = _Watched(self._hooks, record, scope, receive, send)
        await watched.through(partial(self._app, scope, watched.receive, watched.send))


class _Watched:
    """A request or channel whose record is kept. Closures would take four times as much memory."""

    __slots__ = ("_hooks", "_receive", "_record", "_scope", "_send", "_start", "_transport")

    def __init__(
        self, hooks: Hooks, record: Record, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._hooks = hooks
        self._record = record
        self._scope = scope
        self._transport = scope["type"]
        self._receive = receive
        self._send = send
        self._start = time.perf_counter()

    async def through(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do the work, and report it; if it leaves a rest, that is reported when it has ended."""
        rest: Callable[[], Awaitable[None]] | None = None
        try:
            await work()
            rest = self._scope.get(REST)
        except Exception:
            self._record.code = self._record.code or Internal.code
            raise
        finally:
            if rest is None:
                self._report()
        if rest is not None:
            self._scope[REST] = partial(self.through, rest)

    def _report(self) -> None:
        record = self._record
        record.seconds = time.perf_counter() - self._start
        record.route = self._scope.get(TEMPLATE, "")
        record.upload_id = record.upload_id or _upload_in_path(self._scope, record.route)
        self._hooks.request(record)

    async def receive(self) -> Message:
        message = await self._receive()
        before = self._record.received
        _note_received(self._record, message)
        self._hooks.traffic(self._transport, self._record.received - before, 0)
        return message

    async def send(self, message: Message) -> None:
        before = self._record.sent
        _note_sent(self._record, message)
        self._hooks.traffic(self._transport, 0, self._record.sent - before)
        await self._send(message)


def _note_received(record: Record, message: Message) -> None:
    if message["type"] == "http.request":
        record.received += len(message.get("body", b""))
    elif message["type"] == "websocket.receive":
        record.received += len(message.get("bytes") or message.get("text") or b"")
    elif message["type"] == "websocket.disconnect" and record.close_code is None:
        record.close_code = message.get("code", 1005)


def _note_sent(record: Record, message: Message) -> None:
    match message["type"]:
        case "http.response.start" | "websocket.http.response.start":
            if not record.settled:
                record.status = message["status"]
            _name(record, message)
        case "http.response.body" | "websocket.http.response.body":
            record.sent += len(message.get("body", b""))
        case "websocket.send":
            record.sent += len(message["bytes"])
        case "websocket.accept":
            record.status, record.channel = 101, True
            _name(record, message)
        case "websocket.close" if record.channel:
            record.close_code = message.get("code", 1000)


def _name(record: Record, message: Message) -> None:
    """Put the id into the answer, in place of one that was kept with a stored answer."""
    name = HEADER.lower().encode()
    kept = [field for field in message.get("headers", ()) if field[0].lower() != name]
    message["headers"] = [*kept, (name, record.request_id.encode())]


def _upload_in_path(scope: Scope, route: str) -> str | None:
    """The upload or file that the address names."""
    found = scope.get("path_params", {}).get("id", "")
    others = ("/v1/grants/", "/v1/sessions/")
    is_one = not route.startswith(others) and UPLOAD_ID.fullmatch(found)
    return found if is_one else None


class MetricsGate:
    """The port of the metrics serves nothing else, and asks for no credential.

    Prometheus finds its targets by address, so their names are not compared with a list either.
    """

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._port = port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or (scope.get("server") or ("", 0))[1] != self._port:
            await self._app(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] == METRICS:
            scope[OPEN] = True
            await self._app(scope, receive, send)
        else:
            record_of(scope).code = NotFound.code
            await problem_response(NotFound("This port has only /metrics."))(scope, receive, send)


class HostGate:
    """Refuses requests and connections with other hosts than ours."""

    def __init__(self, app: ASGIApp, names: frozenset[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_open = scope["type"] == "lifespan" or scope.get(OPEN)
        if is_open or self._is_ours(Headers(scope=scope).get("host", "")):
            await self._app(scope, receive, send)
            return
        error = InvalidArgument("This Host is not allowed; see LADING_ALLOWED_HOSTS.")
        record_of(scope).code = error.code
        await problem_response(error)(scope, receive, send)

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name in self._names


def middleware(settings: Settings, hooks: Hooks | None = None) -> list[Middleware]:
    """The middleware of the application, outermost first."""
    stack = []
    if hooks is not None:
        stack.append(Middleware(Observer, hooks=hooks))
    if settings.metrics_port is not None:
        stack.append(Middleware(MetricsGate, port=settings.metrics_port))
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
