"""The driver that keeps bytes in a directory, under the contract of all drivers, and its own."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from lading.protocol.errors import ChunkConflict, StorageFull, Unavailable
from lading.protocol.manifest import Piece
from lading.storage.blobs import directory as module
from lading.storage.blobs.base import Ingest, Moved, Traits
from lading.storage.blobs.directory import Directory
from lading.storage.blobs.local import SPAN, LocalBlobs
from lading.storage.collections.chunks import Chunks
from lading.storage.collections.manifests import new_id
from lading.storage.database import Database
from tests.storage.blobs.contract import Contract, manifest, nothing, piece, read, store
from tests.support.blobs import WRAPPED, kept, wrap
from tests.support.database_faults import break_chunks
from tests.support.servers import until


class LocalRig:
    farthest = 2**43

    def __init__(self, database: Database, root: Path, wrapped: str) -> None:
        self.commits = break_chunks(database)
        self.chunks = Chunks(database)
        self.root = root
        self.driver = LocalBlobs(f"file://{root}", Directory(str(root), create=True), self.chunks)
        self.blobs: Ingest = wrap(self.driver, wrapped)

    def files(self, upload_id: str) -> list[Path]:
        """The files of an upload: under way first, finished last."""
        finished = [self.root / kind / upload_id[-2:] / upload_id for kind in ("private", "public")]
        return [
            *(self.root / "incoming").glob(f"{upload_id}.*"),
            *(each for folder in finished if folder.is_dir() for each in folder.iterdir()),
        ]

    async def damage(self, upload_id: str, slice_start: int) -> None:
        path, offset = self.files(upload_id)[0], slice_start % SPAN
        with path.open("r+b") as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ 1]))

    async def lose(self, upload_id: str, slice_start: int) -> None:
        piece = await self.chunks.at(upload_id, slice_start)
        assert piece is not None
        with self.files(upload_id)[0].open("r+b") as file:
            file.truncate(piece.end % SPAN - 1)

    async def pictures_kept(self, upload_id: str) -> int:
        return sum(
            each.name != "0" for each in self.files(upload_id) if each.parent.name != "incoming"
        )

    async def bytes_kept(self, upload_id: str) -> int:
        kept = 0
        for path in self.files(upload_id):
            if path.parent.name == "incoming":
                zero = int(path.suffix[1:]) * SPAN
                found = self.chunks.pieces(upload_id, zero, zero + SPAN)
                sizes = [each.size async for each in found]
                kept += sum(sizes) if sizes else path.stat().st_size
            else:
                kept += path.stat().st_size
        return kept


@pytest.fixture(params=WRAPPED)
async def rig(
    database: Database, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[LocalRig]:
    rig = LocalRig(database, tmp_path / "home", request.param)
    yield rig
    await rig.driver.close()


class TestLocalBlobs(Contract):
    """All that the contract asks for."""


@pytest.fixture
async def local(database: Database, tmp_path: Path) -> AsyncIterator[LocalRig]:
    """The driver without wrappers."""
    rig = LocalRig(database, tmp_path / "home", "bare")
    yield rig
    await rig.driver.close()


@pytest.fixture
async def second(local: LocalRig, database: Database) -> AsyncIterator[LocalBlobs]:
    """The driver of another server on the same directory."""
    directory = Directory(str(local.root), create=True)
    driver = LocalBlobs(f"file://{local.root}", directory, Chunks(database))
    yield driver
    await driver.close()


class Calls:
    """Stands before `os` in the driver: counts calls, and fails some."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.failures: dict[str, list[int]] = {}
        self.before: dict[str, Callable[[], None]] = {}

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if not callable(real) or isinstance(real, type):
            return real

        def call(*arguments: Any, **options: Any) -> Any:
            self.counts[name] = self.counts.get(name, 0) + 1
            if self.failures.get(name):
                number = self.failures[name].pop(0)
                raise OSError(number, os.strerror(number))
            return real(*arguments, **options)

        return call


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    found = Calls()
    monkeypatch.setattr(module, "os", found)
    return found


def test_the_driver_says_what_it_can_do(local: LocalRig) -> None:
    assert local.driver.name == f"file://{local.root}"
    assert local.driver.traits == Traits(
        durable=True, ranges_while_uploading=True, path=True, largest_block=2 * 2**20
    )


async def test_pieces_that_wait_at_once_share_a_sync(local: LocalRig, calls: Calls) -> None:
    upload_id, data = new_id(), os.urandom(4096)
    await asyncio.gather(
        *(local.blobs.write(upload_id, piece(k * 4096, data), data) for k in range(64))
    )
    assert calls.counts["pwritev"] == 64
    assert calls.counts["fdatasync"] < 40
    assert calls.counts["fsync"] < 4, "the entry of a new file is made durable for all at once"
    await local.blobs.write(upload_id, piece(64 * 4096, data), data)
    assert calls.counts["fsync"] < 4


