"""Anything, in any order: uploads and the janitor on a real mongod against a dumb model in memory.

The model shares no code with what it judges: it keeps bytes in dictionaries and says what each step
must answer. After each step the documents in the database must be those of the model.
`LADING_MODEL_STEPS` is the least number of steps that are run; some hundred without it.
Source: page 5 of the design, "anything, in any order".
"""

from __future__ import annotations

import asyncio
import faulthandler
import hashlib
import os
import random
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from lading.protocol.digests import crc32c
from lading.protocol.errors import LadingError
from lading.protocol.manifest import Piece
from lading.protocol.spec import UploadSpec
from lading.server.access.principal import Principal
from lading.server.uploads import OpenUpload
from lading.storage.database import Database, connect
from tests.support.clock import NOW, Clock
from tests.support.parts import CELL, TOMBSTONE_TTL, TTL, Parts

FEW_STEPS = 400
STEPS_AT_ONCE = 50
LARGEST = 3 * CELL + 300
TOMBS = ("expired", "deleted")

USERS = st.sampled_from(["ann", "bob"])
STRANGE = st.sampled_from([False] * 7 + [True])
"""Whether it is another user who asks."""
PROCESSES = st.integers(0, 1)
STATES = st.sampled_from(["uploading", "ready"])
SIZES = st.sampled_from([None, 0, 1, CELL - 1, CELL, CELL + 1, 2 * CELL + 500, 3 * CELL])
QUOTAS = st.sampled_from([None, 0, CELL, 4 * CELL, 10 * CELL])

T = TypeVar("T")
Answer = tuple[str, Any]
"""`done` and what was given, or the code of the error and nothing."""


@dataclass
class Upload:
    """What the model keeps of an upload. `state` is `forgotten` after the tombstone is gone."""

    user: str
    size: int | None
    declared: str | None
    content: bytes
    expires: float
    reserved: int
    id: str = ""
    state: str = "uploading"
    pieces: dict[int, bytes] = field(default_factory=dict)
    late: dict[int, bytes] = field(default_factory=dict)
    """Pieces that came after its death."""

    @property
    def alive(self) -> bool:
        return self.state in ("uploading", "ready")

    @property
    def end(self) -> int:
        return max((start + len(data) for start, data in self.pieces.items()), default=0)

    @property
    def stored(self) -> int:
        return sum(map(len, self.pieces.values()))

    def missing(self, size: int | None) -> list[tuple[int, int]]:
        """The gaps, byte by byte."""
        have = bytearray(LARGEST + CELL)
        for start, data in self.pieces.items():
            have[start : start + len(data)] = b"\1" * len(data)
        until = self.end if size is None else max(size, self.end)
        gaps: list[tuple[int, int]] = []
        for place in range(until):
            if not have[place]:
                if gaps and gaps[-1][1] == place:
                    gaps[-1] = (gaps[-1][0], place + 1)
                else:
                    gaps.append((place, place + 1))
        return gaps

    def bytes(self) -> bytes:
        return b"".join(self.pieces[start] for start in sorted(self.pieces))

    def asked_by(self, stranger: bool) -> str:
        """The user who asks."""
        return {"ann": "bob", "bob": "ann"}[self.user] if stranger else self.user

    def closed_to(self, user: str) -> str | None:
        """The code that a user hears who asks for it; None when it is there."""
        if user != self.user or self.state in ("deleted", "forgotten"):
            return "not-found"
        return "gone" if self.state == "expired" else None


@dataclass
class Tally:
    """What was run, over all examples."""

    steps: int = 0
    examples: int = 0


