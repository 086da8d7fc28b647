"""One WebSocket connection: uvicorn's `websockets-sansio` protocol with bounded memory.

It adds a cap on fragments, a share of the byte budget before a long message is read, a place into
which the socket writes it, and a close frame that reaches the client. The hooks are those of
uvicorn 0.54; `tests/server/net/test_websocket_protocol.py` fails when they move.
Source: facts of the design, "uvicorn"; RFC 6455.
"""

from __future__ import annotations

from asyncio import Event, Future, Task, get_running_loop
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Frame

from lading.server.net.bounds import Bounds
from lading.server.net.byte_budget import COPIES, Reservation
from lading.server.net.payload_reader import Connection, Intake
from lading.server.net.record import RECORD, REST, TEMPLATE
from lading.server.net.slow_clients import ClosesUnread, SlowClientTimer

KEPT = ("type", RECORD, TEMPLATE)
"""What of a connection's scope is asked for after its handshake."""


class Inbox:
    """What came for the application, in order. Nobody but the application waits for it.

    It does what uvicorn asks of its `asyncio.Queue`, which takes 3 KiB, empty or not.
    """

    __slots__ = ("_items", "_waiter")

    def __init__(self) -> None:
        self._items: deque[Any] | None = None
        self._waiter: Future[None] | None = None

    def put_nowait(self, item: Any) -> None:
        if self._items is None:
            self._items = deque()
        self._items.append(item)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def empty(self) -> bool:
        return self._items is None

    async def get(self) -> Any:
        while self._items is None:
            self._waiter = get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        item = self._items.popleft()
        if not self._items:
            self._items = None
        return item

    def clear(self) -> list[Any]:
        """Take out all that came; nobody will come for it."""
        items, self._items = self._items, None
        return [*items] if items else []


class Writable:
    """Whether the transport takes what is written; at first it does.

    It does what uvicorn asks of its `asyncio.Event`, which takes 700 bytes whether anybody waits or
    not.
    """

    __slots__ = ("_again",)

    def __init__(self) -> None:
        self._again: Event | None = None
        """Set when the transport takes more; there is one while it does not."""

    def is_set(self) -> bool:
        return self._again is None

    def clear(self) -> None:
        if self._again is None:
            self._again = Event()

    def set(self) -> None:
        again, self._again = self._again, None
        if again is not None:
            again.set()

    async def wait(self) -> None:
        if self._again is not None:
            await self._again.wait()


