"""Moving files between homes: whatever breaks, each file is in one home, whole, and readable."""

from __future__ import annotations

import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from lading.janitor import move
from lading.janitor.move import Mover
from lading.janitor.sweep import Lost, always
from lading.protocol.digests import crc32c
from lading.protocol.errors import NotFound, Unavailable
from lading.protocol.manifest import Manifest, Piece, State
from lading.protocol.spec import UploadSpec
from lading.server.limits import UploadLimits
from lading.storage import contents
from lading.storage.blobs.base import Moved, Pieces
from lading.storage.blobs.directory import Directory
from lading.storage.collections.outbox import Claim
from lading.storage.database import Database
from tests.support.blobs import kept
from tests.support.clock import Clock
from tests.support.parts import ANN, CELL, Parts, settings
from tests.support.steps import Crash, Steps, stepped

LEASE = UploadLimits().todo_lease_seconds
DATA = bytes(range(256)) * 14  # three cells and a half


@pytest.fixture
def directory(tmp_path: Path) -> str:
    for name in ("home", "home-2"):
        Directory(f"{tmp_path}/{name}", create=True).close()
    return f"file://{tmp_path}/home"


def parts_at(database: Database, home: str, clock: Clock | None = None) -> Parts:
    """A process whose setting is `home`."""
    return Parts(database, clock or Clock(), settings(blobs=home))


async def stored(parts: Parts, data: bytes = DATA, name: str = "film.bin") -> Manifest:
    """A finished file where the setting puts it."""
    opened = await parts.uploads.create(ANN, UploadSpec(name=name, size=len(data)))
    for start in range(0, len(data), CELL):
        piece = data[start : start + CELL]
        await parts.uploads.write(opened, start, piece, crc32c(piece))
    return await parts.uploads.finish(ANN, opened.manifest.id)


async def read(parts: Parts, manifest: Manifest) -> bytes:
    assert manifest.size is not None
    return b"".join([data async for data in parts.uploads.read(manifest, 0, manifest.size)])


async def now(parts: Parts, manifest: Manifest) -> Manifest:
    found = await parts.manifests.get(manifest.id)
    assert found is not None
    return found


async def begin(parts: Parts, manifest: Manifest, target: str) -> Claim | None:
    at = parts.clock()
    return await parts.storage.outbox.begin_move(manifest, target, now=at, claimed_until=at + LEASE)


async def moved(parts: Parts, manifest: Manifest, target: str) -> Manifest:
    claim = await begin(parts, await now(parts, manifest), target)
    assert claim is not None
    assert await parts.uploads.todo.work(claim)
    return await now(parts, manifest)


async def homes_with_bytes(parts: Parts, manifest: Manifest, *homes: str) -> list[str]:
    """Where a piece of the file can be read."""
    found = []
    first = await parts.storage.chunks.at(manifest.id, 0)
    for home in homes if first is not None else ():
        assert first is not None
        try:
            await parts.storage.blobs[home].read(manifest.id, [first])
        except Moved:
            continue
        found.append(home)
    return found


async def test_who_finishes_is_told_of_no_step_that_is_done(
    database: Database, directory: str
) -> None:
    parts = parts_at(database, directory)
    file = await stored(parts)
    assert file.todo == ()
    assert await now(parts, file) == file
    turned = await parts.library.change(ANN, file.id, public=True)
    assert (turned.public, turned.todo) == (True, ())


# -- from home to home


@pytest.mark.parametrize("size", [0, 1, CELL, len(DATA)])
async def test_there_and_back(database: Database, directory: str, size: int) -> None:
    parts, data = parts_at(database, "mongo"), DATA[:size]
    file = await stored(parts, data)
    for target in (directory, "mongo", directory):
        there = await moved(parts, file, target)
        assert (there.blobs, there.move_to, there.drop_at, there.todo) == (target, None, (), ())
        assert await read(parts, there) == data
        if size:
            assert await homes_with_bytes(parts, file, "mongo", directory) == [target]
        assert await parts.audit() == []
    assert there.revision == file.revision, "nobody asked for another file"
    await parts.uploads.delete(ANN, file.id)
    assert await parts.pieces(file.id) == 0
    assert await kept(parts.storage.blobs[directory]) == set()


async def test_a_file_that_is_being_read_moves_under_its_reader(
    database: Database, directory: str
) -> None:
    parts = parts_at(database, "mongo")
    file = await stored(parts)
    got = b""
    async for data in parts.uploads.read(file, 0, len(DATA)):
        got += data
        here = (await now(parts, file)).blobs
        await moved(parts, file, directory if here == "mongo" else "mongo")
    assert got == DATA


