"""One HTTP connection: uvicorn's httptools protocol with bounded time and memory.

It adds deadlines for headers, bodies and answers, a cap on headers, and a clean end for a request
that was answered before its body arrived in whole. The hooks are those of uvicorn 0.54;
`tests/server/net/test_http_protocol.py` fails when they move.
Source: facts of the design, "uvicorn"; page 5, security list, item 12.
"""

from __future__ import annotations

from asyncio import TimerHandle, Transport
from typing import Any, cast

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
from lading.server.net.problems import problem_response
from lading.server.net.slow_clients import ClosesUnread, SlowClientTimer


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
        self._pace = SlowClientTimer(
            self.loop,
            self._limits,
            arrived=lambda: self._arrived,
            paused=lambda: self.flow.read_paused,
            pressed=self._bounds.budget.pressed,
            too_slow=self._body_too_slow,
        )

    # -- the connection

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        connection_counts = self._bounds.connection_counts
        connection_counts.note_connections(len(self.connections))
        if connection_counts.connections > self._bounds.max_connections:
            self.connections.discard(self)  # or those that are refused would keep others out
            connection_counts.note_connections(len(self.connections))
            self._refuse(TooManyConnections(), 503)
        else:
            self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._quiet()
        super().connection_lost(exc)
        self._bounds.connection_counts.note_connections(len(self.connections))

    def handle_websocket_upgrade(self) -> None:
        self._quiet()
        super().handle_websocket_upgrade()

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
        if self._header_bytes is not None:
            self._header_bytes += len(data)
        super().data_received(data)
        most = self._limits.max_header_bytes
        if self._header_bytes is not None and self._header_bytes > most:
            self._refuse(InvalidArgument(f"The headers may have at most {most} bytes."))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        # What a long response waits for before it takes the next piece; ASGI allows further keys.
        cast(dict[str, Any], self.scope)["lading.sent"] = self.flow.drain
        if self._header_timer is None:
            self._await_headers()

    def _await_headers(self) -> None:
        self._header_bytes = 0
        self._header_timer = self.loop.call_later(
            self._limits.header_seconds, self._headers_too_slow
        )

    def _headers_too_slow(self) -> None:
        seconds = self._limits.header_seconds
        self._refuse(RequestTimeout(f"The headers took longer than {seconds:g} seconds."))

    def on_headers_complete(self) -> None:
        self._header_bytes = None
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None
        super().on_headers_complete()
        self._pace.start()

    # -- bodies

    def on_message_complete(self) -> None:
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
        response = problem_response(error, status, {"Connection": "close"})
        headers = b"".join(b"%b: %b\r\n" % field for field in response.raw_headers)
        self._refused = True
        self._quiet()
        if self.transport.is_closing():
            return
        self.transport.write(
            b"HTTP/1.1 %d \r\n%b\r\n%b" % (response.status_code, headers, bytes(response.body))
        )
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._linger()

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
