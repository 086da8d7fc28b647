"""The documents of pieces: their identity, and the answers given from them."""

from __future__ import annotations

import asyncio
import os

import pytest
from bson import ObjectId

from lading.protocol.digests import crc32c
from lading.protocol.errors import ChunkConflict, Unavailable
from lading.protocol.manifest import Piece
from lading.storage.collections.chunks import Chunks, object_id
from lading.storage.collections.manifests import new_id
from lading.storage.database import Database
from tests.support.database_faults import When, break_chunks

FIRST = Piece(0, 10, 111)
SECOND = Piece(10, 10, 222)
THIRD = Piece(30, 5, 333)


async def listed(
    chunks: Chunks, upload_id: str, start: int = 0, end: int | None = None
) -> list[Piece]:
    return [piece async for piece in chunks.pieces(upload_id, start, end)]


def test_the_identity_is_the_upload_and_the_place() -> None:
    upload_id = "0123456789abcdef01234567"
    assert object_id(upload_id, 0x1122).hex() == upload_id + "0000000000001122"
    assert len(object_id(upload_id, 2**53 - 1)) == 20


async def test_a_piece_is_committed_once(each_database: Database) -> None:
    chunks, upload_id = Chunks(each_database), new_id()
    assert await chunks.write(upload_id, FIRST, b"x" * 10) is True
    assert await chunks.write(upload_id, FIRST, b"x" * 10) is False
    assert await listed(chunks, upload_id) == [FIRST]


@pytest.mark.parametrize("other", [Piece(0, 10, 112), Piece(0, 9, 111)])
async def test_another_piece_at_the_same_place_conflicts(
    each_database: Database, other: Piece
) -> None:
    chunks, upload_id = Chunks(each_database), new_id()
    await chunks.write(upload_id, FIRST, b"x" * 10)
    with pytest.raises(ChunkConflict, match="10 bytes with CRC-32C 111"):
        await chunks.write(upload_id, other, b"y" * other.size)
    assert await chunks.at(upload_id, 0) == FIRST
    assert await chunks.data(upload_id, [FIRST]) == [b"x" * 10]


async def test_pieces_are_found_by_place(each_database: Database) -> None:
    chunks, upload_id = Chunks(each_database), new_id()
    for piece in (THIRD, FIRST, SECOND):
        await chunks.write(upload_id, piece, bytes(piece.size))
    await chunks.write(new_id(), Piece(20, 10, 444), bytes(10))

    assert await chunks.at(upload_id, 10) == SECOND
    assert await chunks.at(upload_id, 11) is None
    assert await chunks.before(upload_id, 0) is None
    assert await chunks.before(upload_id, 10) == FIRST
    assert await chunks.before(upload_id, 11) == SECOND
    assert await chunks.before(upload_id, 1000) == THIRD
    assert await listed(chunks, upload_id) == [FIRST, SECOND, THIRD]
    assert await listed(chunks, upload_id, 10, 30) == [SECOND]
    assert await listed(chunks, upload_id, 11) == [THIRD]
    assert await listed(chunks, new_id()) == []


async def test_a_long_list_comes_in_pages(each_database: Database) -> None:
    chunks, upload_id = Chunks(each_database, page_size=3), new_id()
    pieces = [Piece(start, 1, start) for start in range(9)]
    for piece in pieces:
        await chunks.write(upload_id, piece, b"x")
    assert await listed(chunks, upload_id) == pieces
    assert await listed(chunks, upload_id, 2, 8) == pieces[2:8]
    assert await chunks.runs(upload_id) == [(0, 9)]


@pytest.mark.parametrize(
    ("pieces", "runs"),
    [
        ([], []),
        ([(0, 5)], [(0, 5)]),
        ([(3, 5)], [(3, 8)]),
        ([(0, 2), (2, 2), (4, 2), (6, 1)], [(0, 7)]),
        ([(0, 2), (4, 2), (6, 2), (10, 1)], [(0, 2), (4, 8), (10, 11)]),
        ([(1, 1), (3, 1), (5, 1), (7, 1)], [(1, 2), (3, 4), (5, 6), (7, 8)]),
    ],
)
async def test_pieces_are_told_of_as_runs(
    each_database: Database,
    pieces: list[tuple[int, int]],
    runs: list[tuple[int, int]],
) -> None:
    chunks, upload_id = Chunks(each_database, page_size=2), new_id()
    for start, size in pieces:
        await chunks.write(upload_id, Piece(start, size, 0), b"x" * size)
    await chunks.write(new_id(), Piece(50, 5, 0), b"other")
    assert await chunks.runs(upload_id) == runs


async def test_bytes_are_kept_with_the_piece_or_elsewhere(each_database: Database) -> None:
    chunks, upload_id = Chunks(each_database), new_id()
    data = os.urandom(1000)
    first, second = Piece(0, 1000, 7), Piece(1000, 5, 8)
    await chunks.write(upload_id, first, data)
    await chunks.write(upload_id, second)
    assert await chunks.at(upload_id, 0) == first
    assert await chunks.data(upload_id, [first]) == [data]
    assert await chunks.data(upload_id, [Piece(5000, 1, 1), first, second]) == [None, data, None]
    others = [first._replace(size=999), first._replace(crc32c=8)]
    assert await chunks.data(upload_id, others) == [None, None], "it is another piece by now"
    document = await each_database.chunks.find_one({"_id": object_id(upload_id, 1000)})
    assert "data" not in document