async def test_what_finishes_elsewhere_than_at_home_moves(
    database: Database, directory: str
) -> None:
    """The setting changed while it was uploaded."""
    before = parts_at(database, "mongo")
    opened = await before.uploads.create(ANN, UploadSpec(name="a", size=len(DATA)))
    for start in range(0, len(DATA), CELL):
        piece = DATA[start : start + CELL]
        await before.uploads.write(opened, start, piece, crc32c(piece))
    after = parts_at(database, directory, before.clock)
    file = await after.uploads.finish(ANN, opened.manifest.id)
    assert (file.blobs, file.move_to, file.todo) == ("mongo", directory, ("move",))
    assert await after.uploads.todo.once() == 1
    assert (await now(after, file)).blobs == directory
    assert await read(after, file) == DATA


async def test_what_is_finished_lies_in_its_final_place(
    database: Database, directory: str, tmp_path: Path
) -> None:
    parts = parts_at(database, directory)
    file = await stored(parts)
    assert (await now(parts, file)).todo == ()
    assert (tmp_path / "home" / "private" / file.id[-2:] / file.id / "0").read_bytes() == DATA
    assert list((tmp_path / "home" / "incoming").iterdir()) == []


async def test_what_is_made_public_goes_to_the_public_folder_and_back(
    database: Database, directory: str, tmp_path: Path
) -> None:
    parts = parts_at(database, directory)
    file = await stored(parts)
    for public in (True, False, False, True):
        changed = await parts.library.change(ANN, file.id, public=public)
        assert changed.public is public
        lies = tmp_path / "home" / ("public" if public else "private") / file.id[-2:] / file.id
        assert (lies / "0").read_bytes() == DATA
        assert (await now(parts, file)).todo == ()
        assert await read(parts, file) == DATA
        assert await parts.audit() == []


async def test_what_is_made_public_before_it_is_finished_is_published_there(
    database: Database, directory: str, tmp_path: Path
) -> None:
    parts = parts_at(database, directory)
    opened = await parts.uploads.create(ANN, UploadSpec(name="a", size=1, public=True))
    await parts.uploads.write(opened, 0, b"x", crc32c(b"x"))
    file = opened.manifest
    await parts.library.change(ANN, file.id, public=False)
    await parts.library.change(ANN, file.id, public=True)
    await parts.uploads.finish(ANN, file.id)
    assert (tmp_path / "home" / "public" / file.id[-2:] / file.id / "0").read_bytes() == b"x"


async def test_who_holds_the_steps_does_one_again_that_its_file_outran(
    database: Database, directory: str, tmp_path: Path
) -> None:
    """A rename that was on its way while the file was made private is not the last word."""
    parts = parts_at(database, directory)
    other = parts_at(database, directory, parts.clock)
    file = await stored(parts)
    driver = parts.storage.blobs.bare(directory)
    place, turned = driver.place, False

    async def late(manifest: Manifest) -> None:
        nonlocal turned
        if not turned:
            turned = True
            await other.library.change(ANN, file.id, public=False)
        await place(manifest)

    vars(driver)["place"] = late
    await parts.library.change(ANN, file.id, public=True)
    assert not (await now(parts, file)).public
    assert (tmp_path / "home" / "private" / file.id[-2:] / file.id / "0").exists()
    assert not (tmp_path / "home" / "public" / file.id[-2:] / file.id).exists()


# -- crashes


@pytest.mark.parametrize("way", ["out", "back"])
async def test_after_a_crash_anywhere_another_server_moves_it(
    database: Database, steps: Steps, directory: str, way: str
) -> None:
    parts = parts_at(database, "mongo")
    crashing = parts_at(steps, "mongo", parts.clock)
    file, number, crashed = await stored(parts), 0, True
    while crashed:
        number += 1
        if way == "back":
            await moved(parts, file, directory)
        target = "mongo" if way == "back" else directory
        steps.crash_before(number)
        try:
            claim = await begin(crashing, await now(parts, file), target)
            assert claim is not None
            await work(crashing, claim)
        except Crash:
            pass
        else:
            crashed = False
        steps.recover()
        assert await read(parts, file) == DATA, "it is never without a home"
        parts.clock.now += LEASE
        await parts.uploads.todo.once()
        there = await now(parts, file)
        assert there.todo == ()
        assert there.blobs in (target, "mongo" if number == 1 and way == "out" else directory)
        assert await homes_with_bytes(parts, file, "mongo", directory) == [there.blobs]
        assert await parts.audit() == []
        await moved(parts, file, "mongo")
    assert number > 8


async def work(parts: Parts, claim: Claim) -> None:
    """The step as it is worked off, but a crash ends it."""
    manifest: Manifest | None = claim.manifest
    mover = mover_of(parts)
    while manifest is not None and manifest.todo:
        await mover.move(manifest, always)
        manifest = await parts.storage.outbox.take_out(manifest, "move")


def mover_of(parts: Parts) -> Mover:
    storage = parts.storage
    return Mover(storage.manifests, storage.outbox, storage.contents, storage.blobs)