@pytest.mark.parametrize("call", ["pwritev", "fdatasync", "fsync", "open"])
@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, StorageFull), (errno.EIO, Unavailable)]
)
async def test_a_piece_that_failed_is_not_stored_and_may_be_sent_again(
    local: LocalRig, calls: Calls, call: str, number: int, kind: type[Exception]
) -> None:
    upload_id, data = new_id(), os.urandom(4096)
    calls.failures[call] = [number]
    with pytest.raises(kind):
        await local.blobs.write(upload_id, piece(0, data), data)
    assert [each async for each in local.chunks.pieces(upload_id)] == []
    assert await local.blobs.write(upload_id, piece(0, data), data) is True
    assert await read(local, upload_id, 0) == (piece(0, data), data)


async def test_after_a_failed_sync_no_piece_that_was_written_before_counts(
    local: LocalRig, calls: Calls
) -> None:
    # The system reports a failed write of its cache once, and may have dropped what was in it.
    upload_id, data = new_id(), os.urandom(4096)
    calls.failures["fdatasync"] = [errno.EIO]
    results = await asyncio.gather(
        *(local.blobs.write(upload_id, piece(k * 4096, data), data) for k in range(8)),
        return_exceptions=True,
    )
    assert any(isinstance(each, Unavailable) for each in results)
    stored = {each.slice_start async for each in local.chunks.pieces(upload_id)}
    assert stored == {k * 4096 for k, each in enumerate(results) if each is True}


async def test_a_piece_of_another_server_is_not_overwritten(
    local: LocalRig, second: LocalBlobs
) -> None:
    for size in (100_000, 5000):
        upload_id, rivals = new_id(), [os.urandom(size) for _ in range(6)]
        outcomes = await asyncio.gather(
            *(
                driver.write(upload_id, piece(0, data), data)
                for data, driver in zip(rivals, (local.driver, second) * 3, strict=True)
            ),
            return_exceptions=True,
        )
        assert sum(isinstance(each, ChunkConflict) for each in outcomes) == 5
        winner = rivals[outcomes.index(True)]
        assert await read(local, upload_id, 0, second) == (piece(0, winner), winner)


@pytest.mark.parametrize("earlier", [b"\0" * 3000, b"other bytes" * 300, b"the same" * 300])
async def test_of_a_writer_that_died_while_it_committed_nothing_wrong_is_left(
    local: LocalRig, monkeypatch: pytest.MonkeyPatch, earlier: bytes
) -> None:
    # Its insert reaches the database after its lock has ended and others have written.
    upload_id, data = new_id(), b"the same" * 400
    late = piece(0, earlier)
    descriptor = local.driver.directory.open_incoming(f"{upload_id}.0", create=True)
    assert descriptor is not None
    if any(earlier):
        os.pwrite(descriptor, earlier, 0)  # of zeros the file system may make a hole
    os.ftruncate(descriptor, 3000)
    os.close(descriptor)
    write = Chunks.write

    async def beaten(self: Chunks, upload: str, mine: Piece, sent: bytes | None = None) -> bool:
        await write(self, upload, late)
        return await write(self, upload, mine, sent)

    monkeypatch.setattr(Chunks, "write", beaten)
    right = earlier.startswith((b"\0", b"the same"))
    with pytest.raises(ChunkConflict if right else Unavailable):
        await local.blobs.write(upload_id, piece(0, data), data)
    monkeypatch.undo()
    if right:
        assert await read(local, upload_id, 0) == (late, earlier)
    else:
        assert await read(local, upload_id, 0) is None
        assert await local.blobs.write(upload_id, piece(0, data), data) is True


async def test_nothing_is_written_into_a_published_file(
    local: LocalRig, second: LocalBlobs
) -> None:
    file = await store(local)
    upload_id = file.manifest.id
    late = b"late" * 250
    # The other server has the file open, as it does while pieces arrive.
    await second.write(upload_id, piece(3000, late), late)
    await local.driver.place(file.manifest)
    (path,) = local.files(upload_id)
    assert path.stat().st_size == 3000
    await second.remove(upload_id, 3000)
    assert await second.write(upload_id, file.pieces[0], file.contents[0]) is False
    with pytest.raises(ChunkConflict):
        await second.write(upload_id, piece(0, late), late)
    for driver in (local.driver, second):
        with pytest.raises(Moved):
            await driver.write(upload_id, piece(3000, late), late)
    assert local.files(upload_id) == [path]
    assert path.read_bytes() == b"".join(file.contents)


