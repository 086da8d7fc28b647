"""One HTTP connection: uvicorn's httptools protocol with bounded time and memory.

It adds deadlines for headers, bodies and answers, a cap on headers, and a clean end for a request
that was answered before its body arrived in whole. It refuses what RFC 9112 tells a server to
refuse (`request_head.py`), and each refusal is a problem document that allowed pages can read. The
hooks are those of uvicorn 0.54; `tests/server/net/test_http_protocol.py` fails when they move.
Source: facts of the design, "uvicorn"; page 5, security list, item 12.
"""

from __future__ import annotations

from asyncio import TimerHandle, Transport
from collections.abc import Mapping
from functools import partial
from typing import Any, cast

import httptools
from starlette.responses import Response
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from lading.protocol.errors import (
    InvalidArgument,
    LadingError,
    RequestTimeout,
    ShuttingDown,
    TooManyConnections,
)
from lading.server.net.bounds import Bounds
from lading.server.net.cross_origin import answer_fields, preflight_fields
from lading.server.net.problems import problem_response
from lading.server.net.record import HEADER, ID, Record, choose_id, known, new_id, record_of
from lading.server.net.request_head import BadHead, check_head, is_handshake
from lading.server.net.slow_clients import ClosesUnread, SlowClientTimer
from lading.server.net.websocket_protocol import ChannelProtocol

INTERIM = {104: "Upload Resumption Supported"}
"""The reasons of interim answers."""


