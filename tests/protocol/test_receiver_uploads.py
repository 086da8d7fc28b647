"""The receiver and its uploads: what waits for what, and a `ref` that is used again and again."""

from __future__ import annotations

import pytest

from lading.protocol import messages as m
from lading.protocol.receiver import Connection, ReceiverLimits
from tests.support.transcripts import Desk

MAX_UPLOADS = ReceiverLimits().max_uploads
A, B = "a" * 24, "b" * 24
WELCOME = '> HELLO\n= authenticated user_id="ann"'
OPENED = f'= opened ref=1 id="{A}"'
OPEN = f'{WELCOME}\n> CREATE ref=1 name="file" size=20\n{OPENED}'
FIRST = '> CHUNK ref=1 slice_start=0 data="aaaaaaaaaa"'
SECOND = '> CHUNK ref=1 slice_start=10 data="bbbbbbbbbb"'
STORED_FIRST = "= stored ref=1 slice_start=0 size=10 upload_size=10"
STORED_SECOND = "= stored ref=1 slice_start=10 size=10 upload_size=20"
COMPLETED = f'= completed ref=1 id="{A}" size=20'
ASKS_TO_FINISH = f'! Finish ref=1 upload_id="{A}" size=null sha256=null'
ASKS_TO_ABORT = f'! Abort ref=1 upload_id="{A}"'


def desk(script: str) -> Desk:
    made = Desk()
    made.play(script)
    return made


def names(answers: list[str]) -> list[str]:
    return [" ".join(answer.split()[:2]) for answer in answers]


# -- waiting for pieces in flight


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ("> FINISH ref=1", ASKS_TO_FINISH),
        ("> ABORT ref=1", ASKS_TO_ABORT),
        ("> DETACH ref=1", "< CLOSED ref=1"),
    ],
)
def test_a_request_waits_for_the_pieces_in_flight(request_: str, answer: str) -> None:
    busy = desk(f"{OPEN}\n{FIRST}\n{SECOND}")
    assert busy.feed(request_) == []
    assert busy.feed(STORED_SECOND) == ["< STORED ref=1 pieces=[[10, 10]] upload_size=20"]
    refused, then = busy.feed('= refused ref=1 slice_start=0 size=10 code="checksum-mismatch"')
    assert refused.startswith("< REFUSED ref=1 slice_start=0")
    assert then == answer


def test_finish_waits_for_pieces_sent_after_it() -> None:
    busy = desk(f"{OPEN}\n{FIRST}\n> FINISH ref=1\n{SECOND}")
    assert names(busy.feed(STORED_FIRST)) == ["< STORED"]
    assert names(busy.feed(STORED_SECOND)) == ["< STORED", "! Finish"]


def test_the_last_of_several_finishes_that_wait_counts() -> None:
    busy = desk(f"{OPEN}\n{FIRST}\n> FINISH ref=1 size=10\n> FINISH ref=1 size=20")
    answers = busy.feed(STORED_FIRST)
    assert answers[1:] == [f'! Finish ref=1 upload_id="{A}" size=20 sha256=null']


def test_abort_outranks_what_waits() -> None:
    for waiting in ("> FINISH ref=1", "> DETACH ref=1", "> ABORT ref=1"):
        busy = desk(f"{OPEN}\n{FIRST}\n{waiting}\n> ABORT ref=1\n> DETACH ref=1")
        assert names(busy.feed(STORED_FIRST)) == ["< STORED", "! Abort"]
        assert busy.feed("= closed ref=1") == ["< CLOSED ref=1"]


# -- one request at a time


def test_finish_before_opened_waits_for_it() -> None:
    eager = desk(WELCOME)
    sent = '> CREATE ref=1 name="empty" size=0\n> FINISH ref=1 size=0'
    assert names(eager.play(sent)) == ["! Create"]
    assert names(eager.feed(f'= opened ref=1 id="{A}" size=0')) == ["< OPENED", "! Finish"]
    assert names(eager.feed(f'= completed ref=1 id="{A}" size=0')) == ["< COMPLETE"]


def test_pieces_before_opened_are_passed_on_and_finish_waits_for_both() -> None:
    eager = desk(f'{WELCOME}\n> CREATE ref=1 name="file" size=20')
    early = eager.play(f"{FIRST}\n{SECOND}\n> FINISH ref=1")
    assert [each.split(" slice")[0] for each in early] == ['! Write ref=1 upload_id=""'] * 2
    assert names(eager.feed(OPENED)) == ["< OPENED"]
    assert names(eager.feed(STORED_SECOND)) == ["< STORED"]
    assert names(eager.feed(STORED_FIRST)) == ["< STORED", "! Finish"]


