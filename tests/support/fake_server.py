"""A server under a test's control: the protocol's own receiver over a dictionary.

The protocol and the WebSocket are real; only the store is not, so that a test can make it refuse,
wait and forget. It also answers the lists of the HTTP API; all else by HTTP is 503.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from lading.protocol import effects as e
from lading.protocol.codec import decode_client, encode
from lading.protocol.digests import crc32c
from lading.protocol.errors import ChecksumMismatch, ChunkConflict, LadingError, NotFound
from lading.protocol.manifest import Manifest, Piece, State, coverage, prove
from lading.protocol.messages import SUBPROTOCOL, Chunk, ClientMessage, EarlyPieces, Token
from lading.protocol.receiver import Receiver, ReceiverLimits
from lading.protocol.spec import UploadSpec

KIB = 1024
EPOCH = "1970-01-01T00:00:00.000Z"
Refusal = Callable[[Any], LadingError | None]


def _accept(_effect: Any) -> LadingError | None:
    return None


@dataclass
class Held:
    """One upload."""

    id: str
    spec: UploadSpec
    chunk_size: int
    pieces: dict[int, tuple[int, int, bytes]] = field(default_factory=dict)
    finished: Manifest | None = None

    def index(self) -> list[Piece]:
        return [Piece(start, size, crc) for start, (size, crc, _) in sorted(self.pieces.items())]

    def bytes(self) -> bytes:
        return b"".join(data for _, (_, _, data) in sorted(self.pieces.items()))

    def manifest(self) -> Manifest:
        return self.finished or Manifest(
            id=self.id,
            user_id="tests",
            name=self.spec.name,
            size=self.spec.size,
            chunk_size=self.chunk_size,
            created_at=0,
            updated_at=0,
            expires_at=None,
            directory=self.spec.directory,
            mime_type=self.spec.mime_type or "application/octet-stream",
            tags=self.spec.tags,
            fingerprint=self.spec.fingerprint,
        )


class Fake:
    """The server. The `on_…` functions are called before each act and may refuse it."""

    def __init__(self, *, window: int = 256 * KIB, chunk_size: int = 64 * KIB) -> None:
        self.window = window
        self.chunk_size = chunk_size
        self.heartbeat = 20
        self.early = EarlyPieces(chunk_size, window)
        """Clients offer what servers have by default; with anything else it is as before that."""
        self.keeps_bytes = True
        self.on_authenticate: Refusal = _accept
        self.on_open: Refusal = _accept
        self.on_reopen: Refusal = _accept
        self.on_store: Refusal = _accept
        self.on_complete: Refusal = _accept
        self.on_request: Callable[[str], Response | None] = lambda _path: None
        self.gate = asyncio.Event()
        """Closed, pieces wait for it before they are stored."""
        self.gate.set()
        self.uploads: dict[str, Held] = {}
        self.received: list[ClientMessage] = []
        self.channels: dict[Receiver, ServerConnection] = {}
        self.most_in_flight = 0
        self.bytes_received = 0
        self.connections = 0
        self.port = 0
        self._server: Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # -- running

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await serve(
            self._serve,
            "127.0.0.1",
            self.port,
            subprotocols=[Subprotocol(each) for each in (self.early.subprotocol, SUBPROTOCOL)],
            compression=None,
            max_size=None,
            ping_interval=None,
            process_request=self._request,
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def stop(self) -> None:
        """Stop at once, as after SIGKILL."""
        assert self._server is not None
        self.cut()
        self._server.close()
        await self._server.wait_closed()
        for task in self._tasks:
            task.cancel()

    def cut(self) -> None:
        """Cut all connections without a close frame."""
        for socket in self.channels.values():
            socket.transport.abort()

    async def drain(self, retry_after: int = 0) -> None:
        """GOAWAY on all connections."""
        for receiver, socket in list(self.channels.items()):
            receiver.drain("test", retry_after)
            await self.flush(receiver, socket)

    async def expire(self) -> None:
        """The credential of all connections expires now."""
        for receiver, socket in list(self.channels.items()):
            now = asyncio.get_running_loop().time()
            receiver.receive(Token("of no worth"), now)
            receiver.effects()
            receiver.authenticated("tests", 0.0, 0.0)
            receiver.tick(now)
            await self.flush(receiver, socket)

    @property
    def only(self) -> Held:
        """The one upload that there is."""
        (held,) = self.uploads.values()
        return held

    # -- WebSocket

    async def _serve(self, socket: ServerConnection) -> None:
        now = asyncio.get_running_loop().time
        self.connections += 1
        receiver = Receiver(
            now(),
            window=self.window,
            max_chunk_size=2**20,
            limits=ReceiverLimits(heartbeat=self.heartbeat),
        )
        self.channels[receiver] = socket
        try:
            async for data in socket:
                assert isinstance(data, bytes)
                try:
                    message = decode_client(data)
                except LadingError as error:
                    receiver.unreadable(error)
                else:
                    self._note(message)
                    receiver.receive(message, now())
                self.most_in_flight = max(self.most_in_flight, receiver.in_flight)
                await self.flush(receiver, socket)
        except ConnectionClosed:
            pass
        finally:
            del self.channels[receiver]

    def _note(self, message: ClientMessage) -> None:
        if isinstance(message, Chunk):
            self.bytes_received += len(message.data)
        else:
            self.received.append(message)

    async def flush(self, receiver: Receiver, socket: ServerConnection) -> None:
        try:
            while effects := receiver.effects():
                for effect in effects:
                    await self._carry_out(effect, receiver, socket)
        except ConnectionClosed:
            pass

    async def _carry_out(
        self, effect: e.Effect, receiver: Receiver, socket: ServerConnection
    ) -> None:
        now = asyncio.get_running_loop().time()
        match effect:
            case e.Send():
                await socket.send(encode(effect.message))
            case e.Close():
                # Not awaited: it succeeds only while this connection is still being read.
                self._spawn(socket.close(effect.code, effect.reason))
            case e.Write():
                self._spawn(self._store(effect, receiver, socket))
            case e.Authenticate():
                error = self.on_authenticate(effect.token)
                if error is None:
                    receiver.authenticated("tests", None, now)
                else:
                    receiver.rejected(error)
            case _:
                try:
                    self._do(effect, receiver)
                except LadingError as error:
                    receiver.failed(effect.ref, error, now)

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _do(self, effect: e.Create | e.Resume | e.Finish | e.Abort, receiver: Receiver) -> None:
        match effect:
            case e.Create():
                _check(self.on_open(effect))
                held = self.hold(effect.spec)
                receiver.opened(effect.ref, held.manifest(), coverage([], effect.spec.size))
            case e.Resume():
                _check(self.on_reopen(effect))
                held = self._held(effect.upload_id)
                stored = coverage(held.index(), held.manifest().size)
                receiver.opened(effect.ref, held.manifest(), stored)
            case e.Finish():
                _check(self.on_complete(effect))
                manifest = self._publish(effect)
                receiver.completed(effect.ref, manifest, f"/v1/files/{manifest.id}")
            case e.Abort():
                self.uploads.pop(effect.upload_id, None)
                receiver.closed(effect.ref, asyncio.get_running_loop().time())

    async def _store(self, effect: e.Write, receiver: Receiver, socket: ServerConnection) -> None:
        await self.gate.wait()
        size = len(effect.data)
        try:
            _check(self.on_store(effect))
            held = self._held(effect.upload_id)
            if crc32c(effect.data) != effect.crc32c:
                raise ChecksumMismatch
            before = held.pieces.get(effect.slice_start)
            if before is not None and before[:2] != (size, effect.crc32c):
                raise ChunkConflict
            kept = effect.data if self.keeps_bytes else b""
            held.pieces[effect.slice_start] = size, effect.crc32c, kept
        except LadingError as error:
            receiver.refused(effect.ref, effect.slice_start, size, error)
        else:
            total = sum(piece.size for piece in held.index())
            receiver.stored(effect.ref, effect.slice_start, size, total)
        await self.flush(receiver, socket)

    def hold(self, spec: UploadSpec) -> Held:
        """Begin an upload."""
        held = Held(f"{len(self.uploads) + 1:024x}", spec, spec.chunk_size or self.chunk_size)
        self.uploads[held.id] = held
        return held

    def _held(self, upload_id: str) -> Held:
        if upload_id not in self.uploads:
            raise NotFound
        return self.uploads[upload_id]

    def _publish(self, effect: e.Finish) -> Manifest:
        held = self._held(effect.upload_id)
        if held.finished is None:
            before = held.manifest()
            size = before.size if before.size is not None else effect.size
            assert size is not None
            crc = prove(held.index(), size)
            digest = hashlib.sha256(held.bytes()).hexdigest() if self.keeps_bytes else effect.sha256
            if effect.sha256 not in (None, digest):
                raise ChecksumMismatch
            held.finished = Manifest(
                id=held.id,
                user_id="tests",
                name=before.name,
                size=size,
                chunk_size=before.chunk_size,
                created_at=0,
                updated_at=0,
                expires_at=None,
                directory=before.directory,
                mime_type=before.mime_type,
                upload_end=True,
                state=State.READY,
                sha256=digest,
                crc32c=crc,
                tags=before.tags,
            )
        return held.finished

    # -- HTTP

    def _request(self, _socket: ServerConnection, request: Request) -> Response | None:
        parts = urlsplit(request.path)
        given = self.on_request(parts.path)
        if given is not None or parts.path == "/v1/ws":
            return given
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if parts.path == "/v1/files":
            found = [h for h in self.uploads.values() if h.finished is not None]
            found = [h for h in found if h.spec.name.startswith(query.get("name", ""))]
            return respond({"files": [_shape(h) for h in found], "cursor": None})
        if parts.path == "/v1/uploads":
            found = [h for h in self.uploads.values() if h.finished is None]
            if "fingerprint" in query:
                found = [h for h in found if h.spec.fingerprint == query["fingerprint"]]
            return respond({"uploads": [_shape(h) for h in reversed(found)], "cursor": None})
        # Plain HTTP carries no uploads here: as where a proxy in between is overloaded.
        return from_proxy(503)


def _check(error: LadingError | None) -> None:
    if error is not None:
        raise error


def _shape(held: Held) -> dict[str, Any]:
    manifest = held.manifest()
    names = ("name", "directory", "size", "mime_type", "sha256", "crc32c")
    facts = {name: getattr(manifest, name) for name in names}
    stored = coverage(held.index(), manifest.size)
    return {
        "_id": held.id,
        **facts,
        "user_id": manifest.user_id,
        "state": str(manifest.state),
        "chunk_size": manifest.chunk_size,
        "fingerprint": manifest.fingerprint,
        "tags": list(manifest.tags),
        "created_at": EPOCH,
        "updated_at": EPOCH,
        "expires_at": None,
        "upload_size": stored.upload_size,
        "missing": stored.missing,
    }


def respond(content: Any, status: int = 200, **headers: str) -> Response:
    """A JSON answer. An error becomes its problem document."""
    kind = "application/json"
    if isinstance(content, LadingError):
        kind, status = "application/problem+json", status if status != 200 else 404
        content = content.problem()
    body = json.dumps(content).encode()
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    usual = {"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close"}
    fields = Headers({**usual, **more})
    return Response(status, HTTPStatus(status).phrase, fields, body)


def from_proxy(status: int) -> Response:
    """An answer of a proxy in between, which knows nothing of problem documents."""
    phrase = "From A Proxy"
    body = f"<html>{status} {phrase}</html>".encode()
    fields = Headers(
        {"Content-Type": "text/html", "Content-Length": str(len(body)), "Connection": "close"}
    )
    return Response(status, phrase, fields, body)


@asynccontextmanager
async def running(**options: int) -> AsyncIterator[Fake]:
    """A fake server while the context is open."""
    fake = Fake(**options)
    await fake.start()
    try:
        yield fake
    finally:
        fake.gate.set()
        await fake.stop()
