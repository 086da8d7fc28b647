"""The receiver and time: deadlines, heartbeats, the credential's expiry, draining, restarting."""

from __future__ import annotations

import math

import pytest

from lading.protocol.errors import Unauthorized
from lading.protocol.readable import show
from lading.protocol.receiver import Connection
from tests.support.transcripts import Desk

A = "a" * 24
WELCOME = '> HELLO\n= authenticated user_id="ann"'
EXPIRING = '> HELLO\n= authenticated user_id="ann" expires=100'
OPEN = f'> CREATE ref=1 name="file" size=20\n= opened ref=1 id="{A}"'
FIRST = '> CHUNK ref=1 slice_start=0 data="aaaaaaaaaa"'
STORED = "= stored ref=1 slice_start=0 size=10 upload_size=10"
COMPLETED = f'= completed ref=1 id="{A}" size=20'
EXPIRED = '< PROBLEM ref=null problem="unauthorized"'
CLOSE_EXPIRED = '! Close code=4401 reason="unauthorized"'


def desk(*scripts: str) -> Desk:
    made = Desk(heartbeat=20)
    for script in scripts:
        made.play(script)
    return made


def at(time: float) -> str:
    return f"= at time={time}"


def beat(made: Desk, until: float) -> list[str]:
    """Let a client that sends PING every 15 s live on; gives what happens besides heartbeats."""
    answers: list[str] = []
    while made.now + 15 <= until:
        answers += made.feed(at(made.now + 15))
        answers += made.feed("> PING nonce=1")
    answers += made.feed(at(until))
    return [answer for answer in answers if answer.split()[1] not in ("WINDOW", "PONG")]


# -- greeting and silence


def test_hello_must_come_within_five_seconds() -> None:
    waiting = desk()
    assert waiting.receiver.deadline() == 5.0
    assert waiting.feed(at(4.99)) == []
    waiting.play("= heard now=4.99")
    assert waiting.feed(at(5)) == [
        '< PROBLEM ref=null problem="unauthorized"', '! Close code=1008 reason="unauthorized"',
    ]  # fmt: skip
    assert waiting.receiver.deadline() == math.inf


def test_nothing_comes_before_welcome() -> None:
    knocking = desk("> HELLO")
    assert [knocking.feed(at(time)) for time in (20, 40, 59)] == [[], [], []]
    assert knocking.feed('= authenticated user_id="ann"')[0].startswith("< WELCOME")


def test_an_idle_connection_beats_and_a_silent_one_is_closed() -> None:
    silent = desk(WELCOME, OPEN)
    for time in (20, 40):
        assert silent.receiver.deadline() == time
        assert silent.feed(at(time)) == ["< WINDOW bytes=100"]
    assert silent.feed(at(60)) == ['! Close code=1001 reason="silent"']


def test_bytes_without_a_whole_message_are_a_sign_of_life() -> None:
    trickling = desk(WELCOME, OPEN)
    for time in range(10, 200, 10):
        trickling.receiver.heard(float(time))
        assert "Close" not in str(trickling.feed(at(time)))


def test_ping_is_answered_and_counts_as_a_beat() -> None:
    lively = desk(WELCOME, OPEN, at(15))
    assert lively.feed('> PING nonce="n"') == ['< PONG nonce="n"']
    assert lively.receiver.deadline() == 35
    assert lively.feed(at(34)) == []


# -- idle


def test_who_opens_nothing_is_closed_after_a_minute() -> None:
    idle = desk(WELCOME)
    assert beat(idle, 59) == []
    assert idle.receiver.deadline() == 60
    assert idle.feed(at(60)) == ['! Close code=1001 reason="idle"']


def test_who_only_fails_to_open_is_idle_too() -> None:
    failing = desk(WELCOME, at(10), '> CREATE ref=1 name="n"', '= failed ref=1 code="forbidden"')
    assert beat(failing, 69) == []
    assert failing.feed(at(70)) == ['! Close code=1001 reason="idle"']


def test_an_open_upload_keeps_the_connection() -> None:
    assert beat(desk(WELCOME, OPEN), 1000) == []


