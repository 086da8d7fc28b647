"""The Sender: one connection as the client sees it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from lading.protocol import messages as m
from lading.protocol.digests import crc32c
from lading.protocol.errors import (
    ChecksumMismatch,
    Incomplete,
    InvalidArgument,
    RateLimited,
    UploadEnded,
    from_problem,
)
from lading.protocol.sender.events import (
    Completed,
    Event,
    Failed,
    GoingAway,
    Opened,
    Progress,
    Verifying,
    Wanted,
    Welcomed,
)
from lading.protocol.sender.upload import State, Upload, ranges_of, without
from lading.protocol.spec import UploadSpec

MAX_CORRUPTIONS = 5
"""How often one piece may arrive with a wrong checksum before the path is called broken."""


class Sender:
    """One connection as the client sees it.

    Call `hello`, then `create` or `resume`; feed each server message to `receive`; send what
    `outgoing` returns; look at `events`; and while `wanted` returns a piece, read and send it.
    """

    def __init__(self) -> None:
        self.window = 0
        self.heartbeat = 0
        self.in_flight = 0
        self.draining = False
        self._early: m.EarlyPieces | None = None
        """Pieces may follow CREATE at once."""
        self._uploads: dict[int, Upload] = {}
        self._late: dict[tuple[int, int], int] = {}
        """Sizes of pieces in flight whose upload ended before they were answered."""
        self._turns: deque[int] = deque()
        self._outgoing: list[m.ClientMessage] = []
        self._events: list[Event] = []
        self._next_ref = 0

    # -- what the driver takes

    def outgoing(self) -> list[m.ClientMessage]:
        """Messages to send now, each returned once. Chunks are not among them."""
        messages, self._outgoing = self._outgoing, []
        return messages

    def events(self) -> list[Event]:
        """What happened, each event given once."""
        events, self._events = self._events, []
        return events

    def wanted(self) -> Wanted | None:
        """The piece to read and send now, or None: nothing to send, or no credit for it.

        Uploads take turns. The piece counts as in flight from here on.
        """
        if self.draining:
            return None
        for _ in range(len(self._turns)):
            ref = self._turns[0]
            self._turns.rotate(-1)
            upload = self._uploads[ref]
            piece = upload.next_range()
            if piece is None:
                continue
            if self.in_flight + piece[1] - piece[0] > self.window:
                self._turns.rotate(1)
                return None
            upload.take(piece)
            self.in_flight += piece[1] - piece[0]
            return Wanted(ref, *piece)
        return None

    def settled(self, ref: int) -> bool:
        """Whether all that is known of the upload is durable."""
        return self.spent(ref) and not self._uploads[ref].in_flight

    def spent(self, ref: int) -> bool:
        """Whether the upload is open and every piece that is known of it was taken from `wanted`.
        When they are sent, FINISH may follow at once: the server lets it wait for them. Not before
        OPENED: nobody would know the file, should the connection be lost now."""
        upload = self._uploads.get(ref)
        return upload is not None and upload.sending and not upload.todo

    # -- what the driver asks for

    def hello(self, token: str | None, client: str) -> None:
        self._outgoing.append(m.Hello(token, client))

    def ping(self, nonce: int) -> None:
        self._outgoing.append(m.Ping(nonce))

    def agree(self, early: m.EarlyPieces) -> None:
        """The server takes the pieces of new uploads before it has opened them."""
        self._early, self.window = early, early.window

    def create(self, spec: UploadSpec) -> int:
        """Ask for a new upload; returns its `ref`.

        Where the server takes them, its pieces are `wanted` before it is open.
        """
        ref = self._new_ref()
        self._outgoing.append(m.Create(ref, spec))
        if self._early is not None and spec.chunk_size is None and spec.size:
            upload = self._uploads[ref]
            upload.early, upload.chunk_size, upload.size = True, self._early.chunk_size, spec.size
            self._extend(upload, 0, spec.size)
        return ref

    def resume(self, upload_id: str) -> int:
        """Ask to resume an upload; returns its `ref` on this connection."""
        ref = self._new_ref()
        self._outgoing.append(m.Resume(ref, upload_id))
        return ref

    def piece(self, wanted: Wanted, data: bytes) -> m.Chunk:
        """The message that carries the bytes of a wanted piece."""
        assert len(data) == wanted.end - wanted.start
        return m.Chunk(wanted.ref, wanted.start, crc32c(data), data)

    def offer(self, ref: int, end: int) -> None:
        """Of an upload of unknown length, bytes up to `end` can be read now."""
        upload = self._uploads.get(ref)
        if upload is not None and end > upload.offered:
            self._extend(upload, upload.offered, end)
            upload.offered = end

    def end(self, ref: int, size: int) -> None:
        """An upload of unknown length turned out to be `size` bytes long.

        Raises InvalidArgument when more than that is offered or stored already.
        """
        upload = self._uploads.get(ref)
        if upload is None:
            return
        if size < upload.offered:
            raise InvalidArgument(f"There are {upload.offered} bytes, not {size}.")
        self.offer(ref, size)
        upload.size = size

    def finish(self, ref: int, sha256: str | None = None) -> None:
        """Ask the server to verify and publish; answered by Completed or Failed."""
        self._outgoing.append(m.Finish(ref, self._uploads[ref].size, sha256))

    def _new_ref(self) -> int:
        if len(self._uploads) > m.MAX_REF - len(self._late):
            raise RateLimited("Every ref of this connection is in use.")
        late = {ref for ref, _ in self._late}
        while self._next_ref in self._uploads or self._next_ref in late:
            self._next_ref = (self._next_ref + 1) % (m.MAX_REF + 1)
        ref = self._next_ref
        self._next_ref = (ref + 1) % (m.MAX_REF + 1)
        self._uploads[ref] = Upload()
        self._turns.append(ref)
        return ref

    @staticmethod
    def _extend(upload: Upload, start: int, end: int) -> None:
        if upload.todo and upload.todo[-1][1] == start:
            start, _ = upload.todo.pop()
        upload.todo.append((start, end))

    def _forget(self, ref: int) -> None:
        """Let go of an upload. Its pieces in flight take credit until they are answered."""
        upload = self._uploads.pop(ref, None)
        if upload is not None:
            self._turns.remove(ref)
            self._late.update({(ref, start): size for start, size in upload.in_flight.items()})

    # -- what the server says

    def receive(self, message: m.ServerMessage) -> None:
        """Take one message of the server. Messages about a `ref` that is no more are ignored."""
        handler: Callable[[Any, Any], None] = _HANDLERS[type(message)]
        handler(self, message)

    def _welcome(self, message: m.Welcome) -> None:
        self.window = message.window
        self.heartbeat = message.heartbeat
        self._events.append(Welcomed(message.user_id, message.max_chunk_size))

    def _window(self, message: m.Window) -> None:
        self.window = message.bytes

    def _opened(self, message: m.Opened) -> None:
        upload = self._uploads.get(message.ref)
        if upload is None:
            return
        upload.chunk_size = message.chunk_size
        upload.stored = message.upload_size
        upload.todo = deque(without(message.missing, upload.in_flight))
        holes = sum(end - start for start, end in message.missing)
        ahead, upload.offered = upload.offered, message.upload_size + holes
        if message.size is None:
            self.offer(message.ref, ahead)
        else:
            upload.size = message.size
        upload.state = State.SENDING if message.state == "uploading" else State.READY
        self._events.append(Opened(message.ref, message))

    def _stored(self, message: m.Stored) -> None:
        upload = self._uploads.get(message.ref)
        for start, _ in message.pieces:
            self._answered(message.ref, start)
            if upload is not None:
                upload.corrupted.pop(start, None)
        if upload is None:
            return
        # The server's sum, since other connections may store the same pieces; answers may be
        # out of order, and with several servers at work the sum may run ahead.
        stored = max(upload.stored, message.upload_size)
        upload.stored = stored if upload.size is None else min(stored, upload.size)
        self._events.append(Progress(message.ref, upload.stored))

    def _refused(self, message: m.Refused) -> None:
        start = message.slice_start
        size = self._answered(message.ref, start)
        upload = self._uploads.get(message.ref)
        if upload is None:
            return
        error = from_problem(message.problem)
        if isinstance(error, ChecksumMismatch):
            times = upload.corrupted[start] = upload.corrupted.get(start, 0) + 1
            if times <= MAX_CORRUPTIONS:
                if size and upload.sending:
                    upload.todo.appendleft((start, start + size))
                return
        self._events.append(Failed(message.ref, error, piece=True))

    def _answered(self, ref: int, start: int) -> int:
        """Give back the credit of a piece in flight; returns its size, 0 when there is none."""
        upload = self._uploads.get(ref)
        if upload is not None and start in upload.in_flight:
            size = upload.in_flight.pop(start)
        else:
            size = self._late.pop((ref, start), 0)
        self.in_flight -= size
        return size

    def _problem(self, message: m.Problem) -> None:
        error = from_problem(message.problem)
        ref = message.ref
        if ref is None:
            self._events.append(Failed(None, error))
            return
        late = error.extra.get("slice_start")
        if type(late) is int:
            self._answered(ref, late)
        upload = self._uploads.get(ref)
        if upload is None:
            return
        missing = ranges_of(error.extra.get("missing"))
        if isinstance(error, Incomplete) and missing:
            upload.todo = deque(without(missing, upload.in_flight))
            return
        if upload.state is State.OPENING or isinstance(error, UploadEnded):
            self._forget(ref)
        self._events.append(Failed(ref, error))

    def _complete(self, message: m.Complete) -> None:
        self._forget(message.ref)
        self._events.append(Completed(message.ref, message))

    def _verifying(self, message: m.Verifying) -> None:
        self._events.append(Verifying(message.ref, message.done, message.total))

    def _goaway(self, message: m.GoAway) -> None:
        self.draining = True
        self._events.append(GoingAway(message.retry_after))

    def _nothing(self, message: m.Pong | m.Closed) -> None:
        """PONG only shows that the server lives. CLOSED answers what this client never asks."""


_HANDLERS: dict[type[Any], Callable[[Any, Any], None]] = {
    m.Welcome: Sender._welcome,
    m.Window: Sender._window,
    m.Opened: Sender._opened,
    m.Stored: Sender._stored,
    m.Refused: Sender._refused,
    m.Problem: Sender._problem,
    m.Complete: Sender._complete,
    m.Closed: Sender._nothing,
    m.Verifying: Sender._verifying,
    m.GoAway: Sender._goaway,
    m.Pong: Sender._nothing,
}
