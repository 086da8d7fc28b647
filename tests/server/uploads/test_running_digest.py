"""The SHA-256 that is computed while pieces arrive: FINISH uses it only where this process stored
every byte itself, in order and once. Else all is read back, and the answer is the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Sequence

import pytest

from lading.protocol.digests import Sha256, crc32c
from lading.protocol.errors import ChecksumMismatch, StorageFull
from lading.protocol.manifest import Manifest, Piece
from lading.protocol.spec import UploadSpec
from lading.server.uploads import OpenUpload
from lading.server.uploads.running_digest import RunningDigest
from lading.storage.blobs.mongo import MongoBlobs
from lading.storage.contents import Contents
from tests.support.parts import ANN, CELL, Parts

CELLS = 5
FILE = b"".join(bytes([cell]) * CELL for cell in range(CELLS))
SHA256 = hashlib.sha256(FILE).hexdigest()


class Read:
    """Counts the pieces that are read back."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pieces = 0
        read = MongoBlobs.read

        async def counted(blobs: MongoBlobs, upload_id: str, pieces: Sequence[Piece]) -> bytes:
            self.pieces += len(pieces)
            return await read(blobs, upload_id, pieces)

        monkeypatch.setattr(MongoBlobs, "read", counted)


@pytest.fixture
def back(monkeypatch: pytest.MonkeyPatch) -> Read:
    return Read(monkeypatch)


async def create(parts: Parts, size: int | None = len(FILE)) -> OpenUpload:
    spec = UploadSpec(name="a.bin", size=size, sha256_follows=True)
    upload = await parts.uploads.create(ANN, spec)
    parts.uploads.hash_along(upload)
    return upload


async def write(parts: Parts, upload: OpenUpload, cell: int, data: bytes | None = None) -> None:
    data = FILE[cell * CELL : (cell + 1) * CELL] if data is None else data
    await parts.uploads.write(upload, cell * CELL, data, crc32c(data))


async def finish(parts: Parts, upload: OpenUpload, sha256: str | None = SHA256) -> Manifest:
    return await parts.uploads.finish(ANN, upload.manifest.id, len(FILE), sha256)


HEAD = 4
"""The pieces that are read in any case, for the type of the file."""


@pytest.mark.parametrize("size", [len(FILE), None])
async def test_nothing_is_read_back_of_what_came_in_order(
    parts: Parts, back: Read, size: int | None
) -> None:
    upload = await create(parts, size)
    for cell in range(CELLS):
        await write(parts, upload, cell)
    assert (await finish(parts, upload)).sha256 == SHA256
    assert back.pieces == HEAD


