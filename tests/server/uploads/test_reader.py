"""Streams of bytes from pieces that are fetched ahead, without a store."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from itertools import pairwise, product

import pytest

from lading.protocol.errors import Internal
from lading.protocol.manifest import Piece
from lading.server.uploads.reader import Ahead, Fetched, stream

CELL = 8
DATA = random.Random(1).randbytes(10 * CELL + 3)


class Shelf:
    """Pieces in memory, some cells in several; says what was asked for."""

    def __init__(self) -> None:
        cuts = {*range(0, len(DATA), CELL), 3, 5, 4 * CELL + 1, len(DATA)}
        edges = sorted(cuts)
        self.pieces = {
            low: (Piece(low, high - low, 0), DATA[low:high]) for low, high in pairwise(edges)
        }
        self.asked: list[int] = []
        self.at_once = self.most_at_once = 0
        self.slow = True
        self.budget = Ahead(100 * CELL)

    async def fetch(self, slice_start: int) -> Fetched:
        self.asked.append(slice_start)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            for _ in range(5 if self.slow else 0):
                await asyncio.sleep(0)
        finally:
            self.at_once -= 1
        if slice_start not in self.pieces:
            raise Internal("gone")
        return self.pieces[slice_start]

    def read(self, start: int, end: int) -> AsyncGenerator[bytes, None]:
        first = max(place for place in self.pieces if place <= start)
        ahead, budget = 3 * CELL, self.budget
        return stream(self.fetch, CELL, first, start, end, most_ahead=ahead, budget=budget)


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
    assert shelf.most_at_once <= max(1, cells)
    assert shelf.budget.free == cells * CELL


async def test_who_is_fast_gets_more_ahead_within_the_limit(shelf: Shelf) -> None:
    async for _ in shelf.read(0, len(DATA)):
        pass
    assert shelf.most_at_once == 3


async def test_who_is_slow_has_one_piece_ahead(shelf: Shelf) -> None:
    shelf.slow = False
    sent = 0
    async for data in shelf.read(0, len(DATA)):
        sent += len(data)
        for _ in range(10):
            await asyncio.sleep(0)
        ahead = sum(shelf.pieces[place][0].size for place in shelf.asked) - sent
        assert ahead <= CELL


async def test_a_missing_piece_is_reported_at_its_place(shelf: Shelf) -> None:
    del shelf.pieces[6 * CELL]
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