class World:
    """The real thing, for all examples one after another."""

    def __init__(self, runner: asyncio.Runner, database_url: str) -> None:
        self.run = runner.run
        self.database = Database(connect(database_url))
        self.run(self.database.prepare())
        self.tally = Tally()
        self.clock = Clock()
        # Not durable, since nothing is lost here: that is many times as fast.
        self._fast = self.database.client.get_default_database()

    def begin(self) -> tuple[Parts, Parts]:
        """Two processes on an empty database."""
        self.clock.now = NOW
        self.tally.examples += 1
        self.tally.steps -= 1  # invariants are looked at once before the first step

        async def clear() -> None:
            for name in ("manifests", "chunks", "quotas"):
                await self._fast[name].delete_many({})

        self.run(clear())
        return Parts(self.database, self.clock), Parts(self.database, self.clock)

    def documents(self, name: str, fields: dict[str, int]) -> list[dict[str, Any]]:
        async def look() -> Any:
            return await getattr(self.database, name).find({}, fields).to_list(None)

        found: list[dict[str, Any]] = self.run(look())
        return found

    def answer(self, work: Awaitable[T]) -> Answer:
        async def answered() -> Answer:
            try:
                return "done", await work
            except LadingError as error:
                return error.code, None

        return self.run(answered())

    def close(self) -> None:
        self.run(self.database.close())


