"""Power cut: everything that the local driver did not sync is lost, at every moment of a run.

A run records the driver's system calls while uploads arrive, are published, made public, moved and
deleted. For each beginning of the record the directory is built as the disk may have it then
(see `tests/support/power_cut.py`): with nothing that no sync covers, with all of it, and with some.
A driver on that directory must serve what was promised, and finish what was begun.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any, cast
from unittest.mock import patch

from lading.protocol.digests import crc32c
from lading.protocol.errors import ChunkConflict
from lading.protocol.manifest import Manifest, Piece, State
from lading.storage.blobs import directory as module
from lading.storage.blobs.base import Moved
from lading.storage.blobs.directory import Directory
from lading.storage.blobs.local import SPAN, LocalBlobs
from lading.storage.collections.chunks import Chunks
from lading.storage.collections.manifests import new_id
from tests.faults.fault import Base, Fault, Trial
from tests.support.blobs import kept
from tests.support.power_cut import Event, Recorder, Said, after

CELL = 600
HOME = "file:///home"
MEMORY = Path("/dev/shm")


@dataclass(frozen=True, slots=True)
class Stored:
    """The document of a piece is in the database; only then is the piece acknowledged."""

    upload_id: str
    piece: Piece


@dataclass(frozen=True, slots=True)
class Unstored:
    """The document of a piece is deleted."""

    upload_id: str
    place: int


@dataclass
class Documents:
    """The documents of pieces, as far as the driver asks for them, in memory."""

    listed: dict[tuple[str, int], Piece] = field(default_factory=dict)
    recorder: Recorder | None = None

    def _say(self, what: Stored | Unstored) -> None:
        if self.recorder is not None:
            self.recorder.say(what)

    async def at(self, upload_id: str, place: int) -> Piece | None:
        return self.listed.get((upload_id, place))

    async def before(self, upload_id: str, place: int) -> Piece | None:
        found = [p for (owner, at), p in self.listed.items() if owner == upload_id and at < place]
        return max(found, default=None)

    async def pieces(self, upload_id: str, start: int, end: int) -> AsyncGenerator[Piece, None]:
        found = [p for (owner, _), p in self.listed.items() if owner == upload_id]
        for piece in sorted(found):
            if start <= piece.slice_start < end:
                yield piece

    async def write(self, upload_id: str, piece: Piece) -> bool:
        stored = self.listed.setdefault((upload_id, piece.slice_start), piece)
        if stored != piece:
            raise ChunkConflict
        if stored is piece:
            self._say(Stored(upload_id, piece))
        return stored is piece

    async def remove(self, upload_id: str, place: int) -> None:
        if self.listed.pop((upload_id, place), None):
            self._say(Unstored(upload_id, place))

    async def delete(self, upload_id: str, most: int, before: int | None = None) -> int:
        end = 2**70 if before is None else before
        found = [key for key in self.listed if key[0] == upload_id and key[1] < end][:most]
        for _, place in found:
            await self.remove(upload_id, place)
        return len(found)


@dataclass
class Upload:
    """What is sent of one upload, and where it stands."""

    manifest: Manifest
    cells: list[bytes]

    @property
    def zero(self) -> int:
        return self.manifest.attempt * SPAN

    @property
    def pieces(self) -> list[Piece]:
        return [Piece(i * CELL, len(c), crc32c(c)) for i, c in enumerate(self.cells)]

    def placed(self, index: int) -> Piece:
        piece = self.pieces[index]
        return piece._replace(slice_start=self.zero + piece.slice_start)

    async def stream(self) -> AsyncIterator[tuple[Piece, bytes]]:
        for each in zip(self.pieces, self.cells, strict=True):
            yield each


def draw(random: Random) -> Upload:
    """An upload of up to five cells; the last one is seldom whole."""
    size = random.randint(0, 5 * CELL)
    data = random.randbytes(size)
    manifest = Manifest(
        id=new_id(),
        user_id="ann",
        name="a",
        size=size,
        chunk_size=CELL,
        created_at=0.0,
        updated_at=0.0,
        expires_at=None,
        blobs=HOME,
        public=random.random() < 0.3,
        attempt=int(random.random() < 0.2),
    )
    return Upload(manifest, [data[at : at + CELL] for at in range(0, size, CELL)])


async def nothing() -> None:
    """A check that never raises."""


# -- the run


async def live(driver: LocalBlobs, upload: Upload, recorder: Recorder, random: Random) -> None:
    """The life of one upload, as far as chance lets it go."""

    def become(**change: Any) -> None:
        upload.manifest = replace(upload.manifest, **change)
        recorder.say(upload.manifest)

    upload_id = upload.manifest.id
    if upload.manifest.attempt:
        await driver.write(upload_id, Piece(0, 3, crc32c(b"old")), b"old")
    if random.random() < 0.2:
        become(state=State.READY, upload_end=True, blobs="elsewhere", move_to=HOME)
        for index in range(len(upload.cells)):
            await driver._chunks.write(upload_id, upload.placed(index))
        await driver.take(upload.manifest, upload.stream())
        become(blobs=HOME, move_to=None)
    else:
        recorder.say(upload.manifest)
        order = list(range(len(upload.cells)))
        random.shuffle(order)
        writes = [driver.write(upload_id, upload.placed(i), upload.cells[i]) for i in order]
        await asyncio.gather(*writes)
        if random.random() < 0.1:
            return
        if upload.zero:
            await driver.delete(upload.manifest, 10, upload.zero)
        become(state=State.READY, upload_end=True)
        await driver.place(upload.manifest)
    while random.random() < 0.4:
        become(public=not upload.manifest.public)
        await driver.place(upload.manifest)
    match random.randrange(3):
        case 0:
            become(state=State.DELETED)
            while await driver.delete(upload.manifest, 2) == 2:
                pass
        case 1:
            become(blobs="elsewhere")
            await driver.drop(upload.manifest, nothing)


async def record(
    root: Path, random: Random, kind: type[Recorder] = Recorder
) -> tuple[list[Event], dict[str, Upload]]:
    """The record of some lives beside each other, and what was sent."""
    recorder = kind(root, lambda: time.sleep(random.random() / 1000))
    uploads = [draw(random) for _ in range(4)]
    sent = {each.manifest.id: replace(each) for each in uploads}
    with patch.object(module, "os", recorder):
        documents = cast(Chunks, Documents(recorder=recorder))
        driver = LocalBlobs(HOME, Directory(str(root), create=True), documents)
        try:
            async with asyncio.TaskGroup() as lives:
                for each in uploads:
                    lives.create_task(live(driver, each, recorder, Random(random.random())))
        finally:
            await driver.close()
    return recorder.events, sent


# -- after the cut


async def check(root: Path, events: list[Event], sent: dict[str, Upload]) -> None:
    """What the record promises is true of the directory at `root`."""
    documents, manifests = Documents(), dict[str, Manifest]()
    for event in events:
        match event:
            case Said(Stored(upload_id, piece)):
                documents.listed[upload_id, piece.slice_start] = piece
            case Said(Unstored(upload_id, place)):
                del documents.listed[upload_id, place]
            case Said(Manifest() as manifest):
                manifests[manifest.id] = manifest
    driver = LocalBlobs(HOME, Directory(str(root), create=True), cast(Chunks, documents))
    try:
        for manifest in manifests.values():
            await _check(driver, replace(sent[manifest.id], manifest=manifest))
        left = await kept(driver)
        here = {m.id for m in manifests.values() if m.state is not State.DELETED}
        # One whose first piece was not committed yet may have a file already.
        assert left <= here | set(sent).difference(manifests), "a file belongs to nothing"
    finally:
        await driver.close()


async def _check(driver: LocalBlobs, upload: Upload) -> None:
    manifest = upload.manifest
    if manifest.state is State.DELETED:
        while await driver.delete(manifest, 2) == 2:
            pass
        return
    if manifest.blobs != HOME:
        if manifest.move_to == HOME:
            await _all_listed(driver, upload)
            await driver.take(manifest, upload.stream())
            await _read(driver, upload, whole=True)
        else:
            await driver.drop(manifest, nothing)
            assert manifest.id not in await kept(driver)
        return
    await _read(driver, upload, whole=manifest.state is State.READY)
    if manifest.state is State.READY:
        for _ in range(2):
            await driver.place(manifest)
            await _read(driver, upload, whole=True)
        path = await driver.path(manifest)
        assert path is not None
        assert path.startswith("public/") == manifest.public
        assert _bytes(driver, path) == b"".join(upload.cells)
    else:
        for index, cell in enumerate(upload.cells):
            await driver.write(manifest.id, upload.placed(index), cell)
        await _read(driver, upload, whole=True)


def _bytes(driver: LocalBlobs, path: str) -> bytes:
    return Path(driver.directory.root, path).read_bytes()


async def _all_listed(driver: LocalBlobs, upload: Upload) -> None:
    """The source of a move lists all pieces, whatever moment of the run this is."""
    for index in range(len(upload.cells)):
        await driver._chunks.write(upload.manifest.id, upload.placed(index))


async def _read(driver: LocalBlobs, upload: Upload, *, whole: bool) -> None:
    """Every piece that is listed is there as it was sent."""
    for index, cell in enumerate(upload.cells):
        placed = upload.placed(index)
        listed = await driver._chunks.at(upload.manifest.id, placed.slice_start)
        if listed is None:
            assert not whole, "a piece of a finished file is not listed"
            continue
        assert listed == placed
        try:
            found = await driver.read(upload.manifest.id, [listed])
        except Moved:
            raise AssertionError("an acknowledged piece is lost") from None
        assert found == cell


async def every_cut(
    folder: Path, events: list[Event], sent: dict[str, Upload], random: Random
) -> None:
    """Cut the power after each event, and check what is left in each of three ways."""
    for end in range(len(events) + 1):
        begun = events[:end]
        for disk in (after(begun), after(begun, random), after(begun, all_of_it=True)):
            root = folder / "after"
            disk.build(root)
            try:
                await check(root, begun, sent)
            except Exception as error:
                raise AssertionError(f"cut after event {end} of {len(events)}") from error
            finally:
                shutil.rmtree(root)


@asynccontextmanager
async def setup(_base: Base, folder: Path) -> AsyncIterator[Path]:
    """A folder in memory, where there is one: the real disk is not what is asked."""
    there = await asyncio.to_thread(MEMORY.is_dir)
    with tempfile.TemporaryDirectory(dir=MEMORY if there else folder) as made:
        yield Path(made)


async def trial(folder: Path, trial: Trial) -> None:
    root = await asyncio.to_thread(tempfile.mkdtemp, dir=folder)
    events, sent = await record(Path(root), trial.random)
    await every_cut(folder, events, sent, trial.random)
    shutil.rmtree(root)


FAULT = Fault(
    name="power-cut",
    title="power cut, local driver",
    how="the driver's system calls are recorded while uploads arrive, are published, moved and "
    "deleted; each beginning of the record is played back without what no sync covered, with some "
    "of it, and with all of it",
    holds="every acknowledged piece is served as it was sent; every step that was begun is "
    "finished by repeating it; nothing is left over",
    trials=50,
    quick=3,
    few=1,
    setup=setup,
    trial=trial,
    seconds=300.0,
)