def test_pieces_of_an_upload_that_could_not_be_opened_are_answered_each() -> None:
    eager = desk(
        f'{WELCOME}\n> CREATE ref=1 name="file" size=20\n{FIRST}\n{SECOND}\n> FINISH ref=1'
    )
    assert names(eager.feed('= failed ref=1 code="quota-exceeded"')) == ["< PROBLEM"]
    late = eager.feed('> CHUNK ref=1 slice_start=10 data="cccccccccc"')
    assert late == ['< PROBLEM ref=1 problem="not-found" slice_start=10']
    assert eager.feed('> CREATE ref=1 name="next" size=20') == [], "its pieces are not answered"
    for start in (0, 10):
        refused = f'= refused ref=1 slice_start={start} size=10 code="quota-exceeded"'
        assert names(eager.feed(refused))[0] == "< REFUSED"
    assert eager.receiver.in_flight == 0
    assert names(eager.feed(f'= opened ref=1 id="{B}"')) == ["< OPENED"]


@pytest.mark.parametrize("storing", [True, False])
@pytest.mark.parametrize(
    ("before", "name", "code"),
    [
        ('= drain reason="shutdown" retry_after=1', "next", "shutting-down"),
        ("", "", "invalid-argument"),
    ],
)
def test_a_finished_upload_gets_no_pieces_of_a_refused_one(
    before: str, name: str, code: str, storing: bool
) -> None:
    done = desk(f"{OPEN}\n> FINISH ref=1\n{COMPLETED}")
    if storing:
        assert names(done.feed(FIRST)) == ["! Write"]
    if before:
        done.feed(before)
    refused = done.feed(f'> CREATE ref=1 name="{name}" size=20')
    assert refused == [f'< PROBLEM ref=1 problem="{code}"']
    late = done.feed(SECOND)
    assert late == ['< PROBLEM ref=1 problem="not-found" slice_start=10']
    assert done.feed("> FINISH ref=1") == ['< PROBLEM ref=1 problem="not-found"']
    if storing:
        assert names(done.feed(STORED_FIRST)) == ["< STORED"]
    assert done.receiver.in_flight == 0


@pytest.mark.parametrize("leave", ["ABORT", "DETACH"])
def test_leaving_before_opened_waits_for_it(leave: str) -> None:
    eager = desk(f'{WELCOME}\n> CREATE ref=1 name="file" size=20')
    assert eager.feed(f"> {leave} ref=1") == []
    then = "! Abort" if leave == "ABORT" else "< CLOSED"
    assert names(eager.feed(OPENED)) == ["< OPENED", then]


@pytest.mark.parametrize(("leave", "then"), [("ABORT", ["< CLOSED"]), ("DETACH", ["< CLOSED"]),
                                             ("FINISH", [])])  # fmt: skip
def test_what_waited_for_an_upload_that_could_not_be_opened(leave: str, then: list[str]) -> None:
    eager = desk(f'{WELCOME}\n> CREATE ref=1 name="file" size=20\n> {leave} ref=1')
    assert names(eager.feed('= failed ref=1 code="quota-exceeded"')) == ["< PROBLEM", *then]
    assert names(eager.feed('> CREATE ref=1 name="file" size=20')) == ["! Create"]


def test_a_second_finish_waits_for_the_first_and_completes_again() -> None:
    eager = desk(f"{OPEN}\n> FINISH ref=1")
    assert eager.play("> FINISH ref=1\n" * 8) == []
    assert names(eager.feed(COMPLETED)) == ["< COMPLETE", "! Finish"]
    assert names(eager.feed(COMPLETED)) == ["< COMPLETE"]
    assert names(eager.feed("> FINISH ref=1")) == ["! Finish"]


def test_abort_waits_for_the_answer_to_finish() -> None:
    eager = desk(f"{OPEN}\n> FINISH ref=1\n> ABORT ref=1")
    assert names(eager.feed("= verifying ref=1 done=1 total=2")) == ["< VERIFYING"]
    answers = eager.feed('= failed ref=1 code="incomplete" missing=[[0, 20]]')
    assert answers == [
        '< PROBLEM ref=1 problem="incomplete" missing=[[0, 20]]', ASKS_TO_ABORT,
    ]  # fmt: skip
    assert eager.feed("= closed ref=1") == ["< CLOSED ref=1"]


