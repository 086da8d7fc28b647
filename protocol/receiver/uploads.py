"""The uploads of one connection: what each `ref` stands for, and what waits for what.

A request (FINISH, ABORT, DETACH) is kept in its slot until no piece and no other request of the
`ref` is unanswered; then `_settle` carries it out. What needs a credential also waits while one is
checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lading.protocol import effects as e
from lading.protocol import messages as m
from lading.protocol.errors import (
    InvalidArgument,
    LadingError,
    NotFound,
    OutOfBounds,
    RateLimited,
    UploadEnded,
)
from lading.protocol.manifest import Coverage, Manifest, State
from lading.protocol.receiver.limits import ReceiverLimits
from lading.protocol.receiver.outbox import Outbox
from lading.protocol.receiver.transitions import (
    REQUESTED,
    UPLOAD,
    IllegalEvent,
    Upload,
    UploadEvent,
    step,
)
from lading.protocol.spec import check_sha256


@dataclass(slots=True)
class Slot:
    """What one `ref` stands for."""

    state: Upload = Upload.AWAY
    id: str = ""
    in_flight: int = 0
    """Pieces that are not answered yet."""
    opening: e.Create | e.Resume | None = None
    """The effect that will open it, until the driver is asked."""
    created: bool = False
    """It is new: nothing is stored of it, so its pieces are known before it is open."""
    then: m.Finish | m.Abort | m.Detach | None = None
    """The request that waits."""

    def allows(self, event: UploadEvent) -> bool:
        return event in UPLOAD[self.state]

    def move(self, event: UploadEvent) -> None:
        self.state = step(UPLOAD, self.state, event)
        if self.state is Upload.GONE and isinstance(self.then, m.Finish):
            self.then = None  # there is nothing to finish, and the `ref` is free again

    @property
    def leaving(self) -> bool:
        aborting = self.state in (Upload.ABORTING, Upload.ABORTING_READY)
        return aborting or isinstance(self.then, (m.Abort, m.Detach))

    @property
    def takes_pieces(self) -> bool:
        """Whether a piece may come now."""
        if self.state is Upload.OPENING and (not self.created or self.opening is not None):
            return False
        return self.allows(UploadEvent.CHUNK) and not self.leaving

    @property
    def idle(self) -> bool:
        """Whether nothing waits for an answer."""
        return self.state in (Upload.OPEN, Upload.READY) and self.then is None


class Uploads:
    """All slots of a connection."""

    __slots__ = ("_held", "_limits", "_out", "_slots")

    def __init__(self, outbox: Outbox, limits: ReceiverLimits) -> None:
        self._out = outbox
        self._limits = limits
        self._slots: dict[int, Slot] = {}
        self._held = False

    @property
    def occupied(self) -> bool:
        """Whether an upload is open. Finished ones do not keep a connection."""
        rests = (Upload.READY, Upload.GONE)
        return any(slot.state not in rests for slot in self._slots.values())

    @property
    def idle(self) -> bool:
        """Whether no request waits for an answer."""
        return all(slot.idle for slot in self._slots.values())

    @property
    def opening(self) -> int:
        """How many CREATE and RESUME messages wait for an answer."""
        return sum(slot.state is Upload.OPENING for slot in self._slots.values())

    @property
    def waiting(self) -> bool:
        """Whether a CREATE waits until the driver may be asked."""
        return any(isinstance(slot.opening, e.Create) for slot in self._slots.values())

    def hold(self) -> None:
        """Let requests wait: the credential is being checked."""
        self._held = True

    def proceed(self) -> None:
        """Carry out what waited for the credential."""
        self._held = False
        for ref in list(self._slots):
            self._settle(ref)

    # -- messages of the client

    def open(self, effect: e.Create | e.Resume) -> None:
        """Use a `ref` for another upload, if it is free."""
        ref = effect.ref
        slot = self._slots.get(ref)
        if slot is not None and (not slot.allows(UploadEvent.USE) or slot.then is not None):
            self._out.problem(ref, InvalidArgument(f"ref {ref} is in use on this connection."))
        elif slot is None and not self._has_room():
            most = self._limits.max_uploads
            self._out.problem(ref, RateLimited(f"Detach one of {most} uploads first."))
        else:
            former = self._slots.pop(ref, Slot())
            former.move(UploadEvent.USE)
            self._slots[ref] = Slot(
                former.state,
                in_flight=former.in_flight,
                opening=effect,
                created=isinstance(effect, e.Create),
            )
            self._settle(ref)

    def refuse(self, ref: int, error: LadingError) -> None:
        """Do not open it. A finished upload that had the `ref` has it no more, or it would get the
        pieces that follow."""
        slot = self._slots.get(ref)
        if slot is not None and slot.state is Upload.READY and slot.then is None:
            self._slots[ref] = Slot(Upload.GONE, in_flight=slot.in_flight)
            self._settle(ref)
        self._out.problem(ref, error)

    def _has_room(self) -> bool:
        """Whether one more upload may be open; the oldest finished one is forgotten for it."""
        if len(self._slots) < self._limits.max_uploads:
            return True
        for ref, slot in self._slots.items():
            if slot.state is Upload.READY and not slot.in_flight:
                del self._slots[ref]
                return True
        return False

    def chunk(self, message: m.Chunk) -> bool:
        """Pass a piece on to the store, if its upload takes it; whether it does."""
        ref, start = message.ref, message.slice_start
        slot = self._slots.get(ref)
        if slot is None or not slot.takes_pieces:
            # With its place: no STORED or REFUSED will tell the client that it is answered.
            error = NotFound(f"ref {ref} has no open upload.", slice_start=start)
            self._out.problem(ref, error)
            return False
        if not message.data:
            # It would cost the store work and the window nothing.
            problem = OutOfBounds("A piece must hold at least one byte.").problem()
            self._out.send(m.Refused(ref, start, problem))
            return False
        slot.move(UploadEvent.CHUNK)
        slot.in_flight += 1
        self._out.do(e.Write(ref, slot.id, start, message.crc32c, message.data))
        return True

    def finish(self, message: m.Finish) -> None:
        slot = self._slots.get(message.ref)
        if slot is None or slot.state is Upload.GONE or slot.leaving:
            error = NotFound(f"ref {message.ref} has no open upload.")
            self._out.problem(message.ref, error)
            return
        try:
            if message.sha256 is not None:
                check_sha256(message.sha256)
        except LadingError as error:
            self._out.problem(message.ref, error)
            return
        slot.then = message
        self._settle(message.ref)

    def leave(self, message: m.Abort | m.Detach) -> None:
        slot = self._slots.get(message.ref)
        if slot is None:
            self._out.send(m.Closed(message.ref))
        elif slot.state not in (Upload.ABORTING, Upload.ABORTING_READY) and not isinstance(
            slot.then, m.Abort
        ):
            slot.then = message
            self._settle(message.ref)

    # -- answers of the driver

    def opened(
        self,
        ref: int,
        manifest: Manifest,
        stored: Coverage,
        kind_rules: Mapping[str, Any] | None = None,
    ) -> None:
        ready = manifest.state is State.READY
        slot = self._asked(ref)
        slot.move(UploadEvent.OPENED_READY if ready else UploadEvent.OPENED)
        slot.id = manifest.id
        self._out.send(
            m.Opened(
                ref,
                manifest.id,
                manifest.name,
                manifest.size,
                manifest.chunk_size,
                stored.upload_size,
                tuple(stored.missing),
                None if ready or manifest.expires_at is None else int(manifest.expires_at),
                str(manifest.state),
                kind_rules,
            )
        )
        if ready:
            self._out.do(e.Finish(ref, manifest.id, None, None))
        else:
            self._settle(ref)

    def completed(self, ref: int, manifest: Manifest, url: str) -> None:
        assert manifest.size is not None
        self._asked(ref).move(UploadEvent.COMPLETED)
        self._out.send(
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
        self._settle(ref)

    def closed(self, ref: int) -> None:
        self._asked(ref).move(UploadEvent.CLOSED)
        del self._slots[ref]
        self._out.send(m.Closed(ref))

    def failed(self, ref: int, error: LadingError) -> None:
        ended = isinstance(error, UploadEnded)
        self._asked(ref).move(UploadEvent.ENDED if ended else UploadEvent.FAILED)
        self._out.problem(ref, error)
        self._settle(ref)

    def lost(self, ref: int, error: LadingError) -> None:
        slot = self._slots.get(ref)
        if slot is not None and slot.allows(UploadEvent.LOST):
            slot.move(UploadEvent.LOST)
            self._out.problem(ref, error)
            self._settle(ref)

    def answered(self, ref: int) -> None:
        """A piece of the `ref` has its answer; call `settled` once the client knows."""
        slot = self._slots.get(ref)
        if slot is None or not slot.in_flight:
            raise IllegalEvent(f"no piece of ref {ref} is in flight")
        slot.in_flight -= 1

    def settled(self, ref: int) -> None:
        """The answer to a piece is on its way."""
        self._settle(ref)

    def _asked(self, ref: int) -> Slot:
        """The slot whose request the driver answers."""
        slot = self._slots.get(ref)
        if slot is None or slot.opening is not None:
            raise IllegalEvent(f"nothing was asked for ref {ref}")
        return slot

    # -- what waits

    def _settle(self, ref: int) -> None:
        """Do what waited, once no piece and no request of the `ref` is unanswered."""
        slot = self._slots.get(ref)
        if slot is None or slot.in_flight:
            return
        if slot.opening is not None:
            if not self._held:
                opening, slot.opening = slot.opening, None
                self._out.do(opening)
        elif slot.state is Upload.GONE:
            del self._slots[ref]
            if slot.leaving:
                self._out.send(m.Closed(ref))
        elif slot.state not in REQUESTED and slot.then is not None:
            self._carry_out(ref, slot, slot.then)

    def _carry_out(self, ref: int, slot: Slot, message: m.Finish | m.Abort | m.Detach) -> None:
        if isinstance(message, m.Detach):
            slot.move(UploadEvent.DETACH)
            del self._slots[ref]
            self._out.send(m.Closed(ref))
        elif not self._held:
            slot.then = None
            if isinstance(message, m.Finish):
                slot.move(UploadEvent.FINISH)
                self._out.do(e.Finish(ref, slot.id, message.size, message.sha256))
            else:
                slot.move(UploadEvent.ABORT)
                self._out.do(e.Abort(ref, slot.id))