def test_the_minute_begins_when_a_long_upload_ends() -> None:
    for end in (f"> FINISH ref=1\n{COMPLETED}", "> DETACH ref=1", "> ABORT ref=1\n= closed ref=1",
                '= lost ref=1 code="gone"'):  # fmt: skip
        long = desk(WELCOME, OPEN)
        beat(long, 1000)
        long.play(end)
        assert beat(long, 1050) == []
        answers = beat(long, 1061)
        assert answers == ['! Close code=1001 reason="idle"']


def test_the_minute_begins_after_a_long_verification() -> None:
    long = desk(WELCOME, OPEN, "> FINISH ref=1")
    beat(long, 1000)
    long.play(COMPLETED)
    assert beat(long, 1035) == []


# -- the credential


def test_at_expiry_pieces_in_flight_are_answered_and_then_it_closes() -> None:
    old = desk(EXPIRING, OPEN, FIRST)
    beat(old, 99)
    assert old.receiver.deadline() == 100
    assert old.feed(at(100)) == [EXPIRED]
    assert old.play('> CHUNK ref=1 slice_start=10 data="bbbbbbbbbb"\n> TOKEN token="u"') == []
    assert old.receiver.deadline() > 100
    assert old.feed(STORED) == [
        "< STORED ref=1 pieces=[[0, 10]] upload_size=10", CLOSE_EXPIRED,
    ]  # fmt: skip


def test_at_expiry_with_nothing_in_flight_it_closes_at_once() -> None:
    old = desk(EXPIRING, OPEN)
    beat(old, 99)
    assert old.feed(at(100)) == [EXPIRED, CLOSE_EXPIRED]


def test_a_piece_refused_is_answered_too() -> None:
    old = desk(EXPIRING, OPEN, FIRST)
    beat(old, 100)
    answers = old.feed('= refused ref=1 slice_start=0 size=10 code="checksum-mismatch"')
    assert answers == [
        '< REFUSED ref=1 slice_start=0 problem="checksum-mismatch"', CLOSE_EXPIRED,
    ]  # fmt: skip


def test_a_finish_that_waited_is_still_carried_out_at_the_end() -> None:
    old = desk(EXPIRING, OPEN, FIRST, "> FINISH ref=1")
    beat(old, 100)
    assert [answer.split()[1] for answer in old.feed(STORED)] == ["STORED", "Finish", "Close"]


def test_a_token_before_the_expiry_moves_it() -> None:
    renewed = desk(EXPIRING, OPEN)
    beat(renewed, 90)
    assert renewed.feed('> TOKEN token="u"') == ['! Authenticate token="u"']
    assert renewed.feed('= authenticated user_id="ann" expires=200') == []
    assert beat(renewed, 199) == []
    assert renewed.feed(at(200)) == [EXPIRED, CLOSE_EXPIRED]


def test_a_token_that_came_before_the_expiry_counts_however_long_its_check_takes() -> None:
    renewed = desk(EXPIRING, OPEN)
    beat(renewed, 99)
    renewed.feed('> TOKEN token="u"')
    assert beat(renewed, 110) == []
    assert renewed.feed('= authenticated user_id="ann" expires=200') == []
    assert beat(renewed, 199) == []
    assert renewed.feed(at(200)) == [EXPIRED, CLOSE_EXPIRED]


def test_a_credential_that_was_revoked_ends_the_connection() -> None:
    revoked = desk(EXPIRING, OPEN)
    revoked.receiver.revoked(Unauthorized())
    assert [show(effect) for effect in revoked.receiver.effects()] == [EXPIRED, CLOSE_EXPIRED]


def test_a_token_that_came_before_the_expiry_and_is_as_old_does_not_help() -> None:
    renewed = desk(EXPIRING, OPEN)
    beat(renewed, 99)
    renewed.play('> TOKEN token="u"\n= authenticated user_id="ann" expires=100')
    assert renewed.feed(at(100)) == [EXPIRED, CLOSE_EXPIRED]


def test_an_upload_may_outlive_the_credential_of_a_grant() -> None:
    lasting = desk("> HELLO")
    lasting.receiver.authenticated("ann", 100.0, 0.0, outlived=True)
    lasting.play(OPEN)
    assert beat(lasting, 300) == []
    assert lasting.feed(FIRST)[0].startswith("! Write")
    lasting.play(f"{STORED}\n> DETACH ref=1")
    assert lasting.feed(at(301)) == [EXPIRED, CLOSE_EXPIRED]


