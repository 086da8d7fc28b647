"""The server's side of one `lading.v1` connection, without the connection.

Events come in (a message, an answer of the store, the time), effects go out (a message to send, a
piece to store, a close). It owns the order in which things may happen, the credit window, the
deadlines and the acknowledgements. It refuses to know sockets, stores and clocks: every event
that needs the time is given it, in seconds of any steady clock.

    connection   GREETING --HELLO--> KNOCKING --authenticated--> OPEN --drain--> DRAINING
                 OPEN, DRAINING --expiry, restart--> ENDING: nothing new is taken, what is in
                 flight is still answered; from each of them, on a fault or at the end, to CLOSED

    upload       OPENING -> OPEN -> FINISHING -> READY, and back when FINISH was refused; from
                 OPEN or READY to ABORTING and away; to GONE when it ended elsewhere, and away.
                 FINISH, ABORT and DETACH wait until the pieces in flight on this connection and
                 the request before are answered: an answer names only the `ref`, so one request
                 at a time is under way for it, and a `ref` used anew waits for its old pieces

The order "store, then answer" is in the types: `Stored` can only be sent by `stored()`, which the
driver calls when the piece is durable. Source: page 3 of the design.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from lading.protocol import effects as e
from lading.protocol import messages as m
from lading.protocol.errors import (
    InvalidArgument,
    InvalidMessage,
    LadingError,
    NotFound,
    OutOfBounds,
    RateLimited,
    ShuttingDown,
    Unauthorized,
    WindowExceeded,
)
from lading.protocol.manifest import Coverage, Manifest, State
from lading.protocol.spec import check_id, check_sha256

HELLO_SECONDS = 5.0
IDLE_SECONDS = 60.0
HEARTBEAT_SECONDS = 20
MAX_UPLOADS = 1024
"""Uploads that one connection may have open, so that its memory is bounded."""
SILENT_HEARTBEATS = 3


class Connection(Enum):
    GREETING = auto()
    KNOCKING = auto()
    OPEN = auto()
    DRAINING = auto()
    ENDING = auto()
    CLOSED = auto()


class Upload(Enum):
    OPENING = auto()
    OPEN = auto()
    FINISHING = auto()
    ABORTING = auto()
    READY = auto()
    GONE = auto()


@dataclass(slots=True)
class _Slot:
    """What one `ref` of this connection stands for."""

    state: Upload
    id: str = ""
    in_flight: int = 0
    """Pieces that are not answered yet."""
    rest: Upload = Upload.OPEN
    """Where a refused request leads back to."""
    opening: e.Create | e.Resume | None = None
    """What opens it, as long as pieces of the upload that had the `ref` before are in flight."""
    then: m.Finish | m.Abort | m.Detach | None = None
    """What waits for the pieces in flight and for the answer to the request before."""

    @property
    def leaving(self) -> bool:
        return self.state is Upload.ABORTING or isinstance(self.then, (m.Abort, m.Detach))


_ASKED = (Upload.OPENING, Upload.FINISHING, Upload.ABORTING)
"""A request is under way, and its answer will come."""
_TAKES_CHUNKS = (Upload.OPEN, Upload.FINISHING, Upload.READY)
_GOES_ON = (Connection.OPEN, Connection.DRAINING)
_CLOSE_CODES = {
    "forbidden": 4403,
    "rate-limited": 4429,
    "too-many-connections": 4429,
    "shutting-down": 1012,
    "unavailable": 1011,
    "internal": 1011,
}
"""How a connection ends whose credential was not accepted, when it is not by 4401."""


class Receiver:
    """One connection as the server sees it.

    `window` is the credit in bytes, `heartbeat` the seconds after which either side says
    something. Feed events, then take what `effects()` gives and carry it out in order.
    """

    def __init__(
        self,
        now: float,
        *,
        window: int,
        max_chunk_size: int,
        server: str = "lading",
        heartbeat: int = HEARTBEAT_SECONDS,
    ) -> None:
        self.state = Connection.GREETING
        self.window = window
        self.in_flight = 0
        self._grace = 0
        self._old_window = window
        self._max_chunk_size = max_chunk_size
        self._server = server
        self._heartbeat = heartbeat
        self._slots: dict[int, _Slot] = {}
        self._effects: list[e.Effect] = []
        self._born = self._heard = self._said = self._busy = now
        self._expires = math.inf
        self._outlived = False
        self._checking = 0
        self._user_id = ""
        self._end: e.Close | None = None

    # -- what the driver asks

    def effects(self) -> list[e.Effect]:
        """What is to be done now, in order; each effect is given once."""
        effects, self._effects = self._effects, []
        return effects

    def deadline(self) -> float:
        """When `tick` wants to be called next, if nothing happens before."""
        match self.state:
            case Connection.CLOSED:
                return math.inf
            case Connection.GREETING:
                return self._born + HELLO_SECONDS
            case _:
                moments = [self._heard + SILENT_HEARTBEATS * self._heartbeat]
                if self.state is not Connection.KNOCKING:
                    moments.append(self._said + self._heartbeat)
                if not self._occupied():
                    moments.append(self._busy + IDLE_SECONDS)
                if self.state in _GOES_ON:
                    moments.append(self._expiry())
                return min(moments)

    @property
    def idle(self) -> bool:
        """Whether no piece and no request waits for an answer."""
        settled = (Upload.OPEN, Upload.READY)
        return self.in_flight == 0 and all(s.state in settled for s in self._slots.values())

    def _expiry(self) -> float:
        """When the credential ends the connection.

        Not while an upload outlives it, nor while a TOKEN that came before is being checked.
        """
        waits = self._checking or (self._outlived and self._occupied())
        return math.inf if waits else self._expires

    def _occupied(self) -> bool:
        """Whether an upload is open: finished ones do not keep a connection."""
        rests = (Upload.READY, Upload.GONE)
        return any(slot.state not in rests for slot in self._slots.values())

    # -- time

    def tick(self, now: float) -> None:
        """Let time pass: beat the heart, and close what is late, silent, idle or expired."""
        if self.state is Connection.CLOSED:
            return
        if self.state is Connection.GREETING:
            if now >= self._born + HELLO_SECONDS:
                self._fail(Unauthorized("HELLO did not come within 5 seconds."), 1008)
            return
        occupied = self._occupied()
        if occupied:
            self._busy = now
        if now >= self._expiry() and self.state in _GOES_ON:
            error = Unauthorized("The credential expired; connect again with a new one.")
            self._problem(None, error)
            self._end_with(4401, error.code)
        elif now >= self._heard + SILENT_HEARTBEATS * self._heartbeat:
            self._close(1001, "silent")
        elif not occupied and now >= self._busy + IDLE_SECONDS:
            self._close(1001, "idle")
        elif now >= self._said + self._heartbeat and self.state is not Connection.KNOCKING:
            self._said = now
            # The protocol has no ping from this side; the window once more says "I am here".
            self._send(m.Window(self.window))

    def heard(self, now: float) -> None:
        """Bytes came at `now`, though no whole message yet: the client is not silent."""
        self._heard = max(self._heard, now)

    # -- messages

    def receive(self, message: m.ClientMessage, now: float) -> None:
        """Take one message of the client."""
        self._heard = now
        if self._occupied():
            self._busy = now
        if self.state in _GOES_ON:
            _HANDLERS[type(message)](self, message, now)
        elif self.state is Connection.GREETING and isinstance(message, m.Hello):
            self.state = Connection.KNOCKING
            self._do(e.Authenticate(message.token))
        elif self.state in (Connection.GREETING, Connection.KNOCKING):
            self._fail(InvalidMessage("HELLO comes first, and its answer before the rest."), 1008)

    def unreadable(self, error: LadingError) -> None:
        """A message could not be decoded."""
        self._fail(error, 1002)

    def text(self) -> None:
        """A text message came."""
        self._fail(InvalidMessage("Messages are binary."), 1003)

    def _hello(self, _message: m.Hello, _now: float) -> None:
        self._fail(InvalidMessage("HELLO comes once; TOKEN replaces a credential."), 1002)

    def _token(self, message: m.Token, _now: float) -> None:
        self._checking += 1
        self._do(e.Authenticate(message.token))

    def _ping(self, message: m.Ping, now: float) -> None:
        self._said = now
        self._send(m.Pong(message.nonce))

    def _create(self, message: m.Create, _now: float) -> None:
        if self._free(message.ref):
            try:
                message.spec.check()
            except LadingError as error:
                self._problem(message.ref, error)
            else:
                self._ask_to_open(e.Create(message.ref, message.spec))

    def _resume(self, message: m.Resume, _now: float) -> None:
        if self._free(message.ref):
            try:
                check_id(message.upload_id)
            except LadingError as error:
                self._problem(message.ref, error)
            else:
                self._ask_to_open(e.Resume(message.ref, message.upload_id))

    def _free(self, ref: int) -> bool:
        slot = self._slots.get(ref)
        if self.state is Connection.DRAINING:
            self._problem(ref, ShuttingDown("Connect again and open the upload there."))
        elif slot is not None and (
            slot.state not in (Upload.READY, Upload.GONE) or slot.then is not None
        ):
            self._problem(ref, InvalidArgument(f"ref {ref} is in use on this connection."))
        elif slot is None and not self._room():
            self._problem(ref, RateLimited(f"Detach one of {MAX_UPLOADS} uploads first."))
        else:
            return True
        return False

    def _room(self) -> bool:
        """Whether one more upload can be open, the oldest finished one being forgotten for it."""
        if len(self._slots) < MAX_UPLOADS:
            return True
        for ref, slot in self._slots.items():
            if slot.state is Upload.READY and not slot.in_flight:
                del self._slots[ref]
                return True
        return False

    def _ask_to_open(self, effect: e.Create | e.Resume) -> None:
        former = self._slots.pop(effect.ref, None)
        in_flight = 0 if former is None else former.in_flight
        self._slots[effect.ref] = _Slot(Upload.OPENING, in_flight=in_flight, opening=effect)
        self._settle(effect.ref)

    def _chunk(self, message: m.Chunk, _now: float) -> None:
        size = len(message.data)
        limit = max(self.window, self._old_window if self._grace > 0 else 0)
        if self.in_flight + size > limit:
            self._fail(WindowExceeded(window=self.window), 1008)
            return
        self._grace = max(0, self._grace - size)
        slot = self._slots.get(message.ref)
        if slot is None or slot.state not in _TAKES_CHUNKS or slot.leaving:
            # With its place, for no STORED or REFUSED will tell the client that it is answered.
            place = message.slice_start
            self._problem(
                message.ref, NotFound(f"ref {message.ref} has no open upload.", slice_start=place)
            )
            return
        if not size:
            # It would cost the store work and the window nothing.
            problem = OutOfBounds("A piece must hold at least one byte.").problem()
            self._send(m.Refused(message.ref, message.slice_start, problem))
            return
        slot.in_flight += 1
        self.in_flight += size
        self._do(e.Write(message.ref, slot.id, message.slice_start, message.crc32c, message.data))

    def _finish(self, message: m.Finish, _now: float) -> None:
        slot = self._slots.get(message.ref)
        if slot is None or slot.state is Upload.GONE or slot.leaving:
            self._problem(message.ref, NotFound(f"ref {message.ref} has no open upload."))
            return
        try:
            if message.sha256 is not None:
                check_sha256(message.sha256)
        except LadingError as error:
            self._problem(message.ref, error)
            return
        slot.then = message
        self._settle(message.ref)

    def _leave(self, message: m.Abort | m.Detach, _now: float) -> None:
        slot = self._slots.get(message.ref)
        if slot is None:
            self._send(m.Closed(message.ref))
        elif slot.state is not Upload.ABORTING and not isinstance(slot.then, m.Abort):
            slot.then = message
            self._settle(message.ref)

    def _settle(self, ref: int) -> None:
        """Do what waited, once no piece and no request of the `ref` is unanswered."""
        slot = self._slots.get(ref)
        if slot is None or slot.in_flight:
            return
        if slot.opening is not None:
            opening, slot.opening = slot.opening, None
            self._do(opening)
        elif slot.state not in _ASKED:
            self._carry_out(ref, slot)

    def _carry_out(self, ref: int, slot: _Slot) -> None:
        message, slot.then = slot.then, None
        gone = slot.state is Upload.GONE
        if gone or isinstance(message, m.Detach):
            del self._slots[ref]
        match message:
            case m.Finish() if not gone:
                slot.state = Upload.FINISHING
                self._do(e.Finish(ref, slot.id, message.size, message.sha256))
            case m.Abort() if not gone:
                slot.state = Upload.ABORTING
                self._do(e.Abort(ref, slot.id))
            case m.Abort() | m.Detach():
                self._send(m.Closed(ref))

    def _drop(self, ref: int, slot: _Slot, now: float) -> None:
        """The upload is no more here; its pieces in flight are still answered."""
        slot.state = Upload.GONE
        self._busy = now
        self._settle(ref)

    # -- answers of the driver

    def authenticated(
        self, user_id: str, expires: float | None, now: float, *, outlived: bool = False
    ) -> None:
        """The credential is good until `expires` (on the clock of `now`; None for ever).

        `outlived` says that uploads which are open then may still end: a grant's.
        """
        if self.state is Connection.KNOCKING:
            self.state = Connection.OPEN
            self._user_id = user_id
            self._busy = self._said = now
            self._send(
                m.Welcome(user_id, self.window, self._max_chunk_size, self._heartbeat, self._server)
            )
        else:
            self._checking = max(0, self._checking - 1)
            if user_id != self._user_id:
                self._fail(Unauthorized("The new credential is another user's."), 4401)
                return
        self._expires = math.inf if expires is None else expires
        self._outlived = outlived

    def rejected(self, error: LadingError) -> None:
        """The credential is not good."""
        self._fail(error, _CLOSE_CODES.get(error.code, 4401))

    def opened(self, ref: int, manifest: Manifest, stored: Coverage) -> None:
        """The upload of `ref` exists; `stored` is what is durable of it."""
        slot = self._slots.get(ref)
        if slot is None or slot.state is not Upload.OPENING:
            return
        slot.id = manifest.id
        self._send(
            m.Opened(
                ref,
                manifest.id,
                manifest.name,
                manifest.size,
                manifest.chunk_size,
                stored.upload_size,
                tuple(stored.missing),
                None if manifest.expires_at is None else int(manifest.expires_at),
                str(manifest.state),
            )
        )
        if manifest.state is State.READY:
            slot.state, slot.rest = Upload.FINISHING, Upload.READY
            self._do(e.Finish(ref, manifest.id, None, None))
        else:
            slot.state = Upload.OPEN
            self._settle(ref)

    def failed(self, ref: int, error: LadingError, now: float) -> None:
        """What `ref` asked for was refused; an upload that was open stays open."""
        self._problem(ref, error)
        slot = self._slots.get(ref)
        if slot is None or slot.state not in _ASKED:
            return
        if slot.state is Upload.OPENING or error.code in ("gone", "not-found"):
            self._drop(ref, slot, now)
        else:
            slot.state = slot.rest
            self._settle(ref)

    def stored(self, ref: int, slice_start: int, size: int, upload_size: int) -> None:
        """The piece is durable; `upload_size` is what is stored of the upload in all."""
        self._answered(ref, size)
        pieces: tuple[tuple[int, int], ...] = ((slice_start, size),)
        last = self._effects[-1] if self._effects else None
        match last:
            case e.Send(m.Stored(ref=same) as before) if same == ref:
                self._effects.pop()
                pieces = before.pieces + pieces
        self._send(m.Stored(ref, pieces, upload_size))
        self._settled(ref)

    def refused(self, ref: int, slice_start: int, size: int, error: LadingError) -> None:
        """The piece was not stored."""
        self._answered(ref, size)
        self._send(m.Refused(ref, slice_start, error.problem()))
        self._settled(ref)

    def _answered(self, ref: int, size: int) -> None:
        self.in_flight -= size
        slot = self._slots.get(ref)
        if slot is not None:
            slot.in_flight -= 1

    def _settled(self, ref: int) -> None:
        self._settle(ref)
        self._maybe_end()

    def verifying(self, ref: int, done: int, total: int) -> None:
        """`done` of `total` bytes are checked against the digest."""
        self._send(m.Verifying(ref, done, total))

    def completed(self, ref: int, manifest: Manifest, url: str) -> None:
        """The upload is whole and published."""
        assert manifest.size is not None
        assert manifest.crc32c is not None
        self._send(
            m.Complete(
                ref,
                manifest.id,
                manifest.size,
                manifest.mime_type,
                manifest.sha256,
                manifest.crc32c,
                url,
            )
        )
        slot = self._slots.get(ref)
        if slot is not None and slot.state is Upload.FINISHING:
            slot.state = slot.rest = Upload.READY
            self._settle(ref)

    def closed(self, ref: int, now: float) -> None:
        """The upload of `ref` is deleted."""
        self._slots.pop(ref, None)
        self._busy = now
        self._send(m.Closed(ref))

    def lost(self, ref: int, error: LadingError, now: float) -> None:
        """The upload ended elsewhere: it expired, or was deleted on another connection.

        Where a request is under way, its answer tells the client.
        """
        slot = self._slots.get(ref)
        if slot is not None and slot.state is Upload.OPEN:
            self._problem(ref, error)
            self._drop(ref, slot, now)

    def set_window(self, size: int) -> None:
        """Grant another window, in bytes, from now on.

        What the client sent before it can know of a smaller one is still taken: one old window.
        """
        if size == self.window or self.state is Connection.CLOSED:
            return
        if size < self.window:
            # Of a change before this one the client may not have heard either.
            before = self._old_window if self._grace > 0 else 0
            self._old_window = self._grace = max(self.window, before)
        self.window = size
        if self.state is Connection.OPEN:
            self._send(m.Window(size))

    def drain(self, reason: str, retry_after: int) -> None:
        """Say GOAWAY; what is in flight is still answered, nothing new is opened."""
        if self.state is Connection.OPEN:
            self.state = Connection.DRAINING
            self._send(m.GoAway(reason, retry_after))
        elif self.state in (Connection.GREETING, Connection.KNOCKING):
            self._close(1012, reason)

    def restart(self, reason: str) -> None:
        """Answer what is in flight, then close so that the client connects again."""
        self._end_with(1012, reason)

    # -- effects

    def _do(self, effect: e.Effect) -> None:
        if self.state is not Connection.CLOSED:
            self._effects.append(effect)

    def _send(self, message: m.ServerMessage) -> None:
        self._do(e.Send(message))

    def _problem(self, ref: int | None, error: LadingError) -> None:
        self._send(m.Problem(ref, error.problem()))

    def _fail(self, error: LadingError, code: int) -> None:
        self._problem(None, error)
        self._close(code, error.code)

    def _end_with(self, code: int, reason: str) -> None:
        if self.state not in (Connection.ENDING, Connection.CLOSED):
            self.state = Connection.ENDING
            self._end = e.Close(code, reason)
            self._maybe_end()

    def _maybe_end(self) -> None:
        if self._end is not None and self.in_flight == 0:
            self._close(self._end.code, self._end.reason)

    def _close(self, code: int, reason: str) -> None:
        self._do(e.Close(code, reason))
        self.state = Connection.CLOSED


_HANDLERS: dict[type[Any], Callable[[Any, Any, float], None]] = {
    m.Hello: Receiver._hello,
    m.Token: Receiver._token,
    m.Ping: Receiver._ping,
    m.Create: Receiver._create,
    m.Resume: Receiver._resume,
    m.Chunk: Receiver._chunk,
    m.Finish: Receiver._finish,
    m.Abort: Receiver._leave,
    m.Detach: Receiver._leave,
}