async def test_a_chain_is_joined_only_where_its_bytes_are(each_database: Database) -> None:
    """A request that stood still must not spoil a file that has moved since."""
    chunks, parts = Chunks(each_database), [b"hello", b" world"]
    chain = [Piece(0, 5, crc32c(parts[0])), Piece(5, 6, crc32c(parts[1]))]
    for keeps_data in (True, False):
        upload_id = new_id()
        for piece, data in zip(chain, parts, strict=True):
            await chunks.write(upload_id, piece, None if keeps_data else data)
        assert not await chunks.join(upload_id, chain, keeps_data=keeps_data)
        assert await listed(chunks, upload_id) == chain
        # The bytes come or go while they are joined.
        assert await chunks.put_data(upload_id, chain[0], parts[0])
        await chunks.put_data(upload_id, chain[1], parts[1])
        assert not await chunks.join(upload_id, chain, keeps_data=False)
        assert await chunks.join(upload_id, chain, keeps_data=True)
        assert not await chunks.put_data(upload_id, chain[0], parts[0]), "it is longer by now"
        whole = Piece(0, 11, crc32c(b"hello world"))
        assert await chunks.data(upload_id, [whole, chain[1]]) == [b"hello world", None]


async def test_pieces_are_deleted_in_batches_and_only_those_of_the_upload(
    each_database: Database,
) -> None:
    chunks, upload_id, other = Chunks(each_database), new_id(), new_id()
    for start in range(5):
        await chunks.write(upload_id, Piece(start, 1, 0), b"x")
    await chunks.write(other, FIRST, b"x" * 10)
    assert [await chunks.delete(upload_id, 2) for _ in range(4)] == [2, 2, 1, 0]
    assert await listed(chunks, upload_id) == []
    assert await listed(chunks, other) == [FIRST]


async def test_the_largest_piece_fits_a_document(database: Database) -> None:
    chunks, upload_id = Chunks(database), new_id()
    data = os.urandom(15 * 2**20)
    piece = Piece(2**53 - 2**24, len(data), 2**32 - 1)
    assert await chunks.write(upload_id, piece, data)
    assert await chunks.data(upload_id, [piece]) == [data]


# -- races and broken connections: on the real thing only


async def test_of_the_same_piece_at_once_one_is_fresh(database: Database) -> None:
    chunks = Chunks(database)
    for _ in range(20):
        upload_id = new_id()
        fresh = await asyncio.gather(*(chunks.write(upload_id, FIRST, b"x" * 10) for _ in range(8)))
        assert sorted(fresh) == [False] * 7 + [True]


async def test_of_two_pieces_at_one_place_one_wins(database: Database) -> None:
    chunks = Chunks(database)
    for _ in range(20):
        upload_id = new_id()
        rivals = [Piece(0, 10, crc) for crc in range(4)]
        outcomes = await asyncio.gather(
            *(chunks.write(upload_id, piece, bytes(10)) for piece in rivals),
            return_exceptions=True,
        )
        (winner,) = [p for p, outcome in zip(rivals, outcomes, strict=True) if outcome is True]
        assert sum(isinstance(outcome, ChunkConflict) for outcome in outcomes) == 3
        assert await listed(chunks, upload_id) == [winner]


@pytest.mark.parametrize(
    ("breaks", "fresh"),
    [
        (["before"], True),
        (["before", "before"], True),
        # Applied, and its answer lost: the next try meets the piece itself.
        (["after"], False),
        (["before", "after"], False),
    ],
)
async def test_a_broken_connection_neither_loses_nor_doubles(
    database: Database, breaks: list[When], fresh: bool
) -> None:
    break_chunks(database).breaks = breaks
    chunks, upload_id = Chunks(database), new_id()
    assert await chunks.write(upload_id, FIRST, b"x" * 10) is fresh
    assert await listed(chunks, upload_id) == [FIRST]


async def test_a_lost_answer_does_not_hide_a_conflict(database: Database) -> None:
    breaking = break_chunks(database)
    chunks, upload_id = Chunks(database), new_id()
    await chunks.write(upload_id, FIRST, b"x" * 10)
    breaking.breaks = ["before"]
    with pytest.raises(ChunkConflict):
        await chunks.write(upload_id, Piece(0, 10, 999), b"y" * 10)


async def test_a_place_that_is_taken_but_not_readable_yet_is_waited_for(
    database: Database,
) -> None:
    breaking = break_chunks(database)
    chunks, upload_id = Chunks(database), new_id()
    await chunks.write(upload_id, FIRST, b"x" * 10)
    breaking.hidden = 3
    assert await chunks.write(upload_id, FIRST, b"x" * 10) is False


async def test_waiting_for_another_writer_has_an_end(database: Database) -> None:
    breaking = break_chunks(database)
    chunks, upload_id = Chunks(database, patience=3), new_id()
    await chunks.write(upload_id, FIRST, b"x" * 10)
    breaking.hidden = 1000
    with pytest.raises(Unavailable):
        await chunks.write(upload_id, FIRST, b"x" * 10)


async def test_inserting_beside_deleting_ends_either_way(database: Database) -> None:
    chunks, upload_id = Chunks(database), new_id()

    async def insert() -> None:
        for _ in range(40):
            await chunks.write(upload_id, FIRST, b"x" * 10)

    async def delete() -> None:
        for _ in range(80):
            await chunks.delete(upload_id, 10)

    outcomes = await asyncio.gather(insert(), insert(), delete(), return_exceptions=True)
    assert not [o for o in outcomes if isinstance(o, BaseException)]
    await chunks.delete(upload_id, 10)
    assert await database.chunks.count_documents({"upload_id": ObjectId(upload_id)}) == 0
