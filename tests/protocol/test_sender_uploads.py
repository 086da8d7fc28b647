"""The sender and its uploads: unknown lengths, progress, leaving, and ends of every kind."""

from __future__ import annotations

import pytest

from lading.protocol import messages as m
from lading.protocol import sender as s
from lading.protocol.errors import (
    CATALOGUE,
    ChecksumMismatch,
    Gone,
    InvalidArgument,
    NotFound,
    RateLimited,
)
from lading.protocol.spec import UploadSpec
from tests.support.readable import (
    answer,
    everything,
    failures,
    open_upload,
    places,
    problem,
    refused,
    sender,
    stored,
)

# -- unknown length


def test_of_an_unknown_length_whole_cells_are_sent_until_the_end_is_known() -> None:
    one = sender()
    ref = open_upload(one, None)
    one.offer(ref, 5)
    assert everything(one) == []
    assert not one.settled(ref)
    one.offer(ref, 25)
    assert places(everything(one)) == [(0, 10), (10, 20)]
    one.offer(ref, 22)
    one.end(ref, 27)
    one.end(ref, 27)
    assert places(everything(one)) == [(20, 27)]
    stored(one, ref, (0, 10), (10, 10), (20, 7))
    assert one.settled(ref)
    one.finish(ref)
    assert one.outgoing() == [m.Finish(ref, 27)]


@pytest.mark.parametrize("size", [0, 10, 20])
def test_an_unknown_length_that_ends_at_a_border(size: int) -> None:
    one = sender()
    ref = open_upload(one, None)
    one.offer(ref, size)
    found = everything(one)
    assert places(found) == [(start, start + 10) for start in range(0, size, 10)]
    one.end(ref, size)
    assert everything(one) == []
    for start, end in places(found):
        stored(one, ref, (start, end - start))
    assert one.settled(ref)


def test_an_unknown_length_is_resumed_where_bytes_end() -> None:
    one = sender()
    ref = open_upload(one, None, ((10, 20),), stored=15)
    assert places(everything(one)) == [(10, 20)]
    one.offer(ref, 25)
    assert everything(one) == []
    one.offer(ref, 41)
    assert places(everything(one)) == [(25, 30), (30, 40)]


def test_bytes_offered_before_opened_are_sent() -> None:
    one = sender()
    ref = one.create(UploadSpec(name="recording"))
    one.offer(ref, 25)
    assert everything(one) == []
    answer(one, ref, None)
    assert places(everything(one)) == [(0, 10), (10, 20)]


def test_an_end_known_before_opened_is_kept() -> None:
    one = sender()
    ref = one.resume("a" * 24)
    one.end(ref, 25)
    answer(one, ref, None, (), stored=10)
    assert places(everything(one)) == [(10, 20), (20, 25)]
    one.finish(ref)
    assert one.outgoing()[-1] == m.Finish(ref, 25)


def test_an_end_before_what_is_stored_is_refused() -> None:
    one = sender()
    ref = open_upload(one, None, (), stored=15)
    with pytest.raises(InvalidArgument):
        one.end(ref, 14)
    one.end(ref, 15)
    assert one.settled(ref)


# -- progress


def test_progress_is_what_the_server_says_and_never_goes_back() -> None:
    one = sender()
    ref = open_upload(one, 40, ((10, 40),), stored=10)
    everything(one)
    for start, total in ((10, 20), (20, 45), (30, 30)):
        stored(one, ref, (start, 10), total=total)
    assert [e.stored for e in one.events() if isinstance(e, s.Progress)] == [20, 40, 40]


# -- ends


def test_the_pieces_of_a_lost_upload_take_credit_until_they_are_answered() -> None:
    one = sender(30)
    lost, other = open_upload(one, 20), open_upload(one, 100)
    assert len(everything(one)) == 3
    problem(one, lost, Gone())
    assert failures(one) == [(lost, "gone")]
    assert one.in_flight == 30
    assert everything(one) == []
    assert not one.settled(lost)
    stored(one, lost, (0, 10))
    problem(one, lost, NotFound(slice_start=10))
    assert one.in_flight == 10
    assert {wanted.ref for wanted in everything(one)} == {other}
    assert one.events() == []
    one.offer(lost, 50)
    one.end(lost, 50)
    assert one.events() == []


def test_pieces_sent_after_finish_take_credit_until_they_are_answered() -> None:
    one = sender(20)
    ref = open_upload(one, 20)
    everything(one)
    one.receive(m.Complete(ref, "a" * 24, 20, "a/b", None, 0, "/f"))
    assert one.in_flight == 20
    stored(one, ref, (0, 10), (10, 10))
    assert one.in_flight == 0


def test_uploads_that_could_not_be_opened_are_forgotten() -> None:
    one = sender()
    for _ in range(m.MAX_REF + 10):
        ref = one.create(UploadSpec(name="file"))
        problem(one, ref, CATALOGUE["forbidden"]())
        assert failures(one) == [(ref, "forbidden")]
        one.outgoing()


def test_a_ref_is_not_used_anew_while_pieces_of_it_are_in_flight() -> None:
    one = sender()
    ref = open_upload(one, 10)
    everything(one)
    problem(one, ref, Gone())
    refs = []
    for _ in range(m.MAX_REF + 5):
        refs.append(one.create(UploadSpec(name="file")))
        problem(one, refs[-1], CATALOGUE["forbidden"]())
        one.outgoing()
    assert ref not in refs
    assert max(refs) == m.MAX_REF


def test_refs_run_out_with_an_error() -> None:
    one = sender()
    for _ in range(m.MAX_REF + 1):
        one.resume("a" * 24)
    with pytest.raises(RateLimited):
        one.resume("a" * 24)


def test_what_is_said_of_an_unknown_ref_changes_nothing() -> None:
    one = sender()
    open_upload(one, 10)
    answer(one, 9, 10)
    stored(one, 9, (0, 10))
    refused(one, 9, 0, ChecksumMismatch())
    problem(one, 9, NotFound())
    assert one.events() == []
    assert one.in_flight == 0


def test_a_problem_of_the_connection_is_told() -> None:
    one = sender()
    problem(one, None, CATALOGUE["unauthorized"]())
    assert failures(one) == [(None, "unauthorized")]


def test_after_goaway_nothing_more_is_sent() -> None:
    one = sender()
    ref = open_upload(one, 30)
    one.wanted()
    one.receive(m.GoAway("shutdown", 3))
    assert one.events() == [s.GoingAway(3)]
    assert everything(one) == []
    stored(one, ref, (0, 10))
    assert one.in_flight == 0


def test_the_small_messages() -> None:
    one = sender()
    one.ping(5)
    assert one.outgoing() == [m.Ping(5)]
    one.receive(m.Pong(5))
    one.receive(m.Closed(0))
    assert one.events() == []
