"""The receiver in any order of events, against a model that only counts.

The model is a client without manners and a store that answers whenever it likes. It holds what a
driver must be able to rely on: answers reach the right upload, credit is exact and comes back in
full, one request at a time is under way for a `ref`, and a tick at the deadline gets it further.
"""

from __future__ import annotations

import math
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lading.protocol import effects as e
from lading.protocol import messages as m
from lading.protocol.digests import crc32c
from lading.protocol.errors import CATALOGUE, LadingError
from lading.protocol.manifest import coverage
from lading.protocol.receiver import Connection, Receiver
from lading.protocol.spec import UploadSpec
from tests.support.transcripts import manifest

WINDOW = 40
refs = st.integers(0, 2)
codes = st.sampled_from(["gone", "not-found", "incomplete", "checksum-mismatch", "internal"])
states = st.sampled_from(["uploading", "uploading", "ready"])


def error(code: str) -> LadingError:
    return CATALOGUE[code]()


class Driver(RuleBasedStateMachine):
    """One connection under way, its requests and pieces that wait for an answer."""

    @initialize(expires=st.none() | st.floats(10, 200), outlived=st.booleans())
    def connect(self, expires: float | None, outlived: bool) -> None:
        self.now = 0.0
        self.made = 0
        self.ids: dict[int, str] = {}
        self.checking = False
        self.requests: dict[int, e.Effect] = {}
        self.pieces: list[e.Write] = []
        self.closed: e.Close | None = None
        self.receiver = Receiver(0.0, window=WINDOW, max_chunk_size=10)
        self.receiver.receive(m.Hello(), 0.0)
        assert self.receiver.effects() == [e.Authenticate(None)]
        self.receiver.authenticated("ann", expires, 0.0, outlived=outlived)
        self.take()

    def take(self) -> list[e.Effect]:
        taken = self.receiver.effects()
        for effect in taken:
            assert self.closed is None, "something came after the end"
            match effect:
                case e.Send(m.Stored() as stored):
                    assert stored.pieces
                case e.Close():
                    self.closed = effect
                case e.Authenticate():
                    assert not self.checking, "two credentials are checked at once"
                    self.checking = True
                case e.Create() | e.Resume() | e.Finish() | e.Abort():
                    assert effect.ref not in self.requests, "two requests are under way"
                    assert not [p for p in self.pieces if p.ref == effect.ref]
                    if isinstance(effect, (e.Finish, e.Abort)):
                        assert effect.upload_id == self.ids[effect.ref]
                    if not isinstance(effect, e.Finish):  # RESUME of a finished one includes it
                        assert not self.checking, "it is asked for with the old credential"
                    self.requests[effect.ref] = effect
                case e.Write():
                    known = "" if self.is_opening(effect.ref) else self.ids[effect.ref]
                    assert effect.upload_id == known
                    self.pieces.append(effect)
        return taken

    def is_opening(self, ref: int) -> bool:
        return isinstance(self.requests.get(ref), (e.Create, e.Resume))

    @property
    def answerable(self) -> list[int]:
        """Which pieces can be answered: those of uploads that are open, or could not be opened."""
        return [at for at, piece in enumerate(self.pieces) if not self.is_opening(piece.ref)]

    def say(self, message: m.ClientMessage) -> list[e.Effect]:
        self.receiver.receive(message, self.now)
        return self.take()

    # -- the client

    @rule(ref=refs, resume=st.booleans())
    def open(self, ref: int, resume: bool) -> None:
        self.say(m.Resume(ref, "0" * 24) if resume else m.Create(ref, UploadSpec(name="n")))

    @rule(ref=refs, cell=st.integers(0, 3), size=st.integers(0, 10))
    def send(self, ref: int, cell: int, size: int) -> None:
        if self.receiver.in_flight + size > self.receiver.window:
            return
        data = b"x" * size
        self.say(m.Chunk(ref, 10 * cell, crc32c(data), data))

    @rule(ref=refs, what=st.sampled_from([m.Finish, m.Abort, m.Detach]))
    def ask(self, ref: int, what: Any) -> None:
        self.say(what(ref))

    @rule()
    def ping(self) -> None:
        self.say(m.Ping(1))

    @rule()
    def renew(self) -> None:
        self.say(m.Token("t"))

    # -- the store

    @precondition(lambda self: self.answerable)
    @rule(data=st.data(), stored=st.booleans(), code=codes)
    def answer_a_piece(self, data: st.DataObject, stored: bool, code: str) -> None:
        piece = self.pieces.pop(data.draw(st.sampled_from(self.answerable)))
        size = len(piece.data)
        if stored:
            self.receiver.stored(piece.ref, piece.slice_start, size, 1)
        else:
            self.receiver.refused(piece.ref, piece.slice_start, size, error(code))
            if code == "gone":
                self.receiver.lost(piece.ref, error(code), self.now)
        answers = [x.message for x in self.take() if isinstance(x, e.Send)]
        alive = self.closed is None or answers
        assert not alive or isinstance(answers[0], m.Stored if stored else m.Refused)

    @precondition(lambda self: self.requests)
    @rule(data=st.data(), good=st.booleans(), code=codes, state=states)
    def answer_a_request(self, data: st.DataObject, good: bool, code: str, state: str) -> None:
        ref = data.draw(st.sampled_from(sorted(self.requests)))
        request = self.requests.pop(ref)
        match request:
            case _ if not good:
                self.receiver.failed(ref, error(code), self.now)
            case e.Create() | e.Resume():
                state = state if isinstance(request, e.Resume) else "uploading"
                self.made += 1
                self.ids[ref] = f"{self.made:024x}"
                self.receiver.opened(ref, manifest(self.ids[ref], state=state), coverage([], 20))
            case e.Finish():
                self.receiver.completed(ref, manifest(self.ids[ref], state="ready"), "/f")
            case e.Abort():
                self.receiver.closed(ref, self.now)
        self.take()

    @precondition(lambda self: self.checking)
    @rule(expires=st.none() | st.floats(-10, 60), good=st.booleans())
    def answer_a_token(self, expires: float | None, good: bool) -> None:
        self.checking = False
        if good:
            end = None if expires is None else self.now + expires
            self.receiver.authenticated("ann", end, self.now)
        else:
            self.receiver.rejected(error("unauthorized"))
        self.take()

    @rule(ref=refs)
    def lose(self, ref: int) -> None:
        self.receiver.lost(ref, error("gone"), self.now)
        self.take()

    # -- time and the operator

    @rule(seconds=st.floats(0.001, 30))
    def wait(self, seconds: float) -> None:
        """Until a deadline nothing happens; at the deadline something does, and it moves on."""
        deadline = self.receiver.deadline()
        self.now = max(self.now, min(self.now + seconds, math.nextafter(deadline, 0)))
        self.receiver.tick(self.now)
        taken = self.take()
        assert self.now >= deadline or not taken

    @precondition(lambda self: self.closed is None)
    @rule()
    def wait_for_the_deadline(self) -> None:
        self.now = max(self.now, self.receiver.deadline())
        for _ in range(3):  # expiry, silence and heartbeat may fall on one moment
            self.receiver.tick(self.now)
            assert self.take(), "a driver would spin"
            if self.receiver.deadline() > self.now:
                return
        raise AssertionError("a driver would spin")

    @rule(size=st.integers(10, 60))
    def set_window(self, size: int) -> None:
        self.receiver.set_window(size)
        self.take()

    @precondition(lambda self: self.now > 60)
    @rule(restart=st.booleans())
    def stop(self, restart: bool) -> None:
        if restart:
            self.receiver.restart("shutdown")
        else:
            self.receiver.drain("shutdown", 1)
        self.take()

    # -- what always holds

    @invariant()
    def credit_is_exact(self) -> None:
        assert self.receiver.in_flight == sum(len(piece.data) for piece in self.pieces)
        assert self.receiver.in_flight <= 60
        waits = self.pieces or self.requests or self.checking
        assert self.receiver.idle or waits or self.closed

    @invariant()
    def the_end_is_the_end(self) -> None:
        assert (self.receiver.state is Connection.CLOSED) is (self.closed is not None)

    def teardown(self) -> None:
        if not hasattr(self, "receiver"):
            return
        for piece in self.pieces:
            self.receiver.stored(piece.ref, piece.slice_start, len(piece.data), 1)
        assert self.receiver.in_flight == 0


TestDriver = Driver.TestCase
TestDriver.settings = settings(max_examples=200, stateful_step_count=50)