class ChannelProtocol(ClosesUnread, WebSocketsSansIOProtocol):
    """One WebSocket connection, with its memory bounded."""

    # Also those that uvicorn's class sets: a dictionary of so many takes three times as much.
    __slots__ = (
        "_abandoned",
        "_bounds",
        "_fragments",
        "_limits",
        "_lingering",
        "_pace",
        "_reservation",
        "_withdraw",
        "app",
        "app_state",
        "arrived",
        "asgi_version",
        "client",
        "close_sent",
        "close_timeout",
        "close_timer",
        "config",
        "conn",
        "connections",
        "curr_msg_data_type",
        "default_headers",
        "disconnected",
        "frames",
        "handshake_complete",
        "handshake_initiated",
        "heard_at",
        "initial_response",
        "last_ping_rtt",
        "logger",
        "longest",
        "loop",
        "owner",
        "pending_ping_payload",
        "ping_interval",
        "ping_sent_at",
        "ping_timeout",
        "ping_timer",
        "pong_timer",
        "queue",
        "read_paused",
        "request",
        "response",
        "root_path",
        "scheme",
        "scope",
        "server",
        "tasks",
        "transport",
        "writable",
    )

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
        self.queue: Inbox = Inbox()  # type: ignore[assignment]  # uvicorn's is an Event; it calls nothing else of it
        self.writable: Writable = Writable()  # type: ignore[assignment]  # uvicorn's is an Event; it calls nothing else of it
        self.conn: Connection = Connection(
            self._bounds.places, max_size=self._bounds.max_message, logger=self.conn.logger
        )
        self.app = self._serve
        self.arrived = 0
        self.heard_at = self.loop.time()
        self._fragments = 0
        self._reservation: Reservation | None = None
        self._withdraw: Callable[[], None] | None = None
        self._lingering = False
        self.owner: str | None = None
        """The user whose connection it is, once that is known."""
        self.longest = 0
        """Bytes of the longest message that an upload which is open here may bring."""
        self._abandoned = False
        self._pace: SlowClientTimer | None = None
        """Watches a message that has its share of the budget."""

    # -- bytes in

    def data_received(self, data: bytes) -> None:
        if self._lingering:
            return
        self.arrived += len(data)
        self.heard_at = self.loop.time()
        super().data_received(data)
        self._reserve()

    def receive_in_place(self) -> None:
        """From now on read long payloads into their place."""
        self.transport.set_protocol(Intake(self, self._bounds.places))

    def room(self) -> memoryview | None:
        """Where the next bytes belong, if their place is ready."""
        return self.conn.reader.room

    def payload_received(self, size: int) -> None:
        """So many bytes came into `room`."""
        self.arrived += size
        self.heard_at = self.loop.time()
        if self.conn.reader.fill(size):
            super().data_received(b"")
            self.conn.reader.give_back()
            self._reserve()

    def _reserve(self) -> None:
        """Before a long message is read further, take its share of the budget, or wait for it.

        Not before the application has done with the message before, which may itself wait for a
        share: one that holds a share must never wait for another.
        """
        if self._lingering or self._withdraw is not None or self.read_paused:
            return
        pending = self.conn.reader.pending + sum(map(len, self.frames))
        if pending <= self._limits.free_bytes:
            return
        if self.owner is None:
            self._refuse(1008, "HELLO comes first, and is short")
            return
        # What is longer than any piece may be is read, too, and then refused by name.
        expected = self.longest if pending <= self.longest else self._bounds.max_message
        if self._reservation is not None:
            if not self._reservation.widen(expected):
                self._refuse(1009, "longer than a piece of what is open here, and no room for it")
                return
            self._make_room()
            return
        self._withdraw = self._bounds.budget.ask(expected, self._granted, self.owner)
        if self._reservation is None:
            self.transport.pause_reading()
        else:
            self._withdraw = None

    def _granted(self, reservation: Reservation) -> None:
        waited, self._withdraw, self._reservation = self._withdraw is not None, None, reservation
        if self.disconnected:
            self._release()
            return
        self._make_room()
        # Whoever holds a share must use it: others may be waiting.
        self._watch()
        if waited and not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def _make_room(self) -> None:
        # What is longer than the share was asked for is read in small steps.
        self.conn.reader.make_room(self.longest - sum(map(len, self.frames)))

    def _watch(self) -> None:
        if self._pace is None:
            self._pace = SlowClientTimer(
                self.loop,
                self._limits,
                arrived=lambda: self.arrived,
                paused=lambda: self.paused,
                pressed=lambda: self._bounds.budget.pressed(self.owner),
                too_slow=self._too_slow,
            )
        self._pace.start()

    def _unwatch(self) -> None:
        if self._pace is not None:
            self._pace.stop()
            self._pace = None

    def _too_slow(self) -> None:
        if self._bounds.budget.pressed(self.owner):
            # Not the client's fault: it comes again.
            self._refuse(1001, "too slow while others wait")
        else:
            self._refuse(1008, "message too slow")

    def _release(self) -> None:
        self._unwatch()
        if self._withdraw is not None:
            self._withdraw()
            self._withdraw = None
        if self._reservation is not None:
            self._reservation.release()
            self._reservation = None

    @property
    def paused(self) -> bool:
        """Whether reading waits for room in the byte budget or for the application."""
        return self._withdraw is not None or self.read_paused

    # -- messages in

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if hasattr(self, "scope"):
            scope = cast(dict[str, Any], self.scope)
            scope["lading.connection"], scope[REST] = self, None

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        """Let the application serve the connection, then do what it left to do."""
        await self.config.loaded_app(scope, receive, send)
        rest = scope.pop(REST, None)
        if rest is not None:
            await rest()

    def forget_handshake(self) -> None:
        """What was said to open the connection is needed no more; there may be thousands, idle."""
        del self.app, self.request, self.response
        self.conn.forget_handshake()
        scope = cast(dict[str, Any], self.scope)
        kept = {key: scope[key] for key in KEPT if key in scope}
        scope.clear()
        scope.update(kept, headers=[])

    def handle_ping(self) -> None:
        # A client that pings and does not read would fill memory with pongs.
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()

    def handle_bytes(self, event: Frame) -> None:
        self._fragments = 1
        super().handle_bytes(event)
        event.data = b""  # the parser keeps its last frame until the next one comes

    def handle_text(self, event: Frame) -> None:
        self._fragments = 1
        super().handle_text(event)

    def handle_cont(self, event: Frame) -> None:
        self._fragments += 1
        if self._fragments > self._limits.max_fragments:
            if not self._lingering:
                self._refuse(1008, "too many fragments")
            return
        super().handle_cont(event)
        event.data = b""

    def send_receive_event_to_app(self) -> None:
        reservation, self._reservation = self._reservation, None
        self._unwatch()
        if self._abandoned:
            self.frames = []
            if reservation is not None:
                reservation.release()
            return
        if self.curr_msg_data_type == "text" or self.close_sent or reservation is None:
            if reservation is not None:
                reservation.release()
            super().send_receive_event_to_app()
            return
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        reservation.shrink(len(data) * COPIES)
        # The share travels with the message; the application returns it.
        message: Any = {
            "type": "websocket.receive",
            "bytes": data,
            "lading.reservation": reservation,
        }
        self.queue.put_nowait(message)
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    def receive(self) -> Coroutine[Any, Any, Any]:
        """What came; reading goes on when the application has done with all that came before."""
        if self.read_paused and self.queue.empty():
            self.read_paused = False
            self._reserve()
            if self._withdraw is None and not self.transport.is_closing():
                self.transport.resume_reading()
        return self.queue.get()

    def on_task_complete(self, task: Task[None]) -> None:
        super().on_task_complete(task)
        self._abandoned = True
        for message in self.queue.clear():
            if "lading.reservation" in message:
                message["lading.reservation"].release()

    # -- bytes out

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body":
            # A refusal before the upgrade is an answer too; uvicorn would log that there was none.
            self.handshake_complete = True

    # -- endings

    def _refuse(self, code: int, reason: str) -> None:
        self.conn.fail(code, reason)
        self.handle_parser_exception()

    def handle_parser_exception(self) -> None:
        """Say why, then read nothing more.

        A socket closed with bytes unread is reset, and the reset may overtake the close frame; so
        what still comes is thrown away until the client has closed, for two seconds at most.
        """
        assert self.conn.close_sent is not None
        code, reason = self.conn.close_sent.code, self.conn.close_sent.reason
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.frames = []
        self.conn.reader.give_back()
        self._release()
        self._lingering = self.close_sent = True
        if self.transport.is_closing():
            return
        self.transport.write(b"".join(self.conn.data_to_send()))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.transport.resume_reading()
        self.close_timer = self.loop.call_later(self._limits.linger_seconds, self.transport.close)

    def eof_received(self) -> None:
        if self._lingering:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._bounds.connection_counts.note_connections(len(self.connections))
        self._release()
        self.frames = []
        self.conn.reader.buffer.clear()
        self.conn.reader.give_back()

    def shutdown(self) -> None:
        """Uvicorn's shutdown; by then the application has drained and closed the channels."""
        if not self.writable.is_set():
            # The client does not read: a close would wait for ever behind what was sent before.
            self.transport.abort()
        elif not self._lingering:
            super().shutdown()