def test_a_token_without_end_lifts_the_expiry() -> None:
    renewed = desk(EXPIRING, OPEN, '> TOKEN token="u"', '= authenticated user_id="ann"')
    assert beat(renewed, 1000) == []


def test_the_token_of_another_user_ends_the_connection() -> None:
    stolen = desk(WELCOME, '> TOKEN token="u"')
    assert stolen.feed('= authenticated user_id="bob"') == [EXPIRED, CLOSE_EXPIRED]


@pytest.mark.parametrize(
    ("code", "close"),
    [
        ("unauthorized", 4401),
        ("forbidden", 4403),
        ("too-many-connections", 4429),
        ("rate-limited", 4429),
        ("unavailable", 1011),
        ("internal", 1011),
        ("shutting-down", 1012),
    ],
)
def test_how_a_refused_credential_closes(code: str, close: int) -> None:
    for script in ("> HELLO", f'{WELCOME}\n> TOKEN token="u"'):
        assert desk(script).feed(f'= rejected code="{code}"') == [
            f'< PROBLEM ref=null problem="{code}"', f'! Close code={close} reason="{code}"',
        ]  # fmt: skip


# -- draining and restarting

DRAIN, RESTART = '= drain reason="shutdown" retry_after=2', '= restart reason="shutdown"'
CLOSE_RESTART = '! Close code=1012 reason="shutdown"'


def test_draining_opens_nothing_and_goes_on_with_what_is_open() -> None:
    draining = desk(WELCOME, OPEN, FIRST)
    assert draining.feed(DRAIN) == ['< GOAWAY reason="shutdown" retry_after=2']
    assert draining.feed(DRAIN) == []
    assert draining.feed('> CREATE ref=2 name="n"') == ['< PROBLEM ref=2 problem="shutting-down"']
    late = draining.feed('> CHUNK ref=1 slice_start=10 data="bbbbbbbbbb"')
    assert late[0].startswith("! Write")
    assert not draining.receiver.idle
    draining.play(f"{STORED}\n= stored ref=1 slice_start=10 size=10 upload_size=20")
    assert draining.receiver.idle
    assert draining.feed("> FINISH ref=1")[0].startswith("! Finish")
    assert not draining.receiver.idle
    assert draining.feed(COMPLETED)[0].startswith("< COMPLETE")
    assert draining.receiver.idle
    assert draining.feed(RESTART) == [CLOSE_RESTART]


def test_restarting_answers_what_is_in_flight_first() -> None:
    restarting = desk(WELCOME, OPEN, FIRST, DRAIN)
    assert restarting.feed(RESTART) == []
    assert restarting.feed(STORED)[-1] == CLOSE_RESTART


def test_a_window_is_not_told_while_draining() -> None:
    assert desk(WELCOME, DRAIN, "= set_window size=5").receiver.window == 5
    assert desk(WELCOME, DRAIN).feed("= set_window size=5") == []


@pytest.mark.parametrize("script", ["", "> HELLO"])
def test_who_is_not_yet_welcome_is_sent_away(script: str) -> None:
    assert desk(script).feed(DRAIN) == [CLOSE_RESTART]
    assert desk(script).feed(RESTART) == [CLOSE_RESTART]


def test_expiry_comes_before_a_restart_and_keeps_its_code() -> None:
    both = desk(EXPIRING, OPEN, FIRST)
    beat(both, 100)
    assert both.feed(RESTART) == []
    assert both.feed(STORED)[-1] == CLOSE_EXPIRED


def test_an_expiry_while_draining_closes_with_its_code() -> None:
    both = desk(EXPIRING, OPEN, FIRST, DRAIN)
    beat(both, 100)
    assert both.feed(STORED)[-1] == CLOSE_EXPIRED


# -- faults


@pytest.mark.parametrize(
    ("script", "answers"),
    [
        ("= text", ["invalid-message", "1003"]),
        ('= unreadable code="invalid-message"', ["invalid-message", "1002"]),
        ("> HELLO", ["invalid-message", "1002"]),
    ],
)
def test_faults_close_with_their_code(script: str, answers: list[str]) -> None:
    faulty = desk(WELCOME)
    problem, close = faulty.feed(script)
    assert problem == f'< PROBLEM ref=null problem="{answers[0]}"'
    assert close.startswith(f"! Close code={answers[1]}")
    assert faulty.receiver.state is Connection.CLOSED
