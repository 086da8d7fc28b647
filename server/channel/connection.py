"""`GET /v1/ws`: the WebSocket channel `lading.v1`.

It owns the admission before the upgrade and the carrying out of what the receiver asks for. It
refuses to know the rules of the protocol: those are in `protocol/receiver.py`.
Source: page 3 of the design.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from lading.protocol import effects
from lading.protocol.codec import decode_client, encode
from lading.protocol.errors import (
    Forbidden,
    Internal,
    InvalidArgument,
    LadingError,
    ShuttingDown,
    TooManyConnections,
    Unauthorized,
)
from lading.protocol.grants import Action
from lading.protocol.manifest import State
from lading.protocol.messages import OVERHEAD, SUBPROTOCOL, Chunk, Closed
from lading.protocol.receiver import Receiver
from lading.server.access.cookie import cookie_token, is_own_origin
from lading.server.access.principal import Principal
from lading.server.net.byte_budget import Reservation, Throttle
from lading.server.net.problems import problem_response
from lading.server.services import Services, services
from lading.server.uploads import OpenUpload, nothing_stored
from lading.server.urls import file_url
from lading.version import VERSION

log = structlog.get_logger()

WINDOW_CHUNKS = 4
"""Pieces a client may have in flight: enough that journal syncs are shared, few enough to wait."""

QUIET_SECONDS = 0.5
"""A draining connection that said nothing for so long has nothing more on its way."""

MESSAGES_A_SECOND = 2000
"""What comes faster waits: nobody's upload needs it, and nobody else's may suffer from it."""

LEAST_SHARE = 4096
"""What the smallest piece counts in the byte budget: on its way it costs a task and a document."""

VERIFYING_SECONDS = 1.0
"""How often a client hears how far the verification is."""

RESUME_SECONDS = 5.0
"""With an expired grant, the time to open an upload that it began."""


async def channel(websocket: WebSocket) -> None:
    """Serve one connection."""
    server = services(websocket)
    refusal = _refusal(websocket, server)
    if refusal is not None:
        # Before an upgrade a full server answers 503: proxies then try another one.
        status = 503 if isinstance(refusal, TooManyConnections) else None
        await websocket.send_denial_response(problem_response(refusal, status))
        return
    await websocket.accept(subprotocol=SUBPROTOCOL)
    await Channel(websocket, server).run()


def _refusal(websocket: WebSocket, server: Services) -> LadingError | None:
    if SUBPROTOCOL not in websocket.scope["subprotocols"]:
        return InvalidArgument(f"Ask for the WebSocket subprotocol {SUBPROTOCOL}.")
    origin = websocket.headers.get("origin")
    if origin is not None and not _is_allowed(origin, websocket, server):
        return Forbidden(f"Pages of {origin[:200]} may not connect here.")
    if server.draining:
        return ShuttingDown()
    return None


def _is_allowed(origin: str, websocket: WebSocket, server: Services) -> bool:
    """The server's own pages, and those of the allow-list, by exact comparison."""
    if origin in server.settings.allowed_origins:
        return True
    return is_own_origin(origin, websocket, server.settings.public_url)


class Arrivals(Protocol):
    """What `server/sockets.py` knows of a connection."""

    arrived: int
    """Bytes that came so far."""
    heard_at: float
    """When bytes came last, on the loop's clock."""
    owner: str | None
    """The user whose connection it is, once that is known: long messages are his."""
    longest: int
    """Bytes of the longest message that an upload which is open here may bring."""

    @property
    def paused(self) -> bool:
        """Whether reading waits for room in the byte budget or for the application."""
        ...

    def forget_handshake(self) -> None:
        """Give up the memory that the headers take."""
        ...