class RequestProtocol(ClosesUnread, HttpToolsProtocol):
    """One HTTP connection with its time and memory bounded."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: Any = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._bounds: Bounds = app_state["bounds"]
        self._limits = self._bounds.limits
        self._arrived = 0
        self._header_bytes: int | None = 0
        self._header_timer: TimerHandle | None = None
        self._linger_timer: TimerHandle | None = None
        self._refused = False
        self._overloaded = False
        self._method = b""
        self._begun = self.loop.time()
        """When the connection or the last request began."""
        self._framing_bytes = 0
        """Bytes since the last byte of a body: sizes and extensions of chunks, trailers."""
        self._pace = SlowClientTimer(
            self.loop,
            self._limits,
            arrived=lambda: self._arrived,
            paused=lambda: self.flow.read_paused,
            pressed=self._bounds.budget.pressed,
            too_slow=self._body_too_slow,
        )

    # -- the connection

    # The type is uvicorn's own; asyncio's is wider.
    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        connection_counts = self._bounds.connection_counts
        connection_counts.note_connections(len(self.connections))
        if connection_counts.connections > self._bounds.max_connections:
            self.connections.discard(self)  # or those that are refused would keep others out
            connection_counts.note_connections(len(self.connections))
            self._overloaded = True
        # A refusal waits for the headers, too: they say who may read it.
        limits = self._limits
        self._await_headers(limits.linger_seconds if self._overloaded else limits.header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._quiet()
        super().connection_lost(exc)
        self._bounds.connection_counts.note_connections(len(self.connections))

    def handle_websocket_upgrade(self) -> None:
        self._quiet()
        super().handle_websocket_upgrade()
        protocol = self.transport.get_protocol()
        assert isinstance(protocol, ChannelProtocol)
        protocol.receive_in_place()

    def _quiet(self) -> None:
        self._pace.stop()
        for timer in (self._header_timer, self._linger_timer):
            if timer is not None:
                timer.cancel()
        self._header_timer = self._linger_timer = None

    # -- headers

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._arrived += len(data)
        if self._header_bytes is None:
            self._framing_bytes += len(data)
        else:
            self._header_bytes += len(data)
        self._unset_keepalive_if_required()
        self._feed(data)
        most = self._limits.max_header_bytes
        if max(self._header_bytes or 0, self._framing_bytes) > most:
            self._refuse(InvalidArgument(f"The headers may have at most {most} bytes."), 431)

    def _feed(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as end:
                if self._refused:
                    return
                if self._should_upgrade():
                    self.handle_websocket_upgrade()
                    return
                data = data[end.args[0] :]  # an Upgrade that was ignored; others may follow
            except httptools.HttpParserError:
                self._refuse(InvalidArgument("This is not a valid request of HTTP/1.1 (RFC 9112)."))
                return

    def _should_upgrade(self) -> bool:
        return is_handshake(self.parser.get_method(), self.headers)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._method = b""
        self._begun = self.loop.time()
        # What a long response waits for before it takes the next piece; ASGI allows further keys.
        scope = cast(dict[str, Any], self.scope)
        scope["lading.sent"] = self.flow.drain
        # What ASGI has no way for: answers before the last one, and the trailers of a body.
        scope["lading.interim"] = partial(self._send_interim, scope)
        scope["lading.trailers"] = []
        if self._header_timer is None:
            self._await_headers(self._limits.header_seconds)

    def _await_headers(self, seconds: float) -> None:
        self._header_bytes = 0
        self._header_timer = self.loop.call_later(seconds, self._headers_too_slow, seconds)

    def _headers_too_slow(self, seconds: float) -> None:
        if self._overloaded:
            self._refuse(TooManyConnections(), 503)
        else:
            self._refuse(RequestTimeout(f"The headers took longer than {seconds:g} seconds."))

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._header_bytes is not None:
            super().on_header(name, value)
        else:
            # A trailer: it must not be taken for a header (RFC 9110, section 6.5.1).
            cast(dict[str, Any], self.scope)["lading.trailers"].append((name.lower(), value))

    def _send_interim(self, scope: object, status: int, headers: Mapping[str, str]) -> None:
        """Send an interim answer to the request of a scope, while it has none (RFC 9110, 15.2)."""
        cycle = self.cycle
        if cycle is None or cycle.scope is not scope or cycle.response_started or self._refused:
            return
        if self.transport.is_closing() or cycle.scope["http_version"] != "1.1":
            return
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"HTTP/1.1 {status} {INTERIM.get(status, '')}\r\n{fields}\r\n"
        self.transport.write(head.encode("latin-1"))

    def on_headers_complete(self) -> None:
        if self._refused:
            return
        self._header_bytes, self._framing_bytes = None, 0
        cast(dict[str, Any], self.scope)[ID] = choose_id(self.headers)
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None
        self._method = self.parser.get_method()
        if self._overloaded:
            self._refuse_overloaded()
            return
        try:
            check_head(self.parser.get_http_version(), self.url, self.headers)
        except BadHead as error:
            self._refuse(InvalidArgument(str(error)), error.status)
            return
        super().on_headers_complete()
        self._pace.start()

    # -- bodies

    def on_body(self, body: bytes) -> None:
        self._framing_bytes = 0
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._refused:
            return
        self._pace.stop()
        if self._linger_timer is not None:
            self._linger_timer.cancel()
            self._linger_timer = None
        super().on_message_complete()

    def _body_too_slow(self) -> None:
        if self.cycle.response_started:
            self.transport.close()
        else:
            self._refuse(RequestTimeout("The body came too slowly."))

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.more_body and not self.transport.is_closing():
            # Answered before the body came in whole: a socket closed with bytes unread would be
            # reset, and the reset may overtake the answer; so the rest is thrown away for a while.
            self._linger()

    # -- refusing below the application

    def _refuse(self, error: LadingError, status: int | None = None) -> None:
        fields = answer_fields(self._origin(), self._bounds.origins)
        scope = cast(dict[str, Any], self.scope or {})
        request_id = scope.get(ID) or choose_id(self.headers or ())
        self._end_with(problem_response(error, status, fields, request_id), error.code)

    def _refuse_overloaded(self) -> None:
        asked = any(name == b"access-control-request-method" for name, _ in self.headers)
        fields = preflight_fields(self._origin(), self._bounds.origins)
        if self._method == b"OPTIONS" and asked and fields:
            # Only then does the page send the request whose refusal it can read.
            self._end_with(Response(status_code=204, headers=fields))
        else:
            self._refuse(TooManyConnections(), 503)

    def _origin(self) -> str | None:
        found = [value for name, value in self.headers or () if name == b"origin"]
        return found[0].decode("latin-1") if len(found) == 1 else None

    def _end_with(self, response: Response, code: str | None = None) -> None:
        self._refused = True
        self._quiet()
        if self.transport.is_closing():
            return
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if not cycle.more_body:
                cycle.keep_alive = False  # an earlier request, whose answer must not be cut
                return
            if self.pipeline:
                # It is the last that waits for the answers to earlier ones: it never begins.
                self.pipeline.popleft()
                if self.pipeline:
                    self.cycle = self.pipeline[0][0]
                    self.cycle.keep_alive = False
                return
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started:
                self.transport.close()
                return
            record = record_of(cast(dict[str, Any], self.scope))
            record.status, record.code, record.settled = response.status_code, code, True
        else:
            self._report(response, code)
        response.headers["Connection"] = "close"
        headers = b"".join(b"%b: %b\r\n" % field for field in response.raw_headers)
        body = b"" if self._method == b"HEAD" else bytes(response.body)
        self.transport.write(b"HTTP/1.1 %d \r\n%b\r\n%b" % (response.status_code, headers, body))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._linger()

    def _report(self, response: Response, code: str | None) -> None:
        """Report a request that the application, which reports all others, has not seen."""
        method = self._method.decode("latin-1")
        self._bounds.observe(
            Record(
                request_id=response.headers.get(HEADER) or new_id(),
                method=known(method),
                status=response.status_code,
                code=code,
                seconds=self.loop.time() - self._begun,
                sent=len(response.body),
            )
        )

    def _linger(self) -> None:
        self._linger_timer = self.loop.call_later(self._limits.linger_seconds, self.transport.close)

    def give_up(self) -> None:
        """End for a server that goes: tell so where no answer began, else cut the answer."""
        if self._refused:
            return  # told already, and closed soon
        if self.cycle is None or self.cycle.response_started or self.pipeline:
            self.transport.abort()
        else:
            self._refuse(ShuttingDown("Send it again; another server or the next one takes it."))

    def eof_received(self) -> None:
        if self._refused:
            self.transport.close()
