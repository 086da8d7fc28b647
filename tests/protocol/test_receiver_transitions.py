"""The receiver's tables: what is legal, and that what is illegal raises and changes nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lading.protocol.errors import Gone, Internal
from lading.protocol.manifest import coverage
from lading.protocol.receiver import Connection, IllegalEvent, Receiver, ReceiverLimits, Upload
from lading.protocol.receiver.transitions import (
    CONNECTION,
    UPLOAD,
    ConnectionEvent,
    UploadEvent,
    step,
)
from tests.support.transcripts import Desk, manifest

A = "a" * 24
OPEN = f'''
    > HELLO
    = authenticated user_id="ann"
    > CREATE ref=1 name="file" size=20
    = opened ref=1 id="{A}"
'''


def test_every_state_has_a_row() -> None:
    assert set(CONNECTION) == set(Connection)
    assert set(UPLOAD) == set(Upload)


def test_every_state_and_event_of_a_table_is_used() -> None:
    for table, events in ((CONNECTION, ConnectionEvent), (UPLOAD, UploadEvent)):
        assert {event for row in table.values() for event in row} == set(events)


@pytest.mark.parametrize("state", Upload)
@pytest.mark.parametrize("event", UploadEvent)
def test_a_step_follows_the_table_or_raises(state: Upload, event: UploadEvent) -> None:
    if event in UPLOAD[state]:
        assert step(UPLOAD, state, event) is UPLOAD[state][event]
    else:
        with pytest.raises(IllegalEvent, match=f"{event.name} .* {state.name}"):
            step(UPLOAD, state, event)


@pytest.mark.parametrize(
    "answer",
    [
        lambda r: r.opened(1, manifest(A), coverage([], 20)),
        lambda r: r.completed(1, manifest(A, state="ready"), "/f"),
        lambda r: r.closed(1, 0.0),
        lambda r: r.failed(1, Internal(), 0.0),
        lambda r: r.failed(2, Gone(), 0.0),
        lambda r: r.stored(1, 0, 10, 10),
        lambda r: r.refused(1, 0, 10, Internal()),
        lambda r: r.authenticated("ann", None, 0.0),
        lambda r: r.rejected(Internal()),
    ],
)
def test_an_answer_to_nothing_raises_and_changes_nothing(
    answer: Callable[[Receiver], None],
) -> None:
    desk = Desk()
    desk.play(OPEN)
    receiver, deadline = desk.receiver, desk.receiver.deadline()
    with pytest.raises(IllegalEvent):
        answer(receiver)
    assert receiver.effects() == []
    assert (receiver.in_flight, receiver.deadline()) == (0, deadline)
    assert desk.feed('> CHUNK ref=1 slice_start=0 data="aaaaaaaaaa"')[0].startswith("! Write")


def test_what_is_asked_for_after_a_token_waits_for_its_check() -> None:
    desk = Desk()
    desk.play(OPEN + '> TOKEN token="t"')
    assert desk.play('> FINISH ref=1\n> CREATE ref=2 name="n" size=0\n> DETACH ref=3') == [
        "< CLOSED ref=3"
    ]
    assert not desk.receiver.idle
    answers = desk.feed('= authenticated user_id="ann"')
    assert [answer.split()[1] for answer in answers] == ["Finish", "Create"]


def test_the_last_of_several_tokens_is_checked_next() -> None:
    desk = Desk()
    desk.play(OPEN)
    asked = desk.play('> TOKEN token="a"\n> TOKEN token="b"\n> TOKEN token="c"')
    assert asked == ['! Authenticate token="a"']
    assert desk.feed('= authenticated user_id="ann" expires=1') == ['! Authenticate token="c"']
    assert desk.feed("= at time=2") == [], "the check of c decides"
    assert desk.feed('= authenticated user_id="ann" expires=100') == []
    assert desk.receiver.deadline() == 20


@pytest.mark.parametrize(
    ("waits", "until"),
    [
        ('> TOKEN token="t"', '= authenticated user_id="ann"'),
        (
            '> CHUNK ref=1 slice_start=0 data="aaaaaaaaaa"\n= lost ref=1 code="gone"',
            '= refused ref=1 slice_start=0 size=10 code="gone"',
        ),
    ],
)
def test_a_receiver_is_busy_while_a_create_waits_since_its_pieces_may_follow(
    waits: str, until: str
) -> None:
    desk = Desk()
    desk.play(f"{OPEN}\n{waits}")
    assert not desk.receiver.busy
    ref = 1 if "CHUNK" in waits else 2
    assert desk.feed(f'> CREATE ref={ref} name="n" size=20') == []
    assert desk.receiver.busy
    assert "! Create" in " ".join(desk.feed(until))
    assert not desk.receiver.busy


def test_a_receiver_is_busy_until_welcome_and_while_many_uploads_open() -> None:
    limits = ReceiverLimits(max_opening=2)
    desk = Desk()
    desk.receiver = Receiver(0.0, window=100, max_chunk_size=10, limits=limits)
    desk.feed("> HELLO")
    assert desk.receiver.busy
    desk.feed('= authenticated user_id="ann"')
    assert not desk.receiver.busy
    desk.play('> CREATE ref=1 name="n" size=0\n> CREATE ref=2 name="n" size=0')
    assert desk.receiver.busy
    desk.feed('= failed ref=1 code="internal"')
    assert not desk.receiver.busy
