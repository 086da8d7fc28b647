"""One upload on one connection, from CREATE or RESUME to COMPLETE or to the connection's end.

Two loops run beside each other: one receives, one sends. A transfer that cannot be completed on
this connection raises; `upload.py` decides whether to connect again. Source: page 3 of the design.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple, Never, Protocol

from lading.client.channel import Channel, beside
from lading.client.errors import SourceChanged
from lading.client.http_channel import HttpChannel
from lading.client.retry import LONGEST_WAIT, Again, judge
from lading.client.source import Source
from lading.protocol import messages as m
from lading.protocol import sender as s
from lading.protocol.codec import encode
from lading.protocol.errors import ChecksumMismatch, InvalidMessage, ShuttingDown
from lading.protocol.manifest import MAX_CHUNK_SIZE


class _Piece(NamedTuple):
    """A piece that is being read: its size in bytes, and the message that it becomes."""

    size: int
    message: asyncio.Future[bytes]


class Listener(Protocol):
    """What a transfer reports to."""

    def connected(self) -> None: ...

    def opened(self, upload: m.Opened) -> None: ...

    def sending(self, size: int) -> None: ...

    def acknowledged(self, size: int) -> None: ...

    def stored(self, stored: int) -> None: ...

    def hashing(self, done: int) -> None: ...

    def verifying(self, done: int) -> None: ...


class Transfer:
    """Drives the upload `ref` of an open channel."""

    def __init__(
        self, channel: Channel | HttpChannel, ref: int, source: Source, listener: Listener
    ) -> None:
        self._channel = channel
        self._sender = channel.sender
        self._ref = ref
        self._source = source
        self._listener = listener
        self._wake = asyncio.Event()
        self._welcomed = asyncio.Event()
        self._taken = 0
        self._growing = False
        self._finishing = False
        self._leaving: Again | None = None

    async def run(self) -> m.Complete:
        """The finished file. Raises Again or LadingError when this connection did not finish it."""
        return await beside(self._receive_all(), self._send_all(), self._beat())

    async def _beat(self) -> Never:
        await self._welcomed.wait()  # it says how often
        await self._channel.beat()

    # -- receiving

    async def _receive_all(self) -> m.Complete:
        # CREATE and the first pieces do not wait for it: the server reads them afterwards.
        await self._channel.welcome()
        self._listener.connected()
        self._welcomed.set()
        self._wake.set()
        while True:
            message = await self._channel.receive()
            if isinstance(message, m.Stored) and message.ref == self._ref:
                for start, size in message.pieces:
                    self._source.release(start, size)
                    self._listener.acknowledged(size)
            for event in self._sender.events():
                if isinstance(event, s.Completed):
                    return event.file
                self._handle(event)
            if self._finishing and not self._sender.spent(self._ref):
                # `incomplete`: the server named the missing ranges. Or a piece is to be sent again.
                self._finishing = False
            self._maybe_leave()
            self._wake.set()

    def _handle(self, event: s.Event) -> None:
        match event:
            case s.Opened():
                self._opened(event.upload)
            case s.Progress():
                self._listener.stored(event.stored)
            case s.Verifying():
                self._listener.verifying(event.done)
            case s.GoingAway():
                away = ShuttingDown("The server is restarting.")
                self._leave(Again(away, after=min(event.retry_after, LONGEST_WAIT)))
            case s.Failed(ref=None):
                self._sender.draining = True  # the close code that follows says why
            case s.Failed():
                self._failed(event)

    def _opened(self, upload: m.Opened) -> None:
        if not 1 <= upload.chunk_size <= MAX_CHUNK_SIZE:
            raise InvalidMessage(f"A chunk size of {upload.chunk_size} is not possible.")
        size = self._source.size
        if upload.size is not None and size is not None and upload.size != size:
            raise SourceChanged(
                f"{self._source.name} has {size} bytes now; it had {upload.size} when its upload "
                "began."
            )
        self._growing = upload.size is None
        self._source.opened(upload, self._sender.window, self._wake.set)
        self._listener.opened(upload)

    def _failed(self, failed: s.Failed) -> None:
        if self._finishing and not failed.piece and isinstance(failed.error, ChecksumMismatch):
            raise failed.error
        self._finishing = False
        self._leave(judge(failed.error))

    def _leave(self, reason: Again) -> None:
        """Send nothing more, but wait for the answers to the pieces in flight."""
        self._sender.draining = True
        self._leaving = self._leaving or reason

    def _maybe_leave(self) -> None:
        if self._leaving is None or self._finishing:
            return
        if self._sender.in_flight <= self._taken:
            raise self._leaving

    # -- sending

    async def _send_all(self) -> Never:
        ahead: _Piece | None = None
        while True:
            self._wake.clear()
            await self._channel.flush()
            self._offer()
            piece, ahead = ahead or self._next(), None
            if piece is not None:
                message = await piece.message
                if not self._sender.draining:
                    ahead = self._next()  # read it while the previous one is sent
                    await self._send(piece.size, message)
            elif self._may_finish():
                await self._finish()
            else:
                await self._wake.wait()

    def _offer(self) -> None:
        """Tell the sender how far a stream can be read now, and its length once it ended."""
        self._source.check()
        if not self._growing:
            return
        if self._source.size is None:
            self._sender.offer(self._ref, self._source.offered)
        else:
            self._sender.end(self._ref, self._source.size)

    def _next(self) -> _Piece | None:
        wanted = self._sender.wanted()
        if wanted is None:
            return None

        def pack(data: bytes) -> bytes:
            return encode(self._sender.piece(wanted, data))

        size = wanted.end - wanted.start
        self._taken += size
        return _Piece(size, self._source.read(wanted.start, wanted.end, pack))

    async def _send(self, size: int, message: bytes) -> None:
        self._taken -= size
        self._listener.sending(size)
        await self._channel.send(message)

    def _may_finish(self) -> bool:
        """Whether FINISH is next. By WebSocket it follows the last piece without a pause, and saves
        a round trip; requests by HTTP have no order."""
        if self._finishing or self._sender.draining or self._source.size is None:
            return False
        if self._channel.in_order:
            return self._sender.spent(self._ref)
        return self._sender.settled(self._ref)

    async def _finish(self) -> None:
        sha256 = await self._source.digest(self._listener.hashing)
        await self._source.confirm(self._listener.hashing)
        if self._may_finish():
            self._finishing = True
            self._sender.finish(self._ref, sha256)