async def test_pieces_that_are_stored_at_once_are_hashed_in_the_order_in_which_they_came(
    parts: Parts, back: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await create(parts)
    first = asyncio.Event()
    stored = Contents.write

    async def last_first(contents: Contents, manifest: Manifest, piece: Piece, data: bytes) -> bool:
        if piece.end == len(FILE):
            first.set()
        await first.wait()
        return await stored(contents, manifest, piece, data)

    monkeypatch.setattr(Contents, "write", last_first)
    await asyncio.gather(*(write(parts, upload, cell) for cell in range(CELLS)))
    assert (await finish(parts, upload)).sha256 == SHA256
    assert back.pieces == HEAD


async def test_what_is_told_to_be_stored_never_shrinks_while_pieces_wait_to_be_hashed(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first piece is stored last, and is told first: it was the first to be hashed."""
    upload = await create(parts)
    others, all_stored, told = asyncio.Event(), threading.Event(), list[int]()
    stored, update = Contents.write, Sha256.update
    left = CELLS

    async def first_last(contents: Contents, manifest: Manifest, piece: Piece, data: bytes) -> bool:
        nonlocal left
        if piece.slice_start == 0:
            await others.wait()
        fresh = await stored(contents, manifest, piece, data)
        left -= 1
        if left == 1:
            others.set()
        elif left == 0:
            all_stored.set()
        return fresh

    def hashed_later(digest: Sha256, data: bytes) -> None:
        all_stored.wait()
        update(digest, data)

    async def tell(cell: int) -> None:
        data = FILE[cell * CELL : (cell + 1) * CELL]
        written = await parts.uploads.write(upload, cell * CELL, data, crc32c(data))
        told.append(written.upload_size)

    monkeypatch.setattr(Contents, "write", first_last)
    monkeypatch.setattr(Sha256, "update", hashed_later)
    await asyncio.gather(*(tell(cell) for cell in range(CELLS)))
    assert told == sorted(told)
    assert told[-1] == len(FILE)


async def test_it_outlives_the_connection_that_sent_the_first_pieces(
    parts: Parts, back: Read
) -> None:
    upload = await create(parts)
    for cell in range(2):
        await write(parts, upload, cell)
    resumed, _ = await parts.uploads.resume(ANN, upload.manifest.id)
    for cell in range(2, CELLS):
        await write(parts, resumed, cell)
    assert (await finish(parts, resumed)).sha256 == SHA256
    assert back.pieces == HEAD


@pytest.mark.parametrize("order", [(1, 0, 2, 3, 4), (0, 1, 2, 4, 3), (0, 1, 1, 2, 3, 4)])
async def test_of_pieces_that_came_in_another_order_or_twice_all_is_read_back(
    parts: Parts, back: Read, order: tuple[int, ...]
) -> None:
    upload = await create(parts)
    for cell in order:
        await write(parts, upload, cell)
    assert (await finish(parts, upload)).sha256 == SHA256
    assert back.pieces == HEAD + CELLS


async def test_a_piece_that_another_process_stored_is_read_back(
    parts: Parts, elsewhere: Parts, back: Read
) -> None:
    upload = await create(parts)
    other, _ = await elsewhere.uploads.resume(ANN, upload.manifest.id)
    await write(elsewhere, other, 3)
    for cell in range(CELLS):  # also the one that is there
        await write(parts, upload, cell)
    assert (await finish(parts, upload)).sha256 == SHA256
    assert back.pieces == HEAD + CELLS


async def test_a_piece_that_was_not_stored_and_comes_again_is_read_back(
    parts: Parts, back: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await create(parts)
    await write(parts, upload, 0)
    with monkeypatch.context() as full:

        async def refused(*_: object) -> bool:
            raise StorageFull("The disk is full.")

        full.setattr(Contents, "write", refused)
        with pytest.raises(StorageFull):
            await write(parts, upload, 1)
    for cell in range(1, CELLS):
        await write(parts, upload, cell)
    assert (await finish(parts, upload)).sha256 == SHA256
    assert back.pieces == HEAD + CELLS


async def test_bytes_that_replaced_the_first_ones_are_read_back(parts: Parts, back: Read) -> None:
    upload = await create(parts)
    other = b"x" * CELL
    await write(parts, upload, 0, other)
    await parts.uploads.begin_again(upload)
    for cell in range(CELLS):
        await write(parts, upload, cell)
    assert (await finish(parts, upload)).sha256 == SHA256
    assert back.pieces == HEAD + CELLS


async def test_an_upload_that_began_again_before_its_first_byte_is_read_back(
    parts: Parts, back: Read
) -> None:
    upload = await create(parts)
    await parts.uploads.begin_again(upload)
    for cell in range(CELLS):
        await write(parts, upload, cell)
    assert (await finish(parts, upload)).sha256 == SHA256
    assert back.pieces == HEAD + CELLS


async def test_another_digest_is_refused_and_the_right_one_then_taken(parts: Parts) -> None:
    upload = await create(parts)
    for cell in range(CELLS):
        await write(parts, upload, cell)
    with pytest.raises(ChecksumMismatch):
        await finish(parts, upload, "0" * 64)
    assert (await finish(parts, upload)).sha256 == SHA256


async def test_a_finish_that_names_none_gets_it_all_the_same(parts: Parts) -> None:
    upload = await create(parts)
    for cell in range(CELLS):
        await write(parts, upload, cell)
    assert (await finish(parts, upload, None)).sha256 == SHA256


# -- by itself


async def test_it_knows_nothing_before_all_that_was_taken_is_stored() -> None:
    digest = RunningDigest(0)
    first, second = digest.take(0, b"ab"), digest.take(2, b"cd")
    assert first is not None
    assert second is not None
    await asyncio.gather(first, second)
    digest.stored(2)
    assert digest.of(0, 2) is None
    assert digest.of(0, 4) is None
    digest.stored(2)
    assert digest.of(0, 4) == hashlib.sha256(b"abcd").hexdigest()
    assert digest.of(1, 4) is None
    assert digest.of(0, 5) is None


async def test_what_was_stored_beyond_it_ends_it() -> None:
    digest = RunningDigest(0)
    taken = digest.take(0, b"ab")
    assert taken is not None
    await taken
    digest.stored(2)
    assert digest.take(5, b"x") is None
    assert digest.of(0, 2) is None
