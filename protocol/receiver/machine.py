"""The Receiver: one connection as the server sees it. The package's first page tells its theory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lading.protocol import effects as e
from lading.protocol import messages as m
from lading.protocol.codes import GOING_AWAY, POLICY, PROTOCOL, RESTART, TEXT, close_code
from lading.protocol.errors import (
    InvalidMessage,
    LadingError,
    ShuttingDown,
    Unauthorized,
    WindowExceeded,
)
from lading.protocol.manifest import Coverage, Manifest
from lading.protocol.receiver.growth import Growth
from lading.protocol.receiver.limits import ReceiverLimits
from lading.protocol.receiver.outbox import Outbox
from lading.protocol.receiver.timers import Timer, Timers
from lading.protocol.receiver.transitions import (
    CONNECTION,
    Connection,
    ConnectionEvent,
    IllegalEvent,
    step,
)
from lading.protocol.receiver.uploads import Uploads
from lading.protocol.receiver.window import Window
from lading.protocol.spec import check_id

_AT_WORK = (Connection.OPEN, Connection.DRAINING)
_UNAUTHORIZED = 4401

Ring = Callable[[float], None]


class Receiver:
    """One connection.

    `window` is the credit in bytes at first; up to `most`, which the driver may change at any time,
    it follows the line. Report each event, then take `effects()` and carry them out in order. An
    answer to nothing raises IllegalEvent.
    """

    __slots__ = (
        "_checking",
        "_end",
        "_first_window",
        "_growth",
        "_limits",
        "_max_chunk_size",
        "_next_token",
        "_out",
        "_outlived",
        "_server",
        "_timers",
        "_uploads",
        "_user_id",
        "_window",
        "most",
        "state",
    )

    def __init__(
        self,
        now: float,
        *,
        window: int,
        max_chunk_size: int,
        server: str = "lading",
        limits: ReceiverLimits | None = None,
    ) -> None:
        self.state = Connection.GREETING
        self._limits = limits or ReceiverLimits()
        self._max_chunk_size = max_chunk_size
        self._server = server
        self._out = Outbox()
        self._uploads = Uploads(self._out, self._limits)
        self._window = Window(window)
        self._first_window = self.most = window
        self._growth = Growth()
        self._timers = Timers(now, self._limits)
        self._user_id = ""
        self._outlived = False
        self._checking = False
        """Whether the driver checks a credential."""
        self._next_token: m.Token | None = None
        """The last TOKEN that came meanwhile."""
        self._end: e.Close | None = None

    # -- what the driver asks

    def effects(self) -> list[e.Effect]:
        """What is to be done now, in order. Each effect is returned once."""
        return self._out.take()

    def deadline(self) -> float:
        """When `tick` must be called next, if nothing happens before."""
        return min((timer.at for timer, _ in self._running()), default=math.inf)

    @property
    def window(self) -> int:
        """The credit, in bytes."""
        return self._window.size

    @property
    def in_flight(self) -> int:
        """Bytes of pieces that are not answered yet."""
        return self._window.in_flight

    @property
    def idle(self) -> bool:
        """Whether no piece and no request waits for an answer."""
        return self.in_flight == 0 and self._uploads.idle

    @property
    def busy(self) -> bool:
        """Whether the next message should wait: for the answer to HELLO, because as many uploads
        are being opened as may be at once, or because one cannot be opened yet and its pieces may
        follow."""
        if self.state is Connection.CLOSED:
            return False
        knocking = self.state is Connection.KNOCKING
        full = self._uploads.opening >= self._limits.max_opening
        return knocking or full or self._uploads.waiting

    # -- time

    def tick(self, now: float) -> None:
        """Let time pass: send a heartbeat, or close what is late, silent, idle or expired."""
        self._note_work(now)
        for timer, ring in self._running():
            if timer.due(now):
                ring(now)
                return

    def heard(self, now: float) -> None:
        """Bytes came at `now`, though no whole message yet: the client is not silent."""
        silence = self._timers.silence
        silence.at = max(silence.at, now + silence.seconds)

    def _running(self) -> Iterator[tuple[Timer, Ring]]:
        """The timers that count now, the most important first."""
        timers = self._timers
        if self.state is Connection.CLOSED:
            return
        if self.state is Connection.GREETING:
            yield timers.hello, self._is_late
            return
        occupied = self._uploads.occupied
        outlived = self._outlived and occupied
        if self.state in _AT_WORK and not self._checking and not outlived:
            yield timers.expiry, self._has_expired
        yield timers.silence, self._is_silent
        if not occupied:
            yield timers.idle, self._is_idle
        if self.state is not Connection.KNOCKING:
            yield timers.heartbeat, self._beat

    def _is_late(self, _now: float) -> None:
        seconds = self._limits.hello_seconds
        self._fail(Unauthorized(f"HELLO did not come within {seconds:g} seconds."), POLICY)

    def _has_expired(self, _now: float) -> None:
        error = Unauthorized("The credential expired; connect again with a new one.")
        self._out.problem(None, error)
        self._end_with(_UNAUTHORIZED, error.code)

    def _is_silent(self, _now: float) -> None:
        self._close(GOING_AWAY, "silent")

    def _is_idle(self, _now: float) -> None:
        self._close(GOING_AWAY, "idle")

    def _beat(self, now: float) -> None:
        self._timers.heartbeat.start(now)
        # The protocol has no ping from the server; repeating the window is its sign of life.
        self._out.send(m.Window(self.window))

    def _note_work(self, now: float) -> None:
        """The idle timer starts again as long as an upload is open."""
        if self._uploads.occupied:
            self._timers.idle.start(now)

    # -- messages

    def receive(self, message: m.ClientMessage, now: float) -> None:
        """Take one message of the client."""
        self._timers.silence.start(now)
        self._note_work(now)
        if self.state in (Connection.ENDING, Connection.CLOSED):
            return
        hello = isinstance(message, m.Hello)
        try:
            self._move(ConnectionEvent.HELLO if hello else ConnectionEvent.MESSAGE)
        except IllegalEvent:
            if self.state in _AT_WORK:
                error = InvalidMessage("HELLO comes once; TOKEN replaces a credential.")
                self._fail(error, PROTOCOL)
            else:
                text = "HELLO comes first, and its answer before the rest."
                self._fail(InvalidMessage(text), POLICY)
        else:
            _HANDLERS[type(message)](self, message, now)

    def unreadable(self, error: LadingError) -> None:
        """A message could not be decoded."""
        self._fail(error, close_code(error, PROTOCOL))

    def text(self) -> None:
        """A text message came."""
        self._fail(InvalidMessage("Messages are binary."), TEXT)

    def _hello(self, message: m.Hello, _now: float) -> None:
        self._check(message.token)

    def _token(self, message: m.Token, _now: float) -> None:
        if self._checking:
            self._next_token = message
        else:
            self._check(message.token)

    def _ping(self, message: m.Ping, now: float) -> None:
        self._timers.heartbeat.start(now)
        if self._window.size > self._first_window:
            # It was silent before: what its line could carry now is not known.
            self._growth.rest()
            self.set_window(self._first_window)
        self._out.send(m.Pong(message.nonce))

    def _create(self, message: m.Create, _now: float) -> None:
        self._open(e.Create(message.ref, message.spec), message.spec.check)

    def _resume(self, message: m.Resume, _now: float) -> None:
        effect = e.Resume(message.ref, message.upload_id)
        self._open(effect, lambda: check_id(message.upload_id))

    def _open(self, effect: e.Create | e.Resume, check: Callable[[], object]) -> None:
        try:
            if self.state is Connection.DRAINING:
                raise ShuttingDown("Connect again and open the upload there.")
            check()
        except LadingError as refusal:
            self._uploads.refuse(effect.ref, refusal)
        else:
            self._uploads.open(effect)

    def _chunk(self, message: m.Chunk, now: float) -> None:
        size = len(message.data)
        if not self._window.admit(size):
            error = WindowExceeded(window=self.window)
            self._fail(error, close_code(error, POLICY))
        elif self._uploads.chunk(message):
            self._window.take(size)
            self._follow_line(size, now)

    def _follow_line(self, size: int, now: float) -> None:
        """Grant what the line can carry, up to `most`. A smaller window than the first is the
        driver's will."""
        window, first = self.window, self._first_window
        wanted = self._growth.arrived(size, now, window=window, held=self.in_flight)
        if window >= first:
            self.set_window(max(first, min(wanted, self.most)))

    def _finish(self, message: m.Finish, _now: float) -> None:
        self._uploads.finish(message)

    def _leave(self, message: m.Abort | m.Detach, _now: float) -> None:
        self._uploads.leave(message)

    # -- the credential

    def _check(self, token: str | None) -> None:
        self._checking = True
        self._uploads.hold()
        self._out.do(e.Authenticate(token))

    def authenticated(
        self, user_id: str, expires: float | None, now: float, *, outlived: bool = False
    ) -> None:
        """The credential is good until `expires` (on the clock of `now`; None: it never expires).

        `outlived` says that uploads which are open then may still end: a grant's.
        """
        self._checked()
        if self.state in (Connection.ENDING, Connection.CLOSED):
            return
        if self.state is Connection.KNOCKING:
            self._move(ConnectionEvent.WELCOME)
            self._welcome(user_id, now)
        elif user_id != self._user_id:
            self._fail(Unauthorized("The new credential is another user's."), _UNAUTHORIZED)
            return
        self._timers.expiry.at = math.inf if expires is None else expires
        self._outlived = outlived
        token, self._next_token = self._next_token, None
        if token is not None:
            self._check(token.token)
        else:
            self._uploads.proceed()

    def rejected(self, error: LadingError) -> None:
        """The credential is not good."""
        self._checked()
        self.revoked(error)

    def revoked(self, error: LadingError) -> None:
        """The credential is no longer good."""
        self._fail(error, close_code(error, _UNAUTHORIZED))

    def _checked(self) -> None:
        if not self._checking:
            raise IllegalEvent("no credential is being checked")
        self._checking = False

    def _welcome(self, user_id: str, now: float) -> None:
        self._user_id = user_id
        self._timers.idle.start(now)
        self._timers.heartbeat.start(now)
        self._out.send(
            m.Welcome(
                user_id, self.window, self._max_chunk_size, self._limits.heartbeat, self._server
            )
        )

    # -- answers about uploads

    def opened(
        self,
        ref: int,
        manifest: Manifest,
        stored: Coverage,
        kind_rules: Mapping[str, Any] | None = None,
    ) -> None:
        """The upload of `ref` exists; `stored` is what is durable of it.

        `kind_rules` is what the kind asks for that a CREATE named.
        """
        self._uploads.opened(ref, manifest, stored, kind_rules)

    def failed(self, ref: int, error: LadingError, now: float) -> None:
        """What `ref` asked for was refused; an upload that was open stays open."""
        self._note_work(now)
        self._uploads.failed(ref, error)

    def stored(self, ref: int, slice_start: int, size: int, upload_size: int) -> None:
        """The piece is durable; `upload_size` is the sum of all bytes stored of the upload."""
        self._uploads.answered(ref)
        self._window.give_back(size)
        self._out.stored(ref, slice_start, size, upload_size)
        self._piece_settled(ref)

    def refused(self, ref: int, slice_start: int, size: int, error: LadingError) -> None:
        """The piece was not stored."""
        self._uploads.answered(ref)
        self._window.give_back(size)
        self._out.send(m.Refused(ref, slice_start, error.problem()))
        self._piece_settled(ref)

    def _piece_settled(self, ref: int) -> None:
        self._uploads.settled(ref)
        self._maybe_end()

    def verifying(self, ref: int, done: int, total: int) -> None:
        """`done` of `total` bytes are checked against the digest."""
        self._out.send(m.Verifying(ref, done, total))

    def completed(self, ref: int, manifest: Manifest, url: str) -> None:
        """The upload is whole and published."""
        self._uploads.completed(ref, manifest, url)

    def closed(self, ref: int, now: float) -> None:
        """The upload of `ref` is deleted."""
        self._note_work(now)
        self._uploads.closed(ref)

    def lost(self, ref: int, error: LadingError, now: float) -> None:
        """The upload ended elsewhere: it expired, or was deleted on another connection.

        May come at any time. Where a request is under way, its answer tells the client.
        """
        self._note_work(now)
        self._uploads.lost(ref, error)

    # -- what the operator decides

    def set_window(self, size: int) -> None:
        """Grant another window, in bytes, from now on."""
        if size == self.window or self.state is Connection.CLOSED:
            return
        self._window.resize(size)
        if self.state is Connection.OPEN:
            self._out.send(m.Window(size))

    def drain(self, reason: str, retry_after: int) -> None:
        """Send GOAWAY: what is in flight is still answered, nothing new is opened."""
        if self.state is Connection.OPEN:
            self._move(ConnectionEvent.DRAIN)
            self._out.send(m.GoAway(reason, retry_after))
        elif self.state in (Connection.GREETING, Connection.KNOCKING):
            self._close(RESTART, reason)

    def restart(self, reason: str) -> None:
        """Answer what is in flight, then close so that the client connects again."""
        self._end_with(RESTART, reason)

    # -- the end

    def _move(self, event: ConnectionEvent) -> None:
        self.state = step(CONNECTION, self.state, event)

    def _fail(self, error: LadingError, code: int) -> None:
        self._out.problem(None, error)
        self._close(code, error.code)

    def _end_with(self, code: int, reason: str) -> None:
        if self.state not in (Connection.ENDING, Connection.CLOSED):
            self._move(ConnectionEvent.END)
            self._end = e.Close(code, reason)
            self._maybe_end()

    def _maybe_end(self) -> None:
        if self._end is not None and self.in_flight == 0:
            self._close(self._end.code, self._end.reason)

    def _close(self, code: int, reason: str) -> None:
        if self.state is not Connection.CLOSED:
            self._move(ConnectionEvent.CLOSE)
            self._out.do(e.Close(code, reason))


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
