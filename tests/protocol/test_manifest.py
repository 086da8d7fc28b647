"""The arithmetic of cells and pieces, against an array of bytes that knows nothing of either.

The chain argument of the module is put to the test by writers with stale views and by wild ones:
whatever they try, what the store accepts never overlaps.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from lading.protocol.digests import crc32c
from lading.protocol.errors import Incomplete, InvalidArgument, OutOfBounds
from lading.protocol.manifest import (
    MAX_INTEGER,
    MISSING_SHOWN,
    Piece,
    Range,
    cell_end,
    cell_start,
    check_bounds,
    coverage,
    fills_cell,
    prove,
    split,
)

sizes = st.integers(0, 120)
chunk_sizes = st.integers(1, 30)


def runs(flags: Iterable[bool], wanted: bool) -> list[Range]:
    """The longest runs of `wanted` in an array of flags."""
    found: list[Range] = []
    for place, flag in enumerate(flags):
        if flag is not wanted:
            continue
        if found and found[-1][1] == place:
            found[-1] = (found[-1][0], place + 1)
        else:
            found.append((place, place + 1))
    return found


@st.composite
def stores(draw: st.DrawFn) -> tuple[bytes, int, list[Piece]]:
    """A file's bytes, its cell size, and pieces of it that form chains from their cells' starts."""
    size, chunk_size = draw(sizes), draw(chunk_sizes)
    data = draw(st.binary(min_size=size, max_size=size))
    pieces: list[Piece] = []
    for start, end in split(0, size, chunk_size):
        cuts = sorted(draw(st.sets(st.integers(start + 1, end), max_size=4)))
        for begin, stop in pairwise([start, *cuts]):
            pieces.append(Piece(begin, stop - begin, crc32c(data[begin:stop])))
    return data, chunk_size, pieces


# -- cells and bounds


@given(st.integers(0, MAX_INTEGER), st.integers(1, 2**24))
def test_an_offset_lies_in_its_cell(offset: int, chunk_size: int) -> None:
    start, end = cell_start(offset, chunk_size), cell_end(offset, chunk_size, None)
    assert start <= offset < end
    assert start % chunk_size == 0
    assert end - start == chunk_size


@given(sizes, chunk_sizes)
def test_the_last_cell_ends_with_the_file(size: int, chunk_size: int) -> None:
    for offset in range(size):
        assert cell_end(offset, chunk_size, size) == min(
            cell_start(offset, chunk_size) + chunk_size, size
        )


@given(sizes, sizes, chunk_sizes)
def test_splitting_cuts_at_the_borders_and_nowhere_else(
    start: int, length: int, chunk_size: int
) -> None:
    parts = list(split(start, length, chunk_size))
    assert [place for low, high in parts for place in range(low, high)] == list(
        range(start, start + length)
    )
    assert all(low // chunk_size == (high - 1) // chunk_size for low, high in parts)
    assert all(high % chunk_size == 0 for _, high in parts[:-1])


@given(st.integers(-5, 125), st.integers(-5, 40), chunk_sizes, st.none() | sizes)
def test_bounds_are_those_of_the_oracle(
    start: int, length: int, chunk_size: int, size: int | None
) -> None:
    places = range(start, start + length)
    cells = {place // chunk_size for place in places}
    inside = all(place >= 0 and (size is None or place < size) for place in places)
    if len(cells) == 1 and inside:
        check_bounds(start, length, chunk_size, size)
        border = (start // chunk_size + 1) * chunk_size
        last = start + length in (border, size)
        assert fills_cell(start, length, chunk_size, size) is (size is None or last)
    else:
        with pytest.raises(OutOfBounds):
            check_bounds(start, length, chunk_size, size)


@pytest.mark.parametrize(
    ("start", "length"), [(MAX_INTEGER, 1), (MAX_INTEGER - 1, 2), (2**63, 1), (0, 0), (-1, 1)]
)
def test_bounds_at_the_ends_of_the_integers(start: int, length: int) -> None:
    with pytest.raises(OutOfBounds):
        check_bounds(start, length, 1 << 22, None)


def test_the_last_byte_that_has_a_number() -> None:
    check_bounds(MAX_INTEGER - 1, 1, 1 << 22, None)
    check_bounds(MAX_INTEGER - 1, 1, 1 << 22, MAX_INTEGER)


# -- coverage and proof


@given(stores())
def test_coverage_is_what_the_oracle_counts(store: tuple[bytes, int, list[Piece]]) -> None:
    data, _, pieces = store
    flags = [False] * len(data)
    for piece in pieces:
        flags[piece.slice_start : piece.end] = [True] * piece.size
    assert coverage(pieces, len(data)) == (
        sum(flags),
        max((piece.end for piece in pieces), default=0),
        runs(flags, False),
    )


@given(stores())
def test_of_an_unknown_length_only_holes_are_missing(
    store: tuple[bytes, int, list[Piece]],
) -> None:
    data, _, pieces = store
    known, unknown = coverage(pieces, len(data)), coverage(pieces, None)
    assert unknown[:2] == known[:2]
    assert unknown.missing == [gap for gap in known.missing if gap[1] <= known.end]


@given(stores())
def test_only_the_whole_file_is_proven(store: tuple[bytes, int, list[Piece]]) -> None:
    data, _, pieces = store
    missing = coverage(pieces, len(data)).missing
    if not missing:
        assert prove(pieces, len(data)) == crc32c(data)
        return
    with pytest.raises(Incomplete) as refusal:
        prove(pieces, len(data))
    assert refusal.value.extra == {"missing": [list(gap) for gap in missing]}


@given(stores(), st.integers(0, 119))
def test_bytes_beyond_the_size_are_no_proof(
    store: tuple[bytes, int, list[Piece]], size: int
) -> None:
    _, _, pieces = store
    if pieces and pieces[-1].end > size:
        with pytest.raises(InvalidArgument):
            prove(pieces, size)


def test_an_empty_file_is_whole() -> None:
    assert prove([], 0) == 0
    assert coverage([], 0) == (0, 0, [])


def test_of_many_holes_the_first_are_told() -> None:
    pieces = [Piece(2 * n, 1, 0) for n in range(MISSING_SHOWN + 5)]
    with pytest.raises(Incomplete) as refusal:
        prove(pieces, 2 * (MISSING_SHOWN + 5))
    assert len(refusal.value.extra["missing"]) == MISSING_SHOWN
    assert refusal.value.extra["missing"][0] == [1, 2]
    assert str(MISSING_SHOWN + 5) in str(refusal.value)


def test_overlapping_pieces_are_never_taken_for_a_proof() -> None:
    with pytest.raises(AssertionError, match="overlap at 3"):
        prove([Piece(0, 5, 0), Piece(3, 5, 0)], 8)


# -- the chain argument

FILE = bytes(range(1, 58))
CELL = 12


class Store:
    """Pieces by the place where they begin, accepted by the rule of the chain alone."""

    def __init__(self) -> None:
        self.pieces: dict[int, Piece] = {}

    def sorted(self) -> list[Piece]:
        return [self.pieces[start] for start in sorted(self.pieces)]

    def begins_well(self, start: int) -> bool:
        """At the start of its cell, or where a stored piece ends."""
        return start % CELL == 0 or any(piece.end == start for piece in self.pieces.values())

    def insert(self, piece: Piece) -> None:
        """One atomic write: the first at a place stays."""
        self.pieces.setdefault(piece.slice_start, piece)


def piece_of(start: int, length: int) -> Piece:
    return Piece(start, length, crc32c(FILE[start : start + length]))


class Writers(RuleBasedStateMachine):
    """Any number of writers that look first, and write later what was right when they looked."""

    looked: Bundle[Piece] = Bundle("looked")

    @initialize()
    def begin(self) -> None:
        self.store = Store()

    def check(self, start: int, length: int) -> Piece:
        """What a server does before it inserts; the insertion itself may come much later."""
        check_bounds(start, length, CELL, len(FILE))
        if not self.store.begins_well(start):
            raise OutOfBounds
        return piece_of(start, length)

    @rule(
        target=looked, cell=st.integers(0, 4), length=st.integers(1, CELL), link=st.integers(0, 9)
    )
    def look(self, cell: int, length: int, link: int) -> Piece:
        """Choose a place in a cell's chain, its end or one before, and a length that fits."""
        start, end = cell * CELL, min((cell + 1) * CELL, len(FILE))
        chain = [start] + [p.end for p in self.store.sorted() if start < p.end < end]
        begin = chain[link % len(chain)]
        return self.check(begin, min(length, end - begin))

    @rule(piece=consumes(looked))
    def write(self, piece: Piece) -> None:
        self.store.insert(piece)

    @rule(target=looked, piece=looked)
    def retry(self, piece: Piece) -> Piece:
        return piece

    @rule(target=looked, start=st.integers(0, 60), length=st.integers(1, CELL))
    def try_anything(self, start: int, length: int) -> Piece:
        """A hostile writer gets past the check only with a piece that is in its place."""
        try:
            return self.check(start, length)
        except OutOfBounds:
            return multiple()  # type: ignore[return-value]

    @invariant()
    def pieces_never_overlap(self) -> None:
        stored = self.store.sorted()
        assert all(first.end <= second.slice_start for first, second in pairwise(stored))
        flags = [False] * len(FILE)
        for piece in stored:
            flags[piece.slice_start : piece.end] = [True] * piece.size
        assert coverage(stored, len(FILE)).missing == runs(flags, False)

    @invariant()
    def every_cell_holds_one_chain_from_its_start(self) -> None:
        for start, end in split(0, len(FILE), CELL):
            chain = [p for p in self.store.sorted() if start <= p.slice_start < end]
            assert [p.slice_start for p in chain] == [start, *(p.end for p in chain)][: len(chain)]

    @invariant()
    def what_is_missing_completes_the_file(self) -> None:
        """Filling the missing ranges cell by cell begins where chains end: nothing blocks."""
        filled = dict(self.store.pieces)
        for start, end in coverage(self.store.sorted(), len(FILE)).missing:
            for low, high in split(start, end - start, CELL):
                assert self.store.begins_well(low)
                filled[low] = piece_of(low, high - low)
        assert prove([filled[place] for place in sorted(filled)], len(FILE)) == crc32c(FILE)


TestWriters = Writers.TestCase
TestWriters.settings = settings(max_examples=150, stateful_step_count=30)