class Channel:
    """One connection: feeds the receiver, carries out its effects in order."""

    def __init__(self, websocket: WebSocket, server: Services) -> None:
        self._websocket = websocket
        self._server = server
        self._loop = asyncio.get_running_loop()
        chunk = server.max_message - OVERHEAD
        self._receiver = Receiver(
            self._loop.time(),
            window=WINDOW_CHUNKS * chunk,
            max_chunk_size=chunk,
            server=f"lading/{VERSION}",
        )
        self._turn = asyncio.Lock()
        self._uploads: dict[int, OpenUpload] = {}
        self._principal: Principal | None = None
        self._counted_as: str | None = None
        self._reservation: Reservation | None = None
        self._finishing: set[asyncio.Task[None]] = set()
        self._gone = False
        self._connection: Arrivals | None = websocket.scope.get("lading.connection")
        self._arrived = 0
        self._throttle = Throttle(MESSAGES_A_SECOND)
        self._last_message = self._loop.time()
        self._alarm = self._loop.call_at(self._receiver.deadline(), self._ring)

    # -- the connection

    async def run(self) -> None:
        """Serve until either side closes."""
        self._server.channels.add(self)
        try:
            while await self._next():
                pass
        except WebSocketDisconnect:
            pass
        finally:
            self._gone = True
            self._server.channels.discard(self)
            if self._counted_as is not None:
                self._server.connection_counts.leave(self._counted_as)
            self._alarm.cancel()
            self._let_go()
            for task in self._finishing:
                task.cancel()

    async def _next(self) -> bool:
        """Take one message; False at the end."""
        message = await self._websocket.receive()
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
                    await self._take_share(max(len(data), LEAST_SHARE))
                self._receiver.receive(decoded, self._loop.time())
                del decoded
        except LadingError as error:
            self._receiver.unreadable(error)
        del message, data
        await self._flush()
        self._let_go()
        return not self._gone

    async def _take_share(self, size: int) -> None:
        """Wait for a share of the byte budget, unless the message came with one."""
        if self._reservation is None:
            owner = self._principal.user_id if self._principal else ""
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
        if self._connection is None:
            return
        # While we do not read, the client cannot be blamed for silence.
        paused = self._connection.paused
        self._receiver.heard(self._loop.time() if paused else self._connection.heard_at)

    async def _tick(self) -> None:
        self._receiver.tick(self._loop.time())
        await self._flush()
        if not self._gone:
            self._rearm()

    def _rearm(self) -> None:
        self._alarm.cancel()
        deadline = self._receiver.deadline()
        if deadline != float("inf"):
            self._alarm = self._loop.call_at(deadline, self._ring)

    async def note_activity(self) -> None:
        if self._connection is None or self._connection.arrived == self._arrived:
            return
        self._arrived = self._connection.arrived
        for ref, upload in list(self._uploads.items()):
            if upload.manifest.state is State.READY:
                continue
            try:
                await self._server.uploads.touch(upload)
            except LadingError as error:
                # Meanwhile the ref may have come to stand for another upload.
                if error.code in ("gone", "not-found") and self._uploads.get(ref) is upload:
                    self._lost(ref, error)
        await self._flush()

    def _lost(self, ref: int, error: LadingError) -> None:
        self._uploads.pop(ref, None)
        self._receiver.lost(ref, error, self._loop.time())

    # -- whose it is

    @property
    def grant_id(self) -> str | None:
        grant = None if self._principal is None else self._principal.grant
        return None if grant is None else grant.id

    def revoke(self) -> None:
        self._receiver.rejected(Unauthorized("The grant was revoked."))
        self._server.spawn(self._flush())

    # -- draining

    @property
    def idle(self) -> bool:
        # Pieces sent before GOAWAY was heard may still be on their way, a long one half here.
        heard = self._last_message
        if self._connection is not None:
            if self._connection.paused:
                return False
            heard = max(heard, self._connection.heard_at)
        return self._receiver.idle and self._loop.time() - heard >= QUIET_SECONDS

    def drain(self, retry_after: int) -> None:
        self._last_message = self._loop.time()  # it takes the client a moment to hear of it
        self._receiver.drain("shutdown", retry_after)
        self._server.spawn(self._flush())

    def restart(self) -> None:
        self._receiver.restart("shutdown")
        self._server.spawn(self._flush())

    # -- effects

    async def _flush(self) -> None:
        """Carry out what the receiver asks for, in order, one at a time."""
        async with self._turn:
            while pending := self._receiver.effects():
                for effect in pending:
                    await self._carry_out(effect)

    async def _carry_out(self, effect: effects.Effect) -> None:
        match effect:
            case effects.Send():
                if isinstance(effect.message, Closed):
                    self._uploads.pop(effect.message.ref, None)
                await self._send(encode(effect.message))
            case effects.Close():
                await self._close(effect)
            case effects.Authenticate():
                await self._authenticate(effect)
            case effects.Create() | effects.Resume():
                await self._open(effect)
            case effects.Write():
                reservation, self._reservation = self._reservation, None
                upload = self._uploads.get(effect.ref)
                self._server.spawn(self._store(effect, upload, reservation))
            case effects.Finish():
                task = self._server.spawn(self._complete(effect))
                self._finishing.add(task)
                task.add_done_callback(self._finishing.discard)
            case effects.Abort():
                self._server.spawn(self._remove(effect))

    async def _send(self, data: bytes) -> None:
        if self._gone:
            return
        try:
            await self._websocket.send({"type": "websocket.send", "bytes": data})
        except (WebSocketDisconnect, RuntimeError):
            self._gone = True

    async def _close(self, effect: effects.Close) -> None:
        if self._gone:
            return
        self._gone = True
        try:
            await self._websocket.close(effect.code, effect.reason)
        except (WebSocketDisconnect, RuntimeError):
            log.debug("closed-before-close", code=effect.code)

    async def _authenticate(self, effect: effects.Authenticate) -> None:
        public_url = self._server.settings.public_url
        try:
            token = effect.token or cookie_token(self._websocket, public_url)
            principal = await self._server.authenticator.principal(token)
            principal.check_action(Action.UPLOAD)
            self._check_same(principal)
        except LadingError as error:
            self._receiver.rejected(error)
            return
        mine = self._server.connection_counts.of(principal.user_id)
        if self._principal is None and mine >= self._server.settings.max_user_connections:
            self._receiver.rejected(TooManyConnections(f"You have {mine} connections open."))
            return
        if self._counted_as is None:
            self._counted_as = principal.user_id
            self._server.connection_counts.enter(principal.user_id)
            if self._connection is not None:
                self._connection.forget_handshake()
                for cached in ("_headers", "_cookies", "_url"):
                    vars(self._websocket).pop(cached, None)
        self._principal = principal
        if self._connection is not None:
            self._connection.owner = principal.user_id
        now, expires, outlived = self._loop.time(), None, principal.grant is not None
        if principal.expires is not None:
            left = principal.expires - self._server.clock()
            expires = now + (RESUME_SECONDS if outlived and left <= 0 else left)
        self._receiver.authenticated(principal.user_id, expires, now, outlived=outlived)
        self._rearm()

    def _check_same(self, principal: Principal) -> None:
        """Raise Forbidden where a grant would replace another credential.

        What is open here belongs to the one before, and pieces are not judged one by one.
        """
        if self._principal is None or principal.grant is None:
            return
        if self._principal.grant is None or self._principal.grant.id != principal.grant.id:
            raise Forbidden("A grant cannot replace another credential; open a new connection.")

    async def _open(self, effect: effects.Create | effects.Resume) -> None:
        assert self._principal is not None
        uploads = self._server.uploads
        try:
            if isinstance(effect, effects.Create):
                upload = await uploads.create(self._principal, effect.spec)
                stored = nothing_stored(upload.manifest)
            else:
                upload, stored = await uploads.resume(self._principal, effect.upload_id)
        except LadingError as error:
            self._receiver.failed(effect.ref, error, self._loop.time())
        except Exception as error:
            self._receiver.failed(effect.ref, _fault(error), self._loop.time())
        else:
            if upload.manifest.state is not State.READY:
                self._uploads[effect.ref] = upload
            if self._connection is not None:
                longest = upload.manifest.chunk_size + OVERHEAD
                self._connection.longest = max(self._connection.longest, longest)
            self._receiver.opened(effect.ref, upload.manifest, stored)

    async def _store(
        self, effect: effects.Write, upload: OpenUpload | None, reservation: Reservation | None
    ) -> None:
        ref, slice_start, size = effect.ref, effect.slice_start, len(effect.data)
        try:
            if upload is None:  # it is finished
                assert self._principal is not None
                upload, _ = await self._server.uploads.resume(self._principal, effect.upload_id)
            written = await self._server.uploads.write(
                upload, slice_start, effect.data, effect.crc32c
            )
        except LadingError as error:
            self._receiver.refused(ref, slice_start, size, error)
            if error.code in ("gone", "not-found"):
                self._lost(ref, error)
        except Exception as error:
            self._receiver.refused(ref, slice_start, size, _fault(error))
        else:
            self._receiver.stored(ref, slice_start, size, written.upload_size)
        finally:
            del effect
            if reservation is not None:
                reservation.release()
        await self._flush()

    async def _complete(self, effect: effects.Finish) -> None:
        assert self._principal is not None
        told = self._loop.time()

        def progress(done: int, total: int) -> None:
            nonlocal told
            if self._loop.time() - told >= VERIFYING_SECONDS:
                told = self._loop.time()
                self._receiver.verifying(effect.ref, done, total)
                self._server.spawn(self._flush())

        try:
            manifest = await self._server.uploads.finish(
                self._principal,
                effect.upload_id,
                effect.size,
                effect.sha256,
                progress=progress,
            )
        except LadingError as error:
            self._receiver.failed(effect.ref, error, self._loop.time())
        except Exception as error:
            self._receiver.failed(effect.ref, _fault(error), self._loop.time())
        else:
            # There may be a thousand finished ones, and nothing more comes to most of them.
            self._uploads.pop(effect.ref, None)
            url = file_url(self._server.settings, manifest.id)
            self._receiver.completed(effect.ref, manifest, url)
        await self._flush()

    async def _remove(self, effect: effects.Abort) -> None:
        assert self._principal is not None
        now = self._loop.time
        try:
            await self._server.uploads.abort(self._principal, effect.upload_id)
        except LadingError as error:
            if error.code in ("gone", "not-found"):
                self._receiver.closed(effect.ref, now())
            else:
                self._receiver.failed(effect.ref, error, now())
        except Exception as error:
            self._receiver.failed(effect.ref, _fault(error), now())
        else:
            self._receiver.closed(effect.ref, now())
        await self._flush()


def _fault(error: Exception) -> LadingError:
    log.error("fault", path="/v1/ws", exc_info=error)
    return Internal()


async def not_an_upgrade(_request: Request) -> Response:
    """What a plain GET of the channel's address is told."""
    raise InvalidArgument("This address speaks WebSocket; connect with an Upgrade request.")
