"""Pieces before OPENED: what the sender sends of a new upload where the server agreed to that."""

from __future__ import annotations

import pytest

from lading.protocol import messages as m
from lading.protocol import sender as s
from lading.protocol.errors import ChecksumMismatch, QuotaExceeded
from lading.protocol.sender import Sender
from lading.protocol.spec import UploadSpec
from tests.support.readable import answer, everything, failures, places, problem, refused, stored

EARLY = m.EarlyPieces(chunk_size=10, window=30)
SPEC = UploadSpec(name="file", size=45)


def agreed() -> Sender:
    """One that has only said HELLO."""
    made = Sender()
    made.agree(EARLY)
    made.hello("t", "test")
    return made


def welcome(at: Sender, window: int = 1000) -> None:
    at.receive(m.Welcome("ann", window, 10, 20, "lading"))


def in_flight() -> tuple[Sender, int]:
    """One whose window is full of early pieces, of an upload that is open now, and its `ref`."""
    one = agreed()
    ref = one.create(SPEC)
    everything(one)
    welcome(one, 30)
    answer(one, ref, 45)
    return one, ref


def test_pieces_follow_create_within_the_window_that_was_agreed() -> None:
    one = agreed()
    ref = one.create(SPEC)
    assert one.outgoing() == [m.Hello("t", "test"), m.Create(ref, SPEC)]
    assert places(everything(one)) == [(0, 10), (10, 20), (20, 30)]
    welcome(one)
    assert places(everything(one)) == [(30, 40), (40, 45)]
    assert not one.spent(ref), "FINISH waits for OPENED"
    answer(one, ref, 45)
    assert everything(one) == [], "they are in flight already"
    assert one.spent(ref)
    assert not one.settled(ref)
    one.finish(ref)
    assert one.outgoing() == [m.Finish(ref, 45)]
    stored(one, ref, *((start, min(10, 45 - start)) for start in range(0, 45, 10)), total=45)
    assert one.settled(ref)


def test_opened_says_what_is_missing_beside_what_is_in_flight() -> None:
    one, ref = in_flight()
    assert everything(one) == []
    stored(one, ref, (0, 10), (10, 10))
    assert places(everything(one)) == [(30, 40), (40, 45)]


def test_a_damaged_early_piece_is_sent_again() -> None:
    one, ref = in_flight()
    refused(one, ref, 10, ChecksumMismatch())
    assert places(everything(one)) == [(10, 20)]


def test_where_the_upload_is_refused_its_pieces_give_their_credit_back() -> None:
    one = agreed()
    ref = one.create(SPEC)
    pieces = everything(one)
    welcome(one, 30)
    one.events()
    problem(one, ref, QuotaExceeded())
    assert failures(one) == [(ref, "quota-exceeded")]
    assert (one.in_flight, everything(one)) == (30, [])
    for piece in pieces:
        refused(one, ref, piece.start, QuotaExceeded())
    assert one.in_flight == 0
    assert failures(one) == []


def test_the_next_upload_of_the_connection_is_early_too() -> None:
    one = agreed()
    welcome(one)
    ref = one.create(SPEC)
    assert len(everything(one)) == 5
    answer(one, ref, 45)
    assert [type(event) for event in one.events()] == [s.Welcomed, s.Opened]


@pytest.mark.parametrize(
    "spec",
    [
        UploadSpec(name="file", size=None),
        UploadSpec(name="file", size=0),
        UploadSpec(name="file", size=45, chunk_size=10),
    ],
)
def test_what_is_not_known_before_opened_waits_for_it(spec: UploadSpec) -> None:
    one = agreed()
    ref = one.create(spec)
    welcome(one)
    assert everything(one) == []
    assert not one.spent(ref)


def test_a_resumed_upload_waits_for_what_is_missing() -> None:
    one = agreed()
    ref = one.resume("a" * 24)
    welcome(one)
    assert everything(one) == []
    answer(one, ref, 45, ((20, 45),), stored=20)
    assert places(everything(one)) == [(20, 30), (30, 40), (40, 45)]


def test_without_an_agreement_all_waits_for_opened() -> None:
    one = Sender()
    one.hello("t", "test")
    ref = one.create(SPEC)
    welcome(one)
    assert everything(one) == []
    answer(one, ref, 45)
    assert len(everything(one)) == 5