async def test_placing_waits_for_what_is_being_written(local: LocalRig) -> None:
    file = await store(local)
    descriptor = local.driver.directory.open_incoming(f"{file.manifest.id}.0", create=False)
    assert descriptor is not None
    assert module.try_lock(descriptor, 3000, 1)
    placing = asyncio.create_task(local.driver.place(file.manifest))
    await asyncio.sleep(0.1)
    assert not placing.done()
    os.close(descriptor)
    await placing


async def test_a_leftover_never_replaces_a_published_file(local: LocalRig) -> None:
    file = await store(local)
    await local.driver.place(file.manifest)
    leftover = local.root / "incoming" / f"{file.manifest.id}.0"
    leftover.write_bytes(bytes(3000))
    await local.driver.place(file.manifest)
    assert not leftover.exists()
    assert await file.read(local) == file.contents


async def test_a_file_whose_bytes_were_lost_is_not_placed(local: LocalRig) -> None:
    file, gone = await store(local), await store(local)
    os.truncate(local.files(file.manifest.id)[0], 2999)
    local.files(gone.manifest.id)[0].unlink()
    for each, why in ((file, "end at 2999, not at 3000"), (gone, "are gone")):
        with pytest.raises(Exception, match=why):
            await local.driver.place(each.manifest)


async def test_a_piece_whose_file_was_lost_is_not_acknowledged(local: LocalRig) -> None:
    file = await store(local)
    (path,) = local.files(file.manifest.id)
    path.unlink()
    with pytest.raises(Moved):
        await local.driver.write(file.manifest.id, piece(3000, b"x"), b"x")


async def test_a_caller_that_gives_up_leaves_no_half_piece(local: LocalRig) -> None:
    upload_id, data = new_id(), os.urandom(2**20)
    writing = asyncio.create_task(local.driver.write(upload_id, piece(0, data), data))
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.wait([writing])
    assert await local.driver.write(upload_id, piece(0, data), data) in (True, False)
    assert await read(local, upload_id, 0) == (piece(0, data), data)


async def test_files_are_closed_when_nobody_writes(local: LocalRig, database: Database) -> None:
    def opened() -> int:
        incoming = str(local.root / "incoming") + "/"
        links = [each for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
        return sum(str(each.readlink()).startswith(incoming) for each in links)

    directory = Directory(str(local.root), create=True)
    hasty = LocalBlobs(local.driver.name, directory, Chunks(database), idle_seconds=0.05)
    data = os.urandom(1000)
    await asyncio.gather(*(hasty.write(new_id(), piece(0, data), data) for _ in range(20)))
    await until(lambda: opened() == 0)
    await local.driver.write(new_id(), piece(0, data), data)
    assert opened() == 1, "they stay open while pieces arrive"
    await hasty.close()


async def test_a_take_that_fails_leaves_no_half_file(local: LocalRig) -> None:
    file = await store(local)
    await local.driver.drop(file.manifest, nothing)

    async def broken() -> AsyncIterator[tuple[Piece, bytes]]:
        yield file.pieces[0], file.contents[0]
        raise Unavailable

    with pytest.raises(Unavailable):
        await local.driver.take(file.manifest, broken())
    assert local.files(file.manifest.id) == []


async def test_the_path_is_below_the_home_and_only_of_a_placed_file(local: LocalRig) -> None:
    file = await store(local, public=True)
    upload_id = file.manifest.id
    assert await local.driver.path(file.manifest) is None
    await local.driver.place(file.manifest)
    path = await local.driver.path(file.manifest)
    assert path == f"public/{upload_id[-2:]}/{upload_id}/0"
    assert (local.root / path).read_bytes() == b"".join(file.contents)
    assert await local.driver.path(manifest(new_id())) is None


async def test_what_is_not_lading_s_is_no_upload(local: LocalRig) -> None:
    for name in ("incoming/lost+found", "incoming/.nfs1", "private/lost+found", "public/a"):
        (local.root / name).mkdir()
    (local.root / "private" / "ab").mkdir()
    (local.root / "private" / "ab" / "notes.txt").write_text("")
    (local.root / "public" / "index.html").write_text("")
    assert await kept(local.driver) == set()
    assert await local.driver.delete(manifest(new_id()), 10) == 0


async def test_what_is_dropped_leaves_no_file_of_an_earlier_attempt(local: LocalRig) -> None:
    file = manifest(new_id(), attempt=1)
    for attempt in (0, 1):
        (local.root / "incoming" / f"{file.id}.{attempt}").write_bytes(b"brought back")
    await local.blobs.drop(file, nothing)
    assert local.files(file.id) == []
