"""Blocks of pieces: they follow each other, and are bounded in bytes and in number."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from lading.protocol.errors import Unavailable
from lading.protocol.manifest import Piece
from lading.storage.blocks import MOST_PIECES, Blocks

MIB = 2**20


async def listed(*pieces: Piece, failure: Exception | None = None) -> AsyncGenerator[Piece, None]:
    for piece in pieces:
        yield piece
    if failure is not None:
        raise failure


async def cut(blocks: Blocks, most: int) -> list[list[int]]:
    found = []
    while block := await blocks.next(most):
        found.append([piece.slice_start for piece in block])
    return found


async def test_a_block_is_as_long_as_is_asked_for_and_has_a_piece_at_least() -> None:
    pieces = [Piece(start, 4, 0) for start in (0, 4, 8, 12)]
    assert await cut(Blocks(listed(*pieces)), 9) == [[0, 4], [8, 12]]
    assert await cut(Blocks(listed(*pieces)), 1) == [[0], [4], [8], [12]]


async def test_pieces_on_both_sides_of_a_gap_are_in_no_block_together() -> None:
    pieces = [Piece(0, 4, 0), Piece(4, 4, 0), Piece(12, 4, 0)]
    assert await cut(Blocks(listed(*pieces)), MIB) == [[0, 4], [12]]


async def test_a_block_of_tiny_pieces_is_bounded_too() -> None:
    pieces = [Piece(start, 1, 0) for start in range(MOST_PIECES + 3)]
    assert [len(block) for block in await cut(Blocks(listed(*pieces)), MIB)] == [MOST_PIECES, 3]


async def test_what_listing_raised_comes_after_the_blocks_before_it() -> None:
    blocks = Blocks(listed(Piece(0, 4, 0), failure=Unavailable("The database is away.")))
    assert await blocks.next(MIB) == [Piece(0, 4, 0)]
    with pytest.raises(Unavailable):
        await blocks.next(MIB)
