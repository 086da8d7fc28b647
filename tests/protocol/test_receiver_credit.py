"""The receiver's window: what is in flight, what changes it, and the grace after it shrank."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lading.protocol import messages as m
from lading.protocol.digests import crc32c
from lading.protocol.errors import ChecksumMismatch
from lading.protocol.receiver import Connection
from tests.support.transcripts import Desk

OPEN = f"""
    > HELLO
    = authenticated user_id="ann"
    > CREATE ref=1 name="file" size=1000
    = opened ref=1 id="{"a" * 24}" size=1000
"""
EXCEEDED = '! Close code=1008 reason="window-exceeded"'


def desk(window: int) -> Desk:
    made = Desk(window=window)
    made.play(OPEN)
    return made


def send(at: Desk, size: int, start: int = 0) -> list[str]:
    return at.feed(f'> CHUNK ref=1 slice_start={start} data="{"x" * size}"')


def store(at: Desk, size: int, start: int = 0) -> list[str]:
    return at.feed(f"= stored ref=1 slice_start={start} size={size} upload_size=1")


def accepted(answers: list[str]) -> bool:
    return answers[0].startswith("! Write")


def test_the_window_may_be_filled_and_not_exceeded() -> None:
    full = desk(30)
    assert all(accepted(send(full, 10)) for _ in range(3))
    assert full.receiver.in_flight == 30
    answers = send(full, 1)
    assert answers == ['< PROBLEM ref=null problem="window-exceeded" window=30', EXCEEDED]
    assert full.receiver.state is Connection.CLOSED


def test_each_answer_gives_its_credit_back() -> None:
    turning = desk(30)
    for _ in range(3):
        send(turning, 10)
    for start in range(50):
        if start % 2:
            store(turning, 10)
        else:
            turning.feed('= refused ref=1 slice_start=0 size=10 code="checksum-mismatch"')
        assert turning.receiver.in_flight == 20
        assert accepted(send(turning, 10))


def test_an_empty_piece_is_refused_at_once() -> None:
    assert send(desk(30), 0, 5) == ['< REFUSED ref=1 slice_start=5 problem="out-of-bounds"']


def test_a_piece_that_no_upload_takes_counts_for_nothing() -> None:
    stray = desk(30)
    for _ in range(10):
        stray.feed('> CHUNK ref=2 slice_start=0 data="xxxxxxxxxx"')
    assert stray.receiver.in_flight == 0
    assert accepted(send(stray, 30))


def test_a_larger_window_counts_at_once() -> None:
    grown = desk(10)
    send(grown, 10)
    assert grown.feed("= set_window size=20") == ["< WINDOW bytes=20"]
    assert accepted(send(grown, 10))
    assert send(grown, 1)[-1] == EXCEEDED


def test_the_same_window_is_not_told_again() -> None:
    assert desk(10).feed("= set_window size=10") == []


def test_after_shrinking_one_old_window_is_taken() -> None:
    shrunk = desk(30)
    send(shrunk, 10)
    assert shrunk.feed("= set_window size=10") == ["< WINDOW bytes=10"]
    assert accepted(send(shrunk, 10))  # these were under way before WINDOW was heard
    assert accepted(send(shrunk, 10))
    for _ in range(3):
        store(shrunk, 10)
    assert accepted(send(shrunk, 10))  # the old window's worth ends with this one
    assert send(shrunk, 1)[-1] == EXCEEDED


def test_within_the_grace_the_old_window_is_the_limit() -> None:
    shrunk = desk(30)
    shrunk.feed("= set_window size=10")
    assert accepted(send(shrunk, 30))
    assert send(shrunk, 1)[-1] == EXCEEDED


def test_shrinking_twice_keeps_the_grace_of_the_first() -> None:
    shrunk = desk(30)
    shrunk.play("= set_window size=20\n= set_window size=10")
    assert all(accepted(send(shrunk, 10)) for _ in range(3))


def test_a_window_that_grew_within_the_grace_counts() -> None:
    swinging = desk(30)
    swinging.play("= set_window size=10\n= set_window size=50")
    assert all(accepted(send(swinging, 10)) for _ in range(5))


def test_a_window_set_before_the_greeting_is_told_by_it() -> None:
    early = Desk(window=30)
    assert early.play("= set_window size=20\n> HELLO\n= set_window size=10") == [
        "! Authenticate token=null"
    ]
    (welcome,) = early.feed('= authenticated user_id="ann"')
    assert "window=10" in welcome


def test_stored_answers_of_one_upload_are_told_together() -> None:
    batching = desk(100)
    for start in (0, 10, 20, 30):
        send(batching, 10, start)
    for start in (20, 0):
        batching.receiver.stored(1, start, 10, 10 + start)
    batching.receiver.refused(1, 10, 10, ChecksumMismatch())
    batching.receiver.stored(1, 30, 10, 30)
    kinds = [effect.message for effect in batching.receiver.effects()]  # type: ignore[union-attr]
    assert kinds[0] == m.Stored(1, ((20, 10), (0, 10)), 10)
    assert isinstance(kinds[1], m.Refused)
    assert kinds[2] == m.Stored(1, ((30, 10),), 30)


@given(
    window=st.integers(10, 60),
    steps=st.lists(st.tuples(st.sampled_from("wcsd"), st.integers(1, 60)), max_size=60),
)
def test_a_client_that_obeys_is_never_closed(window: int, steps: list[tuple[str, int]]) -> None:
    """Windows change at any time, messages take any time in both directions."""
    at = desk(window)
    credit, unanswered = window, 0
    to_server: list[int] = []
    to_client: list[tuple[str, int]] = []
    storing: list[int] = []
    for step, number in steps:
        if step == "w" and number >= 10:
            at.receiver.set_window(number)
            to_client.append(("window", number))
        elif step == "c" and unanswered + min(number, 10) <= credit:
            unanswered += min(number, 10)
            to_server.append(min(number, 10))
        elif step == "d" and number % 2 and to_server:
            size = to_server.pop(0)
            data = b"x" * size
            at.receiver.receive(m.Chunk(1, 0, crc32c(data), data), 0.0)
            storing.append(size)
        elif step == "s" and storing:
            size = storing.pop(number % len(storing))
            at.receiver.stored(1, 0, size, 1)
            to_client.append(("stored", size))
        elif step == "d" and to_client:
            kind, value = to_client.pop(0)
            credit, unanswered = (
                (value, unanswered) if kind == "window" else (credit, unanswered - value)
            )
        assert at.receiver.state is Connection.OPEN
        assert at.receiver.in_flight == sum(storing)