async def test_an_answer_that_is_lost_does_not_move_it_twice(
    database: Database, steps: Steps, directory: str
) -> None:
    parts = parts_at(database, "mongo")
    shaky = parts_at(steps, "mongo", parts.clock)
    file = await stored(parts)
    claim = await begin(parts, file, directory)
    assert claim is not None
    steps.lose_every_write()
    assert await shaky.uploads.todo.work(claim)
    there = await now(parts, file)
    assert (there.blobs, there.drop_at) == (directory, ())
    assert await read(parts, file) == DATA


@pytest.mark.parametrize("way", ["out", "back"])
@pytest.mark.parametrize("crashes", [False, True])
async def test_pieces_that_are_joined_while_their_file_moves_are_all_there(
    database: Database,
    *,
    database_url: str,
    steps: Steps,
    directory: str,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    crashes: bool,
) -> None:
    """By a request that stood still since before the file was finished, and may crash."""
    monkeypatch.setattr(contents, "READ_AT_ONCE", 2)
    monkeypatch.setattr(move, "READ_AT_ONCE", 500)
    home, target = ("mongo", directory) if way == "out" else (directory, "mongo")
    parts, joining = parts_at(database, home), stepped(database_url)
    moving, joiner = parts_at(steps, home, parts.clock), parts_at(joining, home, parts.clock)
    data, number, joined = DATA[: 2 * CELL], 0, True
    while joined:
        number += 1
        upload = await parts.uploads.create(ANN, UploadSpec(name="a", size=len(data)))
        for start, end in ((0, 400), (400, 800), (800, CELL), (CELL, CELL + 5), (CELL + 5, 2048)):
            piece = data[start:end]
            await parts.uploads.write(upload, start, piece, crc32c(piece), whole_cells=False)
        chains = [
            await parts.storage.contents.chain(upload.manifest, cell, cell + CELL)
            for cell in (0, CELL)
        ]
        before = upload.manifest
        file = await parts.uploads.finish(ANN, before.id)
        joined = False

        async def join(
            before: Manifest = before,
            chains: list[list[Piece]] = chains,
        ) -> None:
            nonlocal joined
            joined = True
            for chain in chains:
                if crashes:
                    joining.crash_before(3 if home == "mongo" else 2)
                with suppress(Crash):
                    await joiner.storage.contents.join(before, chain)
                joining.recover()

        steps.before(number, join)
        claim = await begin(moving, await now(moving, file), target)
        assert claim is not None
        await moving.uploads.todo.work(claim)
        steps.recover()
        parts.clock.now += 200
        await parts.uploads.todo.once()
        there = await now(parts, file)
        assert (there.blobs, there.todo) == (target, ())
        assert await read(parts, there) == data
        assert await parts.audit() == []
        await parts.uploads.delete(ANN, file.id)
    assert number > 8
    await joining.close()


# -- deletion and other moves at the same moment


class Gate:
    """A home that lets the test act while a file is being taken."""

    def __init__(self, parts: Parts, home: str) -> None:
        self._driver = parts.storage.blobs.bare(home)
        self._take = self._driver.take
        vars(self._driver)["take"] = self.take
        self.act: Callable[[], Awaitable[object]] | None = None

    async def take(self, manifest: Manifest, pieces: Pieces) -> None:
        async def acting() -> AsyncGenerator[tuple[Piece, bytes], None]:
            async for each in pieces:
                yield each
            if self.act is not None:
                act, self.act = self.act, None
                await act()

        await self._take(manifest, acting())


async def test_a_file_that_is_deleted_while_it_moves_leaves_nothing(
    database: Database, directory: str
) -> None:
    parts = parts_at(database, "mongo")
    other = parts_at(database, "mongo", parts.clock)
    file = await stored(parts)
    gate = Gate(parts, directory)
    gate.act = lambda: other.uploads.delete(ANN, file.id)
    claim = await begin(parts, file, directory)
    assert claim is not None
    assert not await parts.uploads.todo.work(claim)
    with pytest.raises(NotFound):
        await parts.uploads.get(ANN, file.id)
    parts.clock.now += LEASE
    await parts.uploads.todo.once()
    assert await parts.pieces(file.id) == 0
    assert await kept(parts.storage.blobs[directory]) == set()
    assert await parts.usage("ann") == (0, 0)


async def test_a_file_sent_elsewhere_is_not_left_where_it_was_going(
    database: Database, directory: str
) -> None:
    parts, other = parts_at(database, "mongo"), f"{directory}-2"
    file = await stored(parts)
    claim = await begin(parts, file, directory)
    assert claim is not None
    gate = Gate(parts, directory)

    async def elsewhere() -> None:
        parts.clock.now += 2 * LEASE
        await moved(parts, file, other)

    gate.act = elsewhere
    assert not await parts.uploads.todo.work(claim)
    there = await now(parts, file)
    assert (there.blobs, there.move_to, there.drop_at, there.todo) == (other, None, (), ())
    assert await homes_with_bytes(parts, file, "mongo", directory, other) == [other]
    assert await read(parts, file) == DATA


