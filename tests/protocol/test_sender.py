"""The sender: which piece is next, within which credit, and what becomes of refusals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.protocol import messages as m
from lading.protocol import sender as s
from lading.protocol.digests import crc32c
from lading.protocol.errors import CATALOGUE, ChecksumMismatch, LadingError
from lading.protocol.manifest import Range
from lading.protocol.sender import MAX_CORRUPTIONS, Wanted
from lading.protocol.sender.upload import without
from tests.support.readable import (
    everything,
    failures,
    open_upload,
    places,
    problem,
    refused,
    sender,
    stored,
)

# -- pieces


@pytest.mark.parametrize(
    ("size", "missing", "pieces"),
    [
        (0, (), []),
        (1, None, [(0, 1)]),
        (10, None, [(0, 10)]),
        (11, None, [(0, 10), (10, 11)]),
        (25, None, [(0, 10), (10, 20), (20, 25)]),
        (25, ((3, 10), (20, 25)), [(3, 10), (20, 25)]),
        (25, ((7, 25),), [(7, 10), (10, 20), (20, 25)]),
        (25, ((12, 20), (23, 25)), [(12, 20), (23, 25)]),
    ],
)
def test_what_is_missing_is_sent_cell_by_cell(
    size: int, missing: tuple[Range, ...] | None, pieces: list[Range]
) -> None:
    one = sender()
    ref = open_upload(one, size, missing)
    found = everything(one)
    assert places(found) == pieces
    assert one.in_flight == sum(end - start for start, end in pieces)
    assert one.settled(ref) is (not pieces)
    for start, end in pieces:
        assert not one.settled(ref)
        stored(one, ref, (start, end - start))
    assert one.settled(ref)
    assert one.in_flight == 0


def test_an_upload_is_spent_when_its_last_piece_was_taken() -> None:
    one = sender()
    ref = open_upload(one, 25)
    assert not one.spent(ref)
    everything(one)
    assert one.spent(ref)
    refused(one, ref, 10, ChecksumMismatch())
    assert not one.spent(ref)  # that piece goes again
    everything(one)
    assert one.spent(ref)
    assert not one.spent(ref + 1)


def test_error_of_a_piece_is_told_from_one_of_the_file() -> None:
    one = sender()
    ref = open_upload(one, 25)
    everything(one)
    refused(one, ref, 0, CATALOGUE["storage-full"]())
    problem(one, ref, ChecksumMismatch())
    found = [event for event in one.events() if isinstance(event, s.Failed)]
    assert [(event.piece, event.error.code) for event in found] == [
        (True, "storage-full"),
        (False, "checksum-mismatch"),
    ]


def test_a_piece_becomes_a_chunk() -> None:
    one = sender()
    ref = open_upload(one, 5)
    (wanted,) = everything(one)
    assert one.piece(wanted, b"hello") == m.Chunk(ref, 0, crc32c(b"hello"), b"hello")
    with pytest.raises(AssertionError):
        one.piece(wanted, b"hell")


def test_a_finished_upload_wants_nothing() -> None:
    one = sender()
    ref = open_upload(one, 20, (), stored=20, state="ready")
    assert everything(one) == []
    assert not one.settled(ref)
    one.receive(m.Complete(ref, "a" * 24, 20, "a/b", None, 0, "/f"))
    (event,) = one.events()
    assert isinstance(event, s.Completed)


# -- the window


def test_the_window_is_never_exceeded() -> None:
    one = sender(25)
    ref = open_upload(one, 100)
    assert places(everything(one)) == [(0, 10), (10, 20)]
    stored(one, ref, (10, 10))
    assert places(everything(one)) == [(20, 30)]
    one.receive(m.Window(45))
    assert places(everything(one)) == [(30, 40), (40, 50)]
    one.receive(m.Window(10))
    stored(one, ref, (0, 10), (20, 10), (30, 10))
    assert one.in_flight == 10
    assert everything(one) == []
    stored(one, ref, (40, 10))
    assert places(everything(one)) == [(50, 60)]


def test_answers_that_come_twice_give_credit_once() -> None:
    one = sender(20)
    ref = open_upload(one, 100)
    everything(one)
    for _ in range(3):
        stored(one, ref, (0, 10))
        refused(one, ref, 0, ChecksumMismatch())
    assert one.in_flight == 10
    assert places(everything(one)) == [(20, 30)]


def test_uploads_take_turns() -> None:
    one = sender(50)
    first, second, third = (open_upload(one, size) for size in (100, 30, 100))
    order = [(wanted.ref, wanted.start) for wanted in everything(one)]
    assert order == [(first, 0), (second, 0), (third, 0), (first, 10), (second, 10)]
    stored(one, first, (0, 10), (10, 10))
    order = [(wanted.ref, wanted.start) for wanted in everything(one)]
    assert order == [(third, 10), (first, 20)]


def test_a_large_piece_is_not_overtaken_for_ever() -> None:
    one = sender(12)
    small = open_upload(one, 100, tuple((n, n + 1) for n in range(9, 99, 10)))
    large = open_upload(one, 10)
    assert (one.wanted(), one.wanted()) == (Wanted(small, 9, 10), Wanted(large, 0, 10))
    one.wanted()
    stored(one, large, (0, 10))
    again = open_upload(one, 10)
    seen = everything(one)
    for _ in range(12):
        for wanted in seen:
            stored(one, wanted.ref, (wanted.start, wanted.end - wanted.start))
        seen = everything(one)
        if any(wanted.ref == again for wanted in seen):
            return
    raise AssertionError("the large piece never had its turn")


# -- refusals


def test_a_damaged_piece_is_sent_again_a_few_times() -> None:
    one = sender()
    ref = open_upload(one, 20)
    everything(one)
    for _ in range(MAX_CORRUPTIONS):
        refused(one, ref, 10, ChecksumMismatch())
        assert places(everything(one)) == [(10, 20)]
        assert one.events() == []
    refused(one, ref, 10, ChecksumMismatch())
    assert failures(one) == [(ref, "checksum-mismatch")]
    assert everything(one) == []
    assert one.in_flight == 10


def test_damage_is_counted_for_each_piece_until_it_is_stored() -> None:
    one = sender()
    ref = open_upload(one, 20)
    everything(one)
    for _ in range(MAX_CORRUPTIONS):
        refused(one, ref, 0, ChecksumMismatch())
        everything(one)
    refused(one, ref, 10, ChecksumMismatch())
    assert places(everything(one)) == [(10, 20)]
    assert failures(one) == []


@pytest.mark.parametrize("code", sorted(set(CATALOGUE) - {"checksum-mismatch"}))
def test_any_other_refusal_fails_and_is_not_sent_again(code: str) -> None:
    one = sender()
    ref = open_upload(one, 10)
    everything(one)
    refused(one, ref, 0, CATALOGUE[code]())
    assert failures(one) == [(ref, code)]
    assert everything(one) == []
    assert one.in_flight == 0


# -- finishing


def test_finish_tells_size_and_digest() -> None:
    one = sender()
    ref = open_upload(one, 10)
    one.finish(ref, "0" * 64)
    assert one.outgoing() == [m.Finish(ref, 10, "0" * 64)]
    assert one.outgoing() == []


def incomplete(*missing: Range) -> LadingError:
    return CATALOGUE["incomplete"](None, missing=[list(gap) for gap in missing])


def test_what_finish_finds_missing_is_sent() -> None:
    one = sender()
    ref = open_upload(one, 40, ())
    one.finish(ref)
    problem(one, ref, incomplete((5, 10), (20, 40)))
    assert one.events() == []
    assert not one.settled(ref)
    assert places(everything(one)) == [(5, 10), (20, 30), (30, 40)]


def test_what_is_in_flight_is_not_sent_twice_after_finish() -> None:
    one = sender(30)
    ref = open_upload(one, 100)
    assert places(everything(one)) == [(0, 10), (10, 20), (20, 30)]
    stored(one, ref, (10, 10))
    problem(one, ref, incomplete((0, 10), (20, 100)))
    assert one.in_flight == 20
    assert places(everything(one)) == [(30, 40)]
    stored(one, ref, (0, 10), (20, 10), (30, 10))
    assert one.in_flight == 0


@pytest.mark.parametrize("missing", [None, [], "all", 5, [[1]], [["a", "b"]], [1, 2], {"a": 1}])
def test_incomplete_without_ranges_is_a_failure(missing: object) -> None:
    one = sender()
    ref = open_upload(one, 10, ())
    problem(one, ref, CATALOGUE["incomplete"](None, missing=missing))
    assert failures(one) == [(ref, "incomplete")]


def test_an_upload_goes_on_after_finish_was_refused() -> None:
    one = sender()
    ref = open_upload(one, 10, ())
    problem(one, ref, ChecksumMismatch())
    assert failures(one) == [(ref, "checksum-mismatch")]
    assert one.settled(ref)
    one.finish(ref)
    assert one.outgoing() == [m.Finish(ref, 10)]


def test_verification_is_told() -> None:
    one = sender()
    ref = open_upload(one, 10)
    one.receive(m.Verifying(ref, 5, 10))
    assert one.events() == [s.Verifying(ref, 5, 10)]


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), max_size=8),
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 10)), max_size=6),
)
def test_nothing_is_in_flight_twice_after_incomplete(
    gaps: list[tuple[int, int]], flying: list[tuple[int, int]]
) -> None:
    missing: list[Range] = []
    for skip, length in gaps:
        start = (missing[-1][1] if missing else 0) + skip
        missing.append((start, start + length))
    end = missing[-1][1] if missing else 0
    in_flight: dict[int, int] = {}
    for start, size in flying:
        if not any(
            low < start + size and start < low + length for low, length in in_flight.items()
        ):
            in_flight[start] = size
    left = list(without(missing, in_flight))
    taken = {place for start, size in in_flight.items() for place in range(start, start + size)}
    wanted = {place for low, high in missing for place in range(low, high)}
    found = [place for low, high in left for place in range(low, high)]
    assert found == sorted(wanted - taken)
    assert all(place < end for place in found)
