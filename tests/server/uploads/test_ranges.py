"""Ranges of a file: whoever goes on has each piece fetched once, whoever jumps no more than it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from lading.protocol.errors import Internal
from lading.server.uploads.ranges import Ranges
from tests.server.uploads.test_reader import CELL, DATA, Shelf


@asynccontextmanager
async def opened(shelf: Shelf) -> AsyncIterator[Ranges]:
    ranges = Ranges(shelf.read, len(DATA), CELL)
    yield ranges
    await ranges.close()
    assert shelf.budget.free == 100 * CELL, "nothing is fetched ahead any more"


@pytest.mark.parametrize("step", [1, 3, CELL, CELL + 1, 3 * CELL, len(DATA)])
async def test_who_goes_on_has_each_piece_fetched_once(step: int) -> None:
    shelf = Shelf()
    async with opened(shelf) as ranges:
        read = [
            await ranges.read(start, min(start + step, len(DATA)))
            for start in range(0, len(DATA), step)
        ]
    assert b"".join(read) == DATA
    assert sorted(shelf.asked) == sorted(shelf.pieces)


async def test_who_jumps_has_the_cells_fetched_where_it_reads() -> None:
    shelf = Shelf()
    async with opened(shelf) as ranges:
        for start in (9 * CELL + 2, 2 * CELL + 3, 7 * CELL, 2 * CELL):
            assert await ranges.read(start, start + 1) == DATA[start : start + 1]
    assert shelf.asked == [9 * CELL, 2 * CELL, 7 * CELL, 2 * CELL]


async def test_any_ranges_are_those_of_the_file() -> None:
    draw = random.Random(3)
    async with opened(Shelf()) as ranges:
        start = 0
        for _ in range(300):
            start = start if draw.random() < 0.6 else draw.randrange(len(DATA))
            end = min(len(DATA), start + draw.randint(1, 3 * CELL))
            assert await ranges.read(start, end) == DATA[start:end]
            start = end % len(DATA)


async def test_what_cannot_be_read_is_said_and_may_be_read_again() -> None:
    shelf = Shelf()
    shelf.gone = {3 * CELL}
    async with opened(shelf) as ranges:
        with pytest.raises(Internal):
            await ranges.read(0, len(DATA))
        shelf.gone.clear()
        assert await ranges.read(3 * CELL, len(DATA)) == DATA[3 * CELL :]
        assert await ranges.read(0, len(DATA)) == DATA
