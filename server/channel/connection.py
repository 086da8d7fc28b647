"""One channel: feeds the events of a WebSocket connection to a receiver, carries out its effects.

Messages leave in order, one at a time. All other work runs in tasks, so that a slow request holds
up no acknowledgement and no heartbeat. The rules of the protocol are in `protocol/receiver`.
Source: page 3 of the design.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect

from lading.protocol import effects as e
from lading.protocol.codec import decode_client, encode
from lading.protocol.errors import LadingError, Unauthorized
from lading.protocol.messages import OVERHEAD, Chunk, Closed
from lading.protocol.readable import show_client, show_server
from lading.protocol.receiver import Receiver
from lading.server.channel.credential import Credential
from lading.server.channel.requests import Requests
from lading.server.channel.socket import Socket
from lading.server.net.byte_budget import Reservation, Throttle
from lading.server.net.record import record_of
from lading.server.services import Services
from lading.version import VERSION

log = structlog.get_logger()

Work = Callable[..., Coroutine[Any, Any, None]]


def first_window(server: Services) -> int:
    """The credit that a connection begins with, in bytes."""
    return server.limits.channel.window_chunks * (server.max_message - OVERHEAD)


class Channel:
    """One connection after its upgrade."""

    __slots__ = (
        "_alarm",
        "_arrived",
        "_chunk",
        "_credential",
        "_debug",
        "_finishing",
        "_first_window",
        "_gone",
        "_last_message",
        "_limits",
        "_loop",
        "_news",
        "_receiver",
        "_requests",
        "_reservation",
        "_server",
        "_socket",
        "_throttle",
        "_turn",
        "_websocket",
    )

    def __init__(self, websocket: WebSocket, server: Services) -> None:
        self._websocket = websocket
        self._server = server
        self._limits = server.limits.channel
        self._loop = asyncio.get_running_loop()
        self._socket: Socket | None = websocket.scope.get("lading.connection")
        self._chunk = server.max_message - OVERHEAD
        self._first_window = first_window(server)
        self._receiver = Receiver(
            self._loop.time(),
            window=self._first_window,
            max_chunk_size=self._chunk,
            server=f"lading/{VERSION}",
            limits=server.limits.receiver,
        )
        self._credential = Credential(websocket, server, self._socket)
        self._requests = Requests(
            server,
            self._receiver,
            self._credential,
            self._socket,
            record_of(websocket.scope),
            now=self._loop.time,
            flush=self._spawn_flush,
        )
        self._turn = asyncio.Lock()
        self._news: asyncio.Event | None = None
        self._reservation: Reservation | None = None
        self._finishing: list[asyncio.Task[None]] = []
        self._gone = False
        self._debug: bool = log.is_enabled_for(logging.DEBUG)
        self._arrived = 0
        self._throttle = Throttle(self._limits.messages_a_second)
        self._last_message = self._loop.time()
        self._alarm = self._loop.call_at(self._receiver.deadline(), self._ring)

    # -- messages in

    async def run(self) -> None:
        """Serve until either side closes."""
        self._server.channels.add(self)
        try:
            while await self._take(await self._websocket.receive()):
                pass
        except WebSocketDisconnect:
            pass
        finally:
            self._gone = True
            self._server.channels.discard(self)
            self._server.windows.note(self, grown=False)
            self._credential.leave()
            self._alarm.cancel()
            self._let_go()
            for task in self._finishing:
                task.cancel()

    async def _take(self, message: Message) -> bool:
        """Take one message; False at the end."""
        if message["type"] == "websocket.disconnect":
            return False
        self._last_message = self._loop.time()
        self._reservation = message.get("lading.reservation")
        delay = self._throttle.delay(self._last_message)
        if delay > 0:
            await asyncio.sleep(delay)
        try:
            data = message.get("bytes")
            if data is None:
                self._receiver.text()
            else:
                if len(data) > OVERHEAD:
                    await self._take_share(len(data))
                decoded = decode_client(data)
                if isinstance(decoded, Chunk):
                    await self._take_share(max(len(data), self._limits.least_share))
                if self._debug:
                    log.debug("message", line=show_client(decoded))
                self._receiver.most = self._server.windows.most(self)
                self._receiver.receive(decoded, self._loop.time())
                self._note_window()
                del decoded
        except LadingError as error:
            self._receiver.unreadable(error)
        del message, data
        await self._flush()
        self._let_go()
        while self._receiver.busy and not self._gone:
            self._news = asyncio.Event()  # it takes 700 bytes, so only while it is waited for
            await self._news.wait()
            self._news = None
        return not self._gone

    async def _take_share(self, size: int) -> None:
        """Wait for a share of the byte budget, unless the message came with one."""
        if self._reservation is None:
            principal = self._credential.principal
            owner = principal.user_id if principal else ""
            self._reservation = await self._server.budget.acquire(size, owner)

    def _let_go(self) -> None:
        if self._reservation is not None:
            self._reservation.release()
            self._reservation = None

    # -- time

    def _ring(self) -> None:
        self._listen()
        deadline = self._receiver.deadline()
        if deadline > self._loop.time():
            self._alarm = self._loop.call_at(deadline, self._ring)
        else:
            self._server.spawn(self._tick())

    def _listen(self) -> None:
        """Bytes of a message that is not whole yet break the silence, too."""
        if self._socket is None:
            return
        # While we do not read, the client cannot be blamed for silence.
        paused = self._socket.paused
        self._receiver.heard(self._loop.time() if paused else self._socket.heard_at)

    async def _tick(self) -> None:
        self._receiver.tick(self._loop.time())
        await self._flush()
        self._rearm()

    def _rearm(self) -> None:
        self._alarm.cancel()
        deadline = self._receiver.deadline()
        if not self._gone and deadline != float("inf"):
            self._alarm = self._loop.call_at(deadline, self._ring)

    # -- what the server reports to all channels

    @property
    def grant_id(self) -> str | None:
        principal = self._credential.principal
        grant = None if principal is None else principal.grant
        return None if grant is None else grant.id

    @property
    def session_id(self) -> str | None:
        principal = self._credential.principal
        return None if principal is None else principal.session_id

    def revoke(self, reason: str) -> None:
        self._receiver.revoked(Unauthorized(reason))
        self._spawn_flush()

    def press(self, pressed: bool) -> None:
        window = self._chunk if pressed else self._first_window
        if window != self._receiver.window:
            self._receiver.set_window(window)
            self._note_window()
            self._spawn_flush()

    def _note_window(self) -> None:
        self._server.windows.note(self, grown=self._receiver.window > self._first_window)

    async def note_activity(self) -> None:
        if self._socket is None or self._socket.arrived == self._arrived:
            return
        self._arrived = self._socket.arrived
        await self._requests.touch()
        await self._flush()

    @property
    def idle(self) -> bool:
        # Pieces sent before GOAWAY was heard may still be on their way, a long one half here.
        heard = self._last_message
        if self._socket is not None:
            if self._socket.paused:
                return False
            heard = max(heard, self._socket.heard_at)
        return self._receiver.idle and self._loop.time() - heard >= self._limits.quiet_seconds

    def drain(self, retry_after: int) -> None:
        self._last_message = self._loop.time()  # the client needs a moment to hear of it
        self._receiver.drain("shutdown", retry_after)
        self._spawn_flush()

    def restart(self) -> None:
        self._receiver.restart("shutdown")
        self._spawn_flush()

    # -- effects

    def _spawn_flush(self) -> None:
        self._server.spawn(self._flush())

    async def _flush(self) -> None:
        """Carry out what the receiver asks for, in order. Only sending takes time here."""
        async with self._turn:
            while pending := self._receiver.effects():
                for effect in pending:
                    await self._carry_out(effect)

    async def _carry_out(self, effect: e.Effect) -> None:
        match effect:
            case e.Send():
                if isinstance(effect.message, Closed):
                    self._requests.forget(effect.message.ref)
                if self._debug:
                    log.debug("message", line=show_server(effect.message))
                await self._send(encode(effect.message))
            case e.Close():
                await self._close(effect)
            case e.Authenticate():
                self._start(self._authenticate, effect)
            case e.Create() | e.Resume():
                if isinstance(effect, e.Create):
                    self._requests.begin(effect)
                self._start(self._requests.open, effect)
            case e.Write():
                reservation, self._reservation = self._reservation, None
                upload = self._requests.upload(effect)
                self._start(self._requests.write, effect, upload, reservation)
            case e.Finish():
                task = self._start(self._requests.finish, effect)
                self._finishing.append(task)
                task.add_done_callback(self._finishing.remove)
            case e.Abort():
                self._start(self._requests.abort, effect)

    def _start(self, work: Work, *asked: Any) -> asyncio.Task[None]:
        return self._server.spawn(self._answer(work, *asked))

    async def _answer(self, work: Work, *asked: Any) -> None:
        """Do some work to its end, and send what comes of it."""
        await work(*asked)
        del asked  # the bytes of a piece
        self._tell()
        await self._flush()

    async def _authenticate(self, effect: e.Authenticate) -> None:
        await self._requests.authenticate(effect)
        self._rearm()

    async def _send(self, data: bytes) -> None:
        if self._gone:
            return
        try:
            await self._websocket.send({"type": "websocket.send", "bytes": data})
        except (WebSocketDisconnect, RuntimeError):
            self._end()

    async def _close(self, effect: e.Close) -> None:
        if self._gone:
            return
        self._end()
        try:
            await self._websocket.close(effect.code, effect.reason)
        except (WebSocketDisconnect, RuntimeError):
            log.debug("closed-before-close", code=effect.code)

    def _end(self) -> None:
        self._gone = True
        self._tell()

    def _tell(self) -> None:
        """There is news for who waits for the receiver."""
        if self._news is not None:
            self._news.set()
