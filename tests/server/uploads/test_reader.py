"""Streams of bytes from pieces that are fetched ahead, without a store."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from itertools import pairwise, product

import pytest

from lading.protocol.errors import Internal
from lading.protocol.manifest import Piece, split
from lading.server.uploads.reader import Ahead, Stream, stream
from lading.storage.blocks import Block

CELL = 8
DATA = random.Random(1).randbytes(10 * CELL + 3)
CELLS = list(split(0, len(DATA), CELL))


class Shelf:
    """Pieces in memory, some cells in several; says what was asked for."""

    def __init__(self) -> None:
        cuts = {*range(0, len(DATA), CELL), 3, 5, 4 * CELL + 1, len(DATA)}
        edges = sorted(cuts)
        self.pieces = {
            low: (Piece(low, high - low, 0), DATA[low:high]) for low, high in pairwise(edges)
        }
        self.now = self.pieces
        self.asked: list[int] = []
        self.requests: list[Block] = []
        self.at_once = self.most_at_once = 0
        self.slow = True
        self.gone: set[int] = set()
        self.unlisted: set[int] = set()
        self.join_after: int | None = None
        """After so many pieces are listed, those of each cell are joined."""
        self.most_ahead, self.largest = 3 * CELL, CELL
        self.budget = Ahead(100 * CELL)

    async def listing(self, start: int, end: int) -> AsyncGenerator[Piece, None]:
        """As the reader lists: where the next piece is gone, again from there on."""
        listed = 0
        while start < end:
            piece = next(piece for piece, _ in self.now.values() if piece.end > start)
            if piece.slice_start in self.unlisted:
                raise Internal("not listed")
            yield piece
            start, listed = piece.end, listed + 1
            if listed == self.join_after:
                self.now = {low: (Piece(low, high - low, 0), DATA[low:high]) for low, high in CELLS}

    async def fetch(self, block: Block) -> bytes:
        self.requests.append(block)
        self.asked += [piece.slice_start for piece in block]
        size = sum(piece.size for piece in block)
        self.at_once += size
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            for _ in range(5 if self.slow else 0):
                await asyncio.sleep(0)
        finally:
            self.at_once -= size
        if self.gone.intersection(piece.slice_start for piece in block):
            raise Internal("gone")
        # Pieces that were listed before they were joined are read for all that.
        assert all(first.end == then.slice_start for first, then in pairwise(block))
        return b"".join(DATA[piece.slice_start : piece.end] for piece in block)

    def read(self, start: int, end: int) -> AsyncGenerator[bytes, None]:
        blocks = Stream(
            self.listing(start, end),
            self.fetch,
            CELL,
            most_ahead=self.most_ahead,
            largest=self.largest,
            budget=self.budget,
        )
        return stream(blocks, start, end)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


STARTS = [0, 1, 2, 4, 7, CELL, 4 * CELL, 9 * CELL + 5]
ENDS = [1, 3, 4, CELL, CELL + 1, 5 * CELL, len(DATA)]


@pytest.mark.parametrize(
    ("start", "end"), [(start, end) for start, end in product(STARTS, ENDS) if start < end]
)
async def test_any_range(shelf: Shelf, start: int, end: int) -> None:
    assert b"".join([data async for data in shelf.read(start, end)]) == DATA[start:end]
    assert len(shelf.asked) == len(set(shelf.asked)), "nothing is fetched twice"
    assert all(place < end for place in shelf.asked), "nothing is fetched that is not wanted"
    assert shelf.budget.free == 100 * CELL


@pytest.mark.parametrize("after", range(1, 14))
@pytest.mark.parametrize("largest", [1, CELL, 3 * CELL])
@pytest.mark.parametrize(("start", "end"), [(0, len(DATA)), (4, 4 * CELL + 3), (CELL, 5 * CELL)])
async def test_pieces_that_are_joined_while_they_are_listed_are_sent_once(
    shelf: Shelf, after: int, largest: int, start: int, end: int
) -> None:
    shelf.most_ahead, shelf.largest, shelf.join_after = 8 * CELL, largest, after
    assert b"".join([data async for data in shelf.read(start, end)]) == DATA[start:end]
    assert shelf.budget.free == 100 * CELL


@pytest.mark.parametrize("cells", [0, 1, 2])
async def test_readers_together_fetch_no_more_ahead_than_their_budget(
    shelf: Shelf, cells: int
) -> None:
    shelf.budget = Ahead(cells * CELL)
    readers = [shelf.read(0, len(DATA)) for _ in range(4)]
    got = [b"" for _ in readers]
    while any(len(each) < len(DATA) for each in got):
        for number, reading in enumerate(readers):
            got[number] += await anext(reading, b"")
            for _ in range(10):
                await asyncio.sleep(0)
        assert shelf.budget.free >= 0
    assert got == [DATA] * 4
    assert shelf.most_at_once <= max(1, cells) * CELL
    for reading in readers:
        await reading.aclose()
    assert shelf.budget.free == cells * CELL


async def test_who_is_fast_gets_more_ahead_within_the_limit(shelf: Shelf) -> None:
    async for _ in shelf.read(0, len(DATA)):
        pass
    assert shelf.most_at_once == 3 * CELL


async def test_pieces_are_fetched_together_when_the_reader_is_fast(shelf: Shelf) -> None:
    shelf.most_ahead, shelf.largest = 8 * CELL, 3 * CELL
    assert b"".join([data async for data in shelf.read(0, len(DATA))]) == DATA
    sizes = [sum(piece.size for piece in block) for block in shelf.requests]
    assert sizes[0] == 3, "the first bytes are not kept waiting by others"
    assert 2 * CELL <= max(sizes) <= 3 * CELL
    assert shelf.budget.free == 100 * CELL


async def test_a_piece_that_is_larger_than_a_block_is_fetched_whole(shelf: Shelf) -> None:
    shelf.most_ahead, shelf.largest = 1, 1
    assert b"".join([data async for data in shelf.read(0, len(DATA))]) == DATA
    assert [len(block) for block in shelf.requests] == [1] * len(shelf.pieces)


async def test_who_is_slow_has_one_piece_ahead(shelf: Shelf) -> None:
    shelf.slow = False
    sent = 0
    async for data in shelf.read(0, len(DATA)):
        sent += len(data)
        for _ in range(10):
            await asyncio.sleep(0)
        ahead = sum(shelf.pieces[place][0].size for place in shelf.asked) - sent
        assert ahead <= CELL


async def test_of_a_block_the_pieces_before_the_damaged_one_are_sent(shelf: Shelf) -> None:
    shelf.most_ahead = shelf.largest = 8 * CELL
    shelf.gone.add(8 * CELL)
    got: list[bytes] = []

    async def read() -> None:
        async for data in shelf.read(0, len(DATA)):
            got.append(data)

    with pytest.raises(Internal):
        await read()
    assert b"".join(got) == DATA[: 8 * CELL]
    assert any(len(block) > 1 and block[0].slice_start < 8 * CELL for block in shelf.requests[-9:])
    assert shelf.budget.free == 100 * CELL


@pytest.mark.parametrize("listed", [True, False])
async def test_a_missing_piece_is_reported_at_its_place(shelf: Shelf, listed: bool) -> None:
    (shelf.gone if listed else shelf.unlisted).add(6 * CELL)
    reading = shelf.read(0, len(DATA))
    got = b""
    while len(got) < 6 * CELL:
        got += await anext(reading)
    assert got == DATA[: 6 * CELL]
    with pytest.raises(Internal):
        await anext(reading)


async def test_who_goes_away_leaves_nothing_under_way(shelf: Shelf) -> None:
    reading = shelf.read(0, len(DATA))
    for _ in range(3):
        await anext(reading)
    await reading.aclose()
    await asyncio.sleep(0)
    assert shelf.at_once == 0
    assert shelf.budget.free == 100 * CELL
