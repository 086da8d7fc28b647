"""Attempts lie apart: what is stored, found and deleted of one is nothing to another."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from lading.protocol.digests import crc32c
from lading.protocol.manifest import MAX_ATTEMPT, Manifest, Piece
from lading.storage.blobs.base import Moved
from lading.storage.blobs.mongo import MongoBlobs
from lading.storage.collections.chunks import Chunks, object_id
from lading.storage.collections.manifests import new_id
from lading.storage.collections.pictures import Pictures
from lading.storage.contents import SPAN, UNKNOWN, Contents, base, identity
from lading.storage.database import Database

CELL = 1024
BYTES = b"a" * CELL
PIECE = Piece(0, CELL, crc32c(BYTES))


def manifest(attempt: int = 0, size: int | None = 4 * CELL) -> Manifest:
    return Manifest(
        id=new_id(),
        user_id="ann",
        name="a",
        size=size,
        chunk_size=CELL,
        created_at=0,
        updated_at=0,
        expires_at=None,
        attempt=attempt,
    )


def at(slice_start: int) -> Piece:
    return PIECE._replace(slice_start=slice_start)


def contents(database: Database) -> Contents:
    chunks = Chunks(database)
    return Contents(chunks, {"mongo": MongoBlobs(chunks, Pictures(database))})


async def places(database: Database) -> list[int]:
    found = await database.chunks.find({}, {"slice_start": 1}).to_list(None)
    return sorted(document["slice_start"] for document in found)


def test_the_identity_of_a_piece_is_its_offset_at_first() -> None:
    first = manifest()
    assert identity(first, at(CELL)) == object_id(first.id, CELL)
    again = replace(first, attempt=3)
    assert identity(again, at(CELL)) == object_id(first.id, 3 * 2**53 + CELL)
    assert len(identity(replace(first, attempt=MAX_ATTEMPT), at(SPAN - 1))) == 20


@pytest.mark.parametrize("attempt", [0, 1, MAX_ATTEMPT])
async def test_what_is_stored_is_found_where_the_client_put_it(
    each_database: Database, attempt: int
) -> None:
    kept, upload = contents(each_database), manifest(attempt)
    for start in (0, CELL, 3 * CELL, SPAN - CELL):
        assert await kept.write(upload, at(start), BYTES) is True
        assert await kept.write(upload, at(start), BYTES) is False
    assert [p async for p in kept.pieces(upload)] == [
        at(start) for start in (0, CELL, 3 * CELL, SPAN - CELL)
    ]
    assert [p async for p in kept.pieces(upload, CELL, 2 * CELL)] == [at(CELL)]
    assert await kept.at(upload, CELL) == at(CELL)
    assert await kept.at(upload, 2 * CELL) is None
    assert await kept.before(upload, 3 * CELL) == at(CELL)
    assert await kept.before(upload, SPAN) == at(SPAN - CELL)
    assert await kept.before(upload, 0) is None
    assert await kept.read(upload, [at(3 * CELL)]) == BYTES
    with pytest.raises(Moved):
        await kept.read(upload, [at(2 * CELL)])
    assert await kept.read(upload, [at(0), at(CELL)]) == 2 * BYTES
    assert [p - base(upload) for p in await places(each_database)] == [
        0,
        CELL,
        3 * CELL,
        SPAN - CELL,
    ]


async def test_another_attempt_has_nothing_and_conflicts_with_nothing(
    each_database: Database,
) -> None:
    kept, first = contents(each_database), manifest()
    for start in (0, SPAN - CELL):
        await kept.write(first, at(start), BYTES)
    again = replace(first, attempt=1)
    assert [p async for p in kept.pieces(again)] == []
    assert await kept.before(again, CELL) is None
    assert await kept.at(again, 0) is None
    with pytest.raises(Moved):
        await kept.read(again, [PIECE])
    other = Piece(0, 3, crc32c(b"bcd"))
    assert await kept.write(again, other, b"bcd") is True
    assert await kept.read(again, [other]) == b"bcd"
    assert await kept.read(first, [PIECE]) == BYTES


async def test_earlier_attempts_are_forgotten_and_the_present_one_stays(
    each_database: Database,
) -> None:
    kept, first = contents(each_database), manifest()
    for attempt in range(4):
        for cell in range(70):  # more than are deleted at once
            await kept.write(replace(first, attempt=attempt), at(cell * CELL), BYTES)
    beside = manifest()
    await kept.write(beside, PIECE, BYTES)
    present = replace(first, attempt=2)
    await kept.forget(present)
    assert len(await places(each_database)) == 2 * 70 + 1
    assert len([p async for p in kept.pieces(present)]) == 70
    await kept.forget(first)
    await kept.forget(beside)
    assert len(await places(each_database)) == 2 * 70 + 1


async def test_strays_are_what_is_no_part_of_a_finished_file(each_database: Database) -> None:
    kept, present = contents(each_database), manifest(attempt=2)
    for cell in range(4):
        await kept.write(present, at(cell * CELL), BYTES)
    assert [p async for p in kept.strays(present)] == []
    await kept.write(replace(present, attempt=1), at(CELL), BYTES)
    await kept.write(present, at(4 * CELL), BYTES)
    found = [p.slice_start async for p in kept.strays(present)]
    assert found == [SPAN + CELL, 2 * SPAN + 4 * CELL]


def part(start: int, size: int) -> Piece:
    return Piece(start, size, crc32c(BYTES[:size]))


@pytest.mark.parametrize("attempt", [0, 2])
async def test_a_range_is_held_by_the_pieces_from_where_it_begins_to_where_one_is_missing(
    each_database: Database, attempt: int
) -> None:
    kept, upload = contents(each_database), manifest(attempt)
    pieces = [part(0, CELL), part(CELL, 24), part(CELL + 24, 1000), part(3 * CELL, CELL)]
    for piece in pieces:
        await kept.write(upload, piece, BYTES[: piece.size])

    async def holding(start: int, end: int) -> list[Piece]:
        return [piece async for piece in kept.holding(upload, start, end)]

    assert await holding(0, 1) == pieces[:1]
    assert await holding(CELL - 1, CELL) == pieces[:1]
    assert await holding(CELL - 1, CELL + 1) == pieces[:2]
    assert await holding(CELL + 23, 2 * CELL) == pieces[1:3]
    assert await holding(0, 4 * CELL) == pieces[:3]
    assert await holding(2 * CELL, 4 * CELL) == []
    assert await holding(3 * CELL + 5, 4 * CELL) == pieces[3:]


async def test_a_file_in_the_bucket_without_pieces_is_held_by_its_cells(
    database: Database,
) -> None:
    sent = replace(manifest(size=2 * CELL + 5), etag="e")
    found = [piece async for piece in contents(database).holding(sent, CELL + 1, 2 * CELL + 5)]
    assert found == [Piece(CELL, CELL, UNKNOWN), Piece(2 * CELL, 5, UNKNOWN)]
    assert [p async for p in contents(database).layout(sent)] == [Piece(0, CELL, UNKNOWN), *found]


async def test_cells_that_were_listed_before_the_file_moved_are_read_as_its_pieces(
    each_database: Database,
) -> None:
    kept, moved = contents(each_database), manifest()
    for start in (0, CELL):
        await kept.write(moved, at(start), BYTES)
    cells = [Piece(start, CELL, UNKNOWN) for start in (0, CELL, 2 * CELL)]
    assert await kept.read(moved, cells[:2]) == 2 * BYTES
    with pytest.raises(Moved):
        await kept.read(moved, cells)


@pytest.mark.parametrize("attempt", [0, 2])
async def test_pieces_that_were_listed_before_they_were_joined_are_read(
    each_database: Database, attempt: int
) -> None:
    kept, upload = contents(each_database), manifest(attempt)
    data, starts = random.Random(1).randbytes(CELL), range(0, CELL, 256)
    pieces = [Piece(start, 256, crc32c(data[start : start + 256])) for start in starts]
    for piece in pieces:
        await kept.write(upload, piece, data[piece.slice_start : piece.end])
    await kept.write(upload, at(CELL), BYTES)
    assert await kept.join(upload, pieces[:3])
    assert await kept.join(upload, [pieces[0]._replace(size=768), pieces[3]]) is False
    listed = [piece async for piece in kept.pieces(upload)]
    assert [piece.slice_start for piece in listed] == [0, 768, CELL]
    assert await kept.join(upload, listed[:2])
    for first in range(4):
        for last in range(first, 4):
            found = await kept.read(upload, pieces[first : last + 1])
            assert found == data[256 * first : 256 * (last + 1)]
    assert await kept.read(upload, [*pieces[2:], at(CELL)]) == data[512:] + BYTES
    await kept.remove(upload, at(0))
    with pytest.raises(Moved):
        await kept.read(upload, pieces[:1])


async def test_a_file_is_not_laid_out_with_a_hole(each_database: Database) -> None:
    kept, file = contents(each_database), manifest(size=3 * CELL)
    for start in (0, 2 * CELL):
        await kept.write(file, at(start), BYTES)
    found = []
    with pytest.raises(Moved):  # noqa: PT012 - after the pieces before it
        async for piece in kept.layout(file):
            found.append(piece)
    assert found == [at(0)]