def test_detach_waits_for_the_answer_to_finish() -> None:
    eager = desk(f"{OPEN}\n> FINISH ref=1\n> DETACH ref=1")
    assert names(eager.feed(COMPLETED)) == ["< COMPLETE", "< CLOSED"]


# -- answers that are refusals


@pytest.mark.parametrize(
    "code", ["incomplete", "checksum-mismatch", "invalid-argument", "internal"]
)
def test_an_upload_stays_open_when_finish_is_refused(code: str) -> None:
    refused = desk(f'{OPEN}\n> FINISH ref=1\n= failed ref=1 code="{code}"')
    assert names(refused.feed(FIRST)) == ["! Write"]
    refused.feed(STORED_FIRST)
    assert names(refused.feed("> FINISH ref=1")) == ["! Finish"]
    assert names(refused.feed(COMPLETED)) == ["< COMPLETE"]


@pytest.mark.parametrize("request_", ["FINISH", "ABORT"])
def test_an_upload_that_turns_out_to_be_gone_frees_its_ref(request_: str) -> None:
    ended = desk(f"{OPEN}\n> {request_} ref=1")
    assert ended.feed('= failed ref=1 code="gone"') == ['< PROBLEM ref=1 problem="gone"']
    assert names(ended.feed('> CREATE ref=1 name="next" size=1')) == ["! Create"]


@pytest.mark.parametrize("request_", ["FINISH", "ABORT"])
def test_a_finished_upload_stays_finished_when_a_request_is_refused(request_: str) -> None:
    done = desk(f"{OPEN}\n> FINISH ref=1\n{COMPLETED}\n> {request_} ref=1")
    done.feed('= failed ref=1 code="checksum-mismatch"')
    assert names(done.feed('> CREATE ref=1 name="next" size=1')) == ["! Create"]


def test_a_digest_that_is_none_never_reaches_the_store() -> None:
    assert desk(OPEN).feed('> FINISH ref=1 sha256="abc"') == [
        '< PROBLEM ref=1 problem="invalid-argument"'
    ]


@pytest.mark.parametrize("upload_id", ["", "abc", "A" * 24, '{\\"$ne\\": null}', "0" * 60_000])
def test_an_id_that_is_none_never_reaches_the_store(upload_id: str) -> None:
    answers = desk(WELCOME).feed(f'> RESUME ref=1 upload_id="{upload_id}"')
    assert answers == ['< PROBLEM ref=1 problem="invalid-argument"']


@pytest.mark.parametrize("fields", ['name=""', 'name="n" tags=[".."]', 'name="n" size=-1'])
def test_a_specification_that_is_not_allowed_never_reaches_the_store(fields: str) -> None:
    strict = desk(WELCOME)
    assert strict.feed(f"> CREATE ref=1 {fields}") == ['< PROBLEM ref=1 problem="invalid-argument"']
    assert names(strict.feed('> CREATE ref=1 name="n"')) == ["! Create"]


# -- the same ref again


def test_a_finished_upload_is_resumed_with_opened_and_complete() -> None:
    again = desk(f'{WELCOME}\n> RESUME ref=1 upload_id="{A}"')
    answers = again.feed(f'= opened ref=1 id="{A}" state="ready" stored=[[0, 10], [10, 10]]')
    assert names(answers) == ["< OPENED", "! Finish"]
    assert 'missing=[] expires_at=null state="ready"' in answers[0]
    assert names(again.feed(COMPLETED)) == ["< COMPLETE"]


def test_a_ref_is_free_again_after_complete() -> None:
    again = desk(f"{OPEN}\n> FINISH ref=1\n{COMPLETED}")
    assert names(again.feed(f'> RESUME ref=1 upload_id="{B}"')) == ["! Resume"]
    again.feed(f'= opened ref=1 id="{B}"')
    assert f'upload_id="{B}"' in again.feed(FIRST)[0]


def test_a_ref_used_anew_waits_for_the_pieces_of_its_former_upload() -> None:
    again = desk(f'{OPEN}\n{FIRST}\n{SECOND}\n= lost ref=1 code="gone"')
    assert again.feed('> CREATE ref=1 name="next" size=20') == []
    assert again.feed("> FINISH ref=1") == []
    assert names(again.feed(STORED_FIRST)) == ["< STORED"]
    answers = again.feed('= refused ref=1 slice_start=10 size=10 code="gone"')
    assert names(answers) == ["< REFUSED", "! Create"]
    assert again.receiver.in_flight == 0
    assert again.feed('= lost ref=1 code="gone"') == []
    assert names(again.feed(f'= opened ref=1 id="{B}"')) == ["< OPENED", "! Finish"]