class Machine(RuleBasedStateMachine):
    """Every step does the same to both and compares what they say."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.processes = self.world.begin()
        self.clock = self.world.clock
        self.known: list[Upload] = []
        self.handles: list[tuple[Upload, int, OpenUpload]] = []
        self.quotas: dict[str, int | None] = {}

    # -- what the model says of accounts

    def charged(self, user: str) -> tuple[int, int]:
        """Bytes used and reserved."""
        mine = [each for each in self.known if each.user == user]
        used = sum(each.size or 0 for each in mine if each.state == "ready")
        return used, sum(each.reserved for each in mine if each.state == "uploading")

    def fits(self, user: str, more: int) -> bool:
        limit = self.quotas.get(user)
        return limit is None or sum(self.charged(user)) + more <= limit

    def touch(self, upload: Upload) -> None:
        if upload.state == "uploading":
            upload.expires = max(upload.expires, self.clock.now + TTL)

    def die(self, upload: Upload, state: str) -> None:
        upload.state, upload.expires = state, self.clock.now + TOMBSTONE_TTL
        upload.pieces.clear()

    def choose(self, data: st.DataObject, likely: str = "uploading") -> Upload:
        """An upload; most often one in the state in which the step is likely to do something."""
        often = [each for each in self.known if each.state == likely]
        return data.draw(st.sampled_from(often * 4 + self.known), "upload")

    # -- a life

    @initialize(sizes=st.tuples(SIZES, SIZES))
    def begin(self, sizes: tuple[int | None, int | None]) -> None:
        for user, size in zip(("ann", "bob"), sizes, strict=True):
            self.create(user, size, declares=False, process=0)

    @rule(user=USERS, size=SIZES, declares=st.booleans(), process=PROCESSES)
    def create(self, user: str, size: int | None, declares: bool, process: int) -> None:
        content = random.Random(len(self.known)).randbytes(LARGEST + CELL)
        digest = hashlib.sha256(content[: size or 0]).hexdigest() if declares else None
        spec = UploadSpec(name="a.bin", size=size, sha256=digest, fingerprint=f"of {size}")
        uploads = self.processes[process].uploads
        code, opened = self.world.answer(uploads.create(Principal(user), spec))
        if not self.fits(user, size or 0):
            assert code == "quota-exceeded"
            return
        assert code == "done"
        upload = Upload(user, size, digest, content, self.clock.now + TTL, size or 0)
        upload.id = opened.manifest.id
        self.known.append(upload)

    @precondition(lambda self: self.known)
    @rule(data=st.data(), strange=STRANGE, process=PROCESSES)
    def open(self, data: st.DataObject, strange: bool, process: int) -> None:
        upload = self.choose(data)
        user = upload.asked_by(strange)
        uploads = self.processes[process].uploads
        code, opened = self.world.answer(uploads.resume(Principal(user), upload.id))
        expected = upload.closed_to(user)
        assert code == (expected or "done")
        if expected is None:
            handle, coverage = opened
            self.handles.append((upload, process, handle))
            self.touch(upload)
            assert coverage.missing == upload.missing(upload.size)
            assert coverage.upload_size == handle.stored == upload.stored

    @precondition(lambda self: self.known)
    @rule(data=st.data(), process=PROCESSES)
    def write_what_comes_next(self, data: st.DataObject, process: int) -> None:
        upload = self.choose(data)
        start = next((begin for begin, _ in upload.missing(upload.size)), upload.end)
        stop = min(start - start % CELL + CELL, upload.size or LARGEST)
        self.write_piece(upload, process, start, upload.content[start:stop])

    @precondition(lambda self: self.known)
    @rule(data=st.data(), process=PROCESSES)
    def write_all_and_finish(self, data: st.DataObject, process: int) -> None:
        upload = self.choose(data)
        for begin, end in upload.missing(upload.size):
            for cell in range(begin // CELL, -(-end // CELL)):
                start, stop = max(begin, cell * CELL), min(end, (cell + 1) * CELL)
                self.write_piece(upload, process, start, upload.content[start:stop])
        self.finish_as(upload, upload.user, process, upload.end, None)

    @precondition(lambda self: self.known)
    @rule(
        data=st.data(),
        process=PROCESSES,
        kind=st.sampled_from(["right", "right", "other bytes", "damaged"]),
        whole_cells=st.booleans(),
    )
    def write_anything(
        self, data: st.DataObject, process: int, kind: str, whole_cells: bool
    ) -> None:
        upload = self.choose(data)
        start, piece = self.choose_piece(upload, data, kind)
        damaged = kind == "damaged"
        self.write_piece(upload, process, start, piece, whole_cells=whole_cells, damaged=damaged)

    def write_piece(
        self,
        upload: Upload,
        process: int,
        start: int,
        piece: bytes,
        *,
        whole_cells: bool = True,
        damaged: bool = False,
    ) -> None:
        uploads = self.processes[process].uploads

        async def write() -> Any:
            handle = await uploads.join(Principal(upload.user), upload.id)
            checksum = crc32c(piece) ^ damaged
            return await uploads.write(handle, start, piece, checksum, whole_cells=whole_cells)

        code, written = self.world.answer(write())
        expected = upload.closed_to(upload.user)
        if expected is None and damaged:
            expected = "checksum-mismatch"
        if expected is None:
            self.touch(upload)
            expected = self.judge(upload, start, piece, whole_cells=whole_cells)
        assert code == expected
        if expected == "done":
            upload.pieces[start] = piece
            assert written.size == len(piece)

    def choose_piece(self, upload: Upload, data: st.DataObject, kind: str) -> tuple[int, bytes]:
        """Mostly something that fits; sometimes anything."""
        borders = [cell * CELL for cell in range(4)]
        ends = sorted({start + len(piece) for start, piece in upload.pieces.items()})
        start = data.draw(st.sampled_from([*borders, *ends]) | st.integers(-1, LARGEST), "start")
        rest = CELL - start % CELL
        last = rest if upload.size is None else max(min(rest, upload.size - start), 0)
        size = data.draw(st.just(last) | st.integers(0, CELL + 1), "size")
        if start < 0:
            return start, b"x" * size
        piece = upload.content[start : start + size]
        if kind == "other bytes":
            piece = bytes(255 - each for each in piece)
        return start, piece

    def judge(self, upload: Upload, start: int, piece: bytes, *, whole_cells: bool) -> str:
        """What is answered to a piece that arrived whole; reserves what it needs."""
        end, size = start + len(piece), upload.size
        border = start - start % CELL + CELL
        limit = border if size is None else min(border, size)
        if not piece or start < 0 or end > limit:
            return "out-of-bounds"
        if upload.state == "ready":
            return "done" if upload.pieces.get(start) == piece else "already-complete"
        if whole_cells and size is not None and end != limit:
            return "out-of-bounds"
        follows = any(each + len(data) == start for each, data in upload.pieces.items())
        if start % CELL and not follows:
            return "out-of-bounds"
        if size is None and end > upload.reserved:
            if not self.fits(upload.user, end - upload.reserved):
                return "quota-exceeded"
            upload.reserved = end
        return "done" if upload.pieces.get(start, piece) == piece else "chunk-conflict"

    @precondition(lambda self: self.known)
    @rule(
        data=st.data(),
        strange=STRANGE,
        process=PROCESSES,
        size=st.sampled_from(["its end", "its end", "its end", "one more", "nothing"]),
        digest=st.sampled_from(["right", "wrong", "nothing", "nothing"]),
    )
    def finish(
        self, data: st.DataObject, strange: bool, process: int, size: str, digest: str
    ) -> None:
        upload = self.choose(data)
        user = upload.asked_by(strange)
        known = upload.end if upload.size is None else upload.size
        said = {"its end": known, "one more": known + 1, "nothing": None}[size]
        sha256 = {
            "right": hashlib.sha256(upload.content[: said or known]).hexdigest(),
            "wrong": "0" * 64,
            "nothing": None,
        }[digest]
        self.finish_as(upload, user, process, said, sha256)

    def finish_as(
        self, upload: Upload, user: str, process: int, said: int | None, sha256: str | None
    ) -> None:
        uploads = self.processes[process].uploads
        work = uploads.finish(Principal(user), upload.id, said, sha256)
        code, manifest = self.world.answer(work)
        closed = upload.closed_to(user)
        if closed is None:
            self.touch(upload)
        expected = closed or self.prove(upload, said, sha256)
        assert code == expected
        if expected == "done":
            if upload.state == "uploading":
                upload.state, upload.size, upload.reserved = "ready", manifest.size, 0
            assert (manifest.id, manifest.size) == (upload.id, upload.size)
            assert manifest.crc32c == crc32c(upload.bytes())

    def prove(self, upload: Upload, said: int | None, sha256: str | None) -> str:
        size = upload.size if said is None else said
        if size is None or upload.size not in (None, size):
            return "invalid-argument"
        if upload.declared and sha256 and upload.declared != sha256:
            return "checksum-mismatch"
        if upload.state == "uploading" and upload.end > size:
            return "invalid-argument"
        if upload.missing(size):
            return "incomplete"
        digest = upload.declared or sha256
        if digest and hashlib.sha256(upload.bytes()).hexdigest() != digest:
            return "checksum-mismatch"
        return "done"

    @precondition(lambda self: self.known)
    @rule(data=st.data(), strange=STRANGE, process=PROCESSES, likely=STATES)
    def remove(self, data: st.DataObject, strange: bool, process: int, likely: str) -> None:
        upload = self.choose(data, likely)
        user = upload.asked_by(strange)
        uploads = self.processes[process].uploads
        code, _ = self.world.answer(uploads.delete(Principal(user), upload.id))
        expected = upload.closed_to(user)
        assert code == (expected or "done")
        if expected is None:
            self.die(upload, "deleted")

    # -- those who come late

    @precondition(lambda self: self.handles)
    @rule(data=st.data())
    def write_where_it_was_open(self, data: st.DataObject) -> None:
        """By a connection that may not have heard yet how the upload ended."""
        upload, process, handle = data.draw(st.sampled_from(self.handles), "handle")
        start, piece = self.choose_piece(upload, data, "right")
        work = self.processes[process].uploads.write(handle, start, piece, crc32c(piece))
        code, _ = self.world.answer(work)
        if upload.alive:
            self.touch(upload)
            expected = self.judge(upload, start, piece, whole_cells=True)
            # A connection that does not know the size that FINISH gave has other reasons to refuse.
            late = {expected, code} == {"out-of-bounds", "already-complete"}
            assert code == expected or (late and upload.state == "ready")
        if code == "done" and upload.alive:
            upload.pieces[start] = piece
        elif code == "done":
            assert upload.state != "forgotten", "nobody would clear it"
            upload.late[start] = piece
        elif not upload.alive:
            assert code in (
                "gone",
                "not-found",
                "out-of-bounds",
                "chunk-conflict",
                "already-complete",
            )
            if code in ("gone", "not-found") and (upload.id, start) not in self.stored():
                # It came again, and was found to be late only this time.
                upload.late.pop(start, None)

    @precondition(lambda self: any(each.state in TOMBS for each in self.known))
    @rule(data=st.data(), cell=st.integers(0, 3))
    def write_late(self, data: st.DataObject, cell: int) -> None:
        """By a process that judged the piece while the upload was alive, and stored it after."""
        dead = [each for each in self.known if each.state in TOMBS]
        upload = data.draw(st.sampled_from(dead), "upload")
        piece = Piece(cell * CELL, 1, crc32c(b"x"))
        code, _ = self.world.answer(self.processes[0].chunks.write(upload.id, piece, b"x"))
        there = upload.late.setdefault(piece.slice_start, b"x")
        assert code == ("done" if there == b"x" else "chunk-conflict")

    @precondition(lambda self: self.handles)
    @rule(data=st.data())
    def close_handle(self, data: st.DataObject) -> None:
        place = data.draw(st.integers(0, len(self.handles) - 1), "handle")
        del self.handles[place]

    # -- looking

    @precondition(lambda self: self.known)
    @rule(data=st.data(), strange=STRANGE, process=PROCESSES, likely=STATES)
    def read(self, data: st.DataObject, strange: bool, process: int, likely: str) -> None:
        upload = self.choose(data, likely)
        user = upload.asked_by(strange)
        uploads = self.processes[process].uploads
        gaps = upload.missing(upload.size)
        stored = gaps[0][0] if gaps else upload.end
        start = data.draw(st.integers(0, stored), "from")
        end = data.draw(st.integers(start, stored), "to")

        async def read() -> bytes:
            manifest = await uploads.get(Principal(user), upload.id)
            return b"".join([part async for part in uploads.read(manifest, start, end)])

        code, found = self.world.answer(read())
        expected = upload.closed_to(user)
        assert code == (expected or "done")
        if expected is None:
            assert found == upload.bytes()[start:end]

    @rule(user=USERS, process=PROCESSES, fingerprint=st.none() | SIZES.map("of {}".format))
    def list_all(self, user: str, process: int, fingerprint: str | None) -> None:
        uploads, who = self.processes[process].uploads, Principal(user)
        mine = [each for each in self.known if each.user == user][::-1]
        _, found = self.world.answer(uploads.unfinished(who, fingerprint))
        told = [(m.id, stored.missing, stored.upload_size) for m, stored in found]
        assert told == [
            (each.id, each.missing(each.size), each.stored)
            for each in mine
            if each.state == "uploading" and fingerprint in (None, f"of {each.size}")
        ]
        _, files = self.world.answer(self.processes[process].library.files(who))
        ready = [(each.id, each.size) for each in mine if each.state == "ready"]
        assert [(each.id, each.size) for each in files] == ready

    # -- time, the janitor, quotas

    @rule(seconds=st.sampled_from([1.0, 60.0, TOMBSTONE_TTL, TTL / 2, TTL]))
    def let_time_pass(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(process=PROCESSES)
    def look_for_work(self, process: int) -> None:
        """Whoever deletes or expires also empties, so nothing is left for the outbox."""
        looked = self.world.answer(self.processes[process].uploads.todo.once())
        assert looked == ("done", 0)

    @rule(process=PROCESSES, dry_run=st.sampled_from([False, False, True]))
    def sweep(self, process: int, dry_run: bool) -> None:
        _, report = self.world.answer(self.processes[process].sweeper.sweep(dry_run=dry_run))
        due = [each for each in self.known if each.expires <= self.clock.now]
        expired = [each for each in due if each.state == "uploading"]
        purged = [each for each in due if each.state in TOMBS]
        assert (report.expired, report.emptied) == (len(expired), len(expired))
        assert (report.purged, report.failed) == (len(purged), 0)
        if dry_run:
            assert report.pieces == 0
            return
        pieces = sum(len(each.pieces) for each in expired) + sum(len(e.late) for e in purged)
        assert report.pieces == pieces
        for each in expired:
            self.die(each, "expired")
        for each in purged:
            each.state = "forgotten"
            each.late.clear()

    @rule(user=USERS, limit=QUOTAS, process=PROCESSES)
    def set_quota(self, user: str, limit: int | None, process: int) -> None:
        self.quotas[user] = limit
        _, account = self.world.answer(self.processes[process].quotas.set_quota(user, limit))
        assert account.quota == limit

    @rule(user=USERS, process=PROCESSES)
    def recount(self, user: str, process: int) -> None:
        assert self.world.run(self.processes[process].recount(user)) is None

    # -- after each step

    @invariant()
    def count(self) -> None:
        self.world.tally.steps += 1

    @invariant()
    def states_are_equal(self) -> None:
        found = self.world.documents("manifests", {"state": 1, "expires_at": 1})
        told = {str(each["_id"]): (each["state"], each["expires_at"]) for each in found}
        told_states = {
            key: (state, None if expires is None else expires.timestamp())
            for key, (state, expires) in told.items()
        }
        assert told_states == {
            each.id: (each.state, None if each.state == "ready" else each.expires)
            for each in self.known
            if each.state != "forgotten"
        }

    def stored(self) -> set[tuple[str, int]]:
        """The uploads and places of all pieces that there are."""
        found = self.world.documents("chunks", {"_id": 0, "upload_id": 1, "slice_start": 1})
        return {(str(each["upload_id"]), each["slice_start"]) for each in found}

    @invariant()
    def pieces_are_equal(self) -> None:
        expected = {
            (each.id, start)
            for each in self.known
            for start in (each.pieces if each.alive else each.late)
        }
        assert self.stored() == expected

    @invariant()
    def accounts_are_equal(self) -> None:
        for found in self.world.documents("quotas", {}):
            used, reserved = self.charged(found["_id"])
            assert (found["charged"] - found["reserved"], found["reserved"]) == (used, reserved)
            assert found["reserved"] == sum(found["open"].values())
            assert found["leaving"] == {}

    def teardown(self) -> None:
        """In the end everything unfinished expires, is forgotten, and leaves nothing."""
        self.clock.now += TTL
        self.sweep(0, dry_run=False)
        self.clock.now += TOMBSTONE_TTL
        self.sweep(1, dry_run=False)
        self.states_are_equal()
        self.pieces_are_equal()
        self.accounts_are_equal()
        assert all(each.state in ("ready", "forgotten") for each in self.known)
        assert self.world.run(self.processes[0].audit()) == []


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    with asyncio.Runner() as runner:
        found = World(runner, database_url)
        yield found
        found.close()


@pytest.mark.timeout(0)
def test_any_steps_in_any_order(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    # As long as it takes: many steps do, and so does the search for the fewest that fail.
    faulthandler.cancel_dump_traceback_later()
    least = int(os.environ.get("LADING_MODEL_STEPS", FEW_STEPS))
    machine = type("Model", (Machine,), {"world": world})
    while world.tally.steps < least:
        examples = max(1, (least - world.tally.steps) // STEPS_AT_ONCE)
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=min(examples, 200),
                stateful_step_count=STEPS_AT_ONCE,
                deadline=None,
                database=None,
                print_blob=True,
                suppress_health_check=list(HealthCheck),
            ),
        )
    with capsys.disabled():
        print(f"model: {world.tally.steps} steps in {world.tally.examples} runs")