async def test_a_move_that_is_called_off_leaves_the_file_at_home(
    database: Database, directory: str
) -> None:
    parts = parts_at(database, "mongo")
    file = await stored(parts)
    claim = await begin(parts, file, "s3://nowhere")
    assert claim is not None
    assert await begin(parts, claim.manifest, "mongo") is None, "somebody works on it"
    parts.clock.now += LEASE
    again = await begin(parts, claim.manifest, "mongo")
    assert again is not None
    assert (again.manifest.move_to, again.manifest.drop_at) == (None, ("s3://nowhere",))
    assert await read(parts, file) == DATA


async def test_a_home_that_fails_keeps_the_file_where_it_is(
    database: Database, directory: str
) -> None:
    parts = parts_at(database, "mongo")
    file = await stored(parts)
    gate = Gate(parts, directory)

    async def down() -> None:
        raise Unavailable("The home does not answer.")

    gate.act = down
    claim = await begin(parts, file, directory)
    assert claim is not None
    assert not await parts.uploads.todo.work(claim)
    there = await now(parts, file)
    assert (there.blobs, there.move_to, there.todo) == ("mongo", directory, ("move",))
    assert await read(parts, file) == DATA
    parts.clock.now += LEASE
    assert await parts.uploads.todo.once() == 1
    assert (await now(parts, file)).blobs == directory


async def test_a_file_of_which_a_piece_is_lost_stays_where_it_is(
    database: Database, directory: str
) -> None:
    parts = parts_at(database, "mongo")
    file = await stored(parts)
    places = [piece async for piece in parts.storage.contents.layout(file)]
    assert len(places) > 2
    await parts.storage.blobs.ingest_driver("mongo").remove(file.id, places[1].slice_start)
    claim = await begin(parts, file, directory)
    assert claim is not None
    assert not await parts.uploads.todo.work(claim)
    there = await now(parts, file)
    assert (there.blobs, there.todo) == ("mongo", ("move",))
    assert await homes_with_bytes(parts, file, "mongo", directory) == ["mongo"]


async def test_a_move_that_was_paused_past_its_claim_drops_nothing(
    database: Database, directory: str
) -> None:
    """It wakes up when the file has moved on, and back to where this one would drop it."""
    parts = parts_at(database, "mongo")
    file = await stored(parts)
    claim = await begin(parts, file, directory)
    assert claim is not None
    stale = replace(claim.manifest, blobs=directory, move_to=None, drop_at=("mongo",))
    await moved_by_another(parts, file)

    async def lost() -> None:
        raise Lost

    with pytest.raises(Lost):
        await mover_of(parts).move(stale, lost)
    assert await read(parts, file) == DATA
    assert (await now(parts, file)).state is State.READY


async def moved_by_another(parts: Parts, file: Manifest) -> None:
    parts.clock.now += 2 * LEASE
    await parts.uploads.todo.once()
    await moved(parts, file, "mongo")


# -- the audit


async def test_the_audit_names_what_is_missing_at_a_home_and_what_is_too_much(
    database: Database, directory: str, tmp_path: Path
) -> None:
    parts = parts_at(database, directory)
    missing, whole, elsewhere = [await stored(parts) for _ in range(3)]
    shutil.rmtree(tmp_path / "home" / "private" / missing.id[-2:] / missing.id)
    await moved(parts, elsewhere, "mongo")
    left = tmp_path / "home" / "private" / elsewhere.id[-2:] / elsewhere.id
    left.mkdir(parents=True)
    (left / "0").write_bytes(DATA)
    stranger = "6b0179176249a43ed26a4b6e"
    (tmp_path / "home" / "incoming" / f"{stranger}.0").write_bytes(b"x")
    found = {(each.kind, each.id) for each in await parts.audit()}
    assert found == {
        ("missing", missing.id),
        ("orphan", elsewhere.id),
        ("orphan", stranger),
    }
    auditor = parts.janitor.auditor()
    by_index = {(each.kind, each.id) async for each in auditor.findings(read=False)}
    assert by_index == found
    assert await read(parts, whole) == DATA


async def test_the_audit_names_bytes_that_were_not_dropped(
    database: Database, directory: str
) -> None:
    parts = parts_at(database, "mongo")
    file = await stored(parts)
    await moved(parts, file, directory)
    assert await parts.chunks.put_data(file.id, Piece(0, CELL, crc32c(DATA[:CELL])), DATA[:CELL])
    assert [(each.kind, each.id) for each in await parts.audit()] == [("orphan", file.id)]