def test_a_finished_upload_with_late_pieces_makes_room_for_the_next() -> None:
    again = desk(f"{OPEN}\n> FINISH ref=1\n{FIRST}\n{COMPLETED}")
    assert again.feed(f'> RESUME ref=1 upload_id="{B}"') == []
    assert names(again.feed(STORED_FIRST)) == ["< STORED", "! Resume"]
    again.feed(f'= opened ref=1 id="{B}"')
    again.feed(FIRST)
    assert names(again.play(f"> DETACH ref=1\n{STORED_FIRST}")) == ["< STORED", "< CLOSED"]


# -- an end elsewhere


def test_an_upload_lost_elsewhere_is_told_once() -> None:
    lost = desk(f"{OPEN}\n{FIRST}\n{SECOND}")
    told = '= lost ref=1 code="gone"'
    assert lost.feed(told) == ['< PROBLEM ref=1 problem="gone"']
    assert lost.feed(told) == []
    assert names(lost.feed(STORED_FIRST)) == ["< STORED"]
    assert lost.feed('> CHUNK ref=1 slice_start=10 data="bbbbbbbbbb"') == [
        '< PROBLEM ref=1 problem="not-found" slice_start=10'
    ]
    lost.feed('= refused ref=1 slice_start=10 size=10 code="gone"')
    assert lost.receiver.in_flight == 0
    assert lost.receiver.idle
    assert lost.feed("> FINISH ref=1") == ['< PROBLEM ref=1 problem="not-found"']


@pytest.mark.parametrize(("request_", "then"), [("FINISH", []), ("ABORT", ["< CLOSED"]),
                                                ("DETACH", ["< CLOSED"])])  # fmt: skip
def test_what_waited_for_an_upload_lost_elsewhere(request_: str, then: list[str]) -> None:
    lost = desk(f"{OPEN}\n{FIRST}\n> {request_} ref=1")
    assert names(lost.feed('= lost ref=1 code="gone"')) == ["< PROBLEM"]
    assert names(lost.feed(STORED_FIRST)) == ["< STORED", *then]


def test_where_a_request_is_under_way_its_answer_tells_the_end() -> None:
    for script in (f"{OPEN}\n> FINISH ref=1", f"{OPEN}\n> ABORT ref=1", WELCOME):
        assert desk(script).feed('= lost ref=1 code="gone"') == []


# -- how many


def test_finished_uploads_make_room_for_new_ones_and_open_ones_do_not() -> None:
    full = Desk(window=10_000)
    full.play(WELCOME)
    for ref in range(MAX_UPLOADS):
        full.play(f'> CREATE ref={ref} name="n" size=0\n= opened ref={ref} id="{A}" size=0')
    refused = full.feed(f'> CREATE ref={MAX_UPLOADS} name="n" size=0')
    assert refused == [f'< PROBLEM ref={MAX_UPLOADS} problem="rate-limited"']
    full.play(f'> FINISH ref=5\n= completed ref=5 id="{A}" size=0')
    for ref in range(MAX_UPLOADS, MAX_UPLOADS + 50):
        assert names(full.feed(f'> CREATE ref={ref} name="n" size=0')) == ["! Create"]
        full.play(f'= opened ref={ref} id="{A}" size=0\n> FINISH ref={ref}')
        full.feed(f'= completed ref={ref} id="{A}" size=0')


def test_a_fault_in_one_upload_leaves_the_others_alone() -> None:
    both = desk(f'{OPEN}\n{FIRST}\n> CREATE ref=2 name="n" size=20\n= opened ref=2 id="{B}"')
    both.feed('= lost ref=1 code="gone"')
    assert names(both.feed('> CHUNK ref=2 slice_start=0 data="aaaaaaaaaa"')) == ["! Write"]
    assert both.receiver.state is Connection.OPEN


def test_nothing_more_comes_out_after_the_end() -> None:
    over = desk(f"{OPEN}\n{FIRST}\n{SECOND}\n> FINISH ref=1\n= text")
    assert over.receiver.state is Connection.CLOSED
    assert over.play(f"{STORED_FIRST}\n{STORED_SECOND}\n{COMPLETED}\n= at time=1000") == []
    assert over.receiver.in_flight == 0
    over.receiver.set_window(5)
    over.receiver.receive(m.Ping(1), 2.0)
    assert over.receiver.effects() == []
