import json
import sys
import time

import pytest

from lading.client.types import Progress, State
from lading.commands.output import EXIT_CODES, Output, printable, sentence, size_text, time_text
from lading.protocol.errors import (
    CATALOGUE,
    Internal,
    NotFound,
    QuotaExceeded,
    Unauthorized,
    Unavailable,
)

Captured = pytest.CaptureFixture[str]


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ünï 🎬", "plain ünï 🎬"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\u202eexe", "\\u202eexe"),
        ("\x9b31m", "\\x9b31m"),
    ],
)
def test_what_a_terminal_would_act_on_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (None, "?"),
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (100_000_000, "100.0 MB"),
        (5 * 10**15, "5.0 PB"),
    ],
)
def test_sizes(size: int | None, text: str) -> None:
    assert size_text(size) == text


def test_an_error_says_what_happened_and_what_to_do() -> None:
    assert sentence(QuotaExceeded()) == (
        "The quota does not allow this many bytes. Delete files, or ask for a larger quota."
    )
    told = "2 bytes would go over the limit of 1 bytes; delete files or ask for a larger quota."
    assert sentence(QuotaExceeded(told)) == told
    assert sentence(Unavailable("It does not answer; try again.")).count("ry again") == 1
    assert sentence(Unauthorized("No.")) == "No. Give a valid token with LADING_TOKEN or --token."
    assert sentence(Internal("a\nb \x1b[0m")) == "a b \\x1b[0m"
    assert sentence(NotFound("Gone."), "Look elsewhere.") == "Gone. Look elsewhere."


def test_exit_codes_name_errors_that_there_are() -> None:
    assert set(EXIT_CODES) - {"no-server", "proxy-unauthorized"} <= set(CATALOGUE)


def test_data_goes_to_standard_output_and_notes_do_not(capsys: Captured) -> None:
    output = Output()
    output.data("data", unused=1)
    output.note("note")
    assert output.failed(NotFound("Not there."), "a\x1b") == 1
    captured = capsys.readouterr()
    assert captured.out == "data\n"
    assert captured.err == "note\nlading: a\\x1b: Not there.\n"


def test_json_lines(capsys: Captured) -> None:
    output = Output(as_json=True)
    with output:
        output.data("data", event="complete", name="ü\x1b")
    assert output.failed(QuotaExceeded("Full."), "a") == 3
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out
    assert lines(captured.out) == [
        {"event": "complete", "name": "ü\x1b"},
        {
            "event": "error",
            "file": "a",
            "code": "quota-exceeded",
            "detail": "Full.",
        },
    ]
    assert captured.err.startswith("lading: a: Full.")


def test_progress_in_json_comes_at_changes_and_now_and_then(capsys: Captured) -> None:
    output = Output(as_json=True)
    for stored in range(1000):
        output.progress("a", Progress(State.SENDING, stored, 1000))
    output.progress("a", Progress(State.WAITING, 999, 1000, reason="down"))
    output.progress("a", Progress(State.VERIFYING, 1000, 1000, checked=5))
    output.progress("a", Progress(State.DONE, 1000, 1000))
    told = lines(capsys.readouterr().out)
    assert len(told) < 50
    assert told[0] == {
        "event": "progress", "file": "a", "state": "sending", "stored": 0, "total": 1000,
    }  # fmt: skip
    waiting, verifying, done = told[-3:]
    assert (waiting["state"], waiting["reason"]) == ("waiting", "down")
    assert (verifying["state"], verifying["checked"]) == ("verifying", 5)
    assert done["state"] == "done"


def test_piped_there_is_no_bar(capsys: Captured) -> None:
    with Output() as output:
        output.progress("a", Progress(State.SENDING, 5, 10))
    assert capsys.readouterr() == ("", "")


def test_without_a_bar_waiting_is_told(capsys: Captured) -> None:
    with Output() as output:
        for state in (State.SENDING, State.WAITING, State.WAITING, State.SENDING, State.VERIFYING):
            reason = "No\x1b." if state is State.WAITING else None
            output.progress("a\n", Progress(state, 5, 10, 1, reason=reason))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "lading: a\\n: waiting: No\\x1b.\nlading: a\\n: continuing.\n"


def test_a_note_that_is_told_once(capsys: Captured) -> None:
    output = Output()
    for _ in range(2):
        output.once("slow")
    assert capsys.readouterr().err == "slow\n"


def test_a_bar_is_right_from_its_first_frame(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    for name, value in (("TERM", "xterm"), ("COLUMNS", "120")):
        monkeypatch.setenv(name, value)
    with Output() as output:
        output.progress("a", Progress(State.SENDING, 586_153_984, 10**9))
        output.progress("-", Progress(State.SENDING, 5, None))
    shown = capsys.readouterr().err
    assert "0.6/1.0 GB" in shown
    assert "5/? bytes" in shown
    assert "/100 bytes" not in shown


def test_tables_are_tab_separated_when_piped(capsys: Captured) -> None:
    Output().table(("A", "B"), [("1", "x\ty\x1b"), ("2", "z")])
    assert capsys.readouterr().out == "1\tx\\ty\\x1b\n2\tz\n"


def test_tables_for_people_fold_no_id(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    file_id, name = "0123456789abcdef01234567", "a-long-name-of-a-film.mp4"
    row = (file_id, "586.2 MB/1.5 GB", "video/mp4", "2026-11-21 20:25", name)
    for columns in (80, 60, 30):
        monkeypatch.setenv("COLUMNS", str(columns))
        output = Output()
        output.for_people = True
        output.table(("ID", "SIZE", "TYPE", "CREATED", "NAME"), [row, row])
        text = capsys.readouterr().out
        assert text.count(file_id) == text.count("2026-11-21 20:25") == 2
        assert "NAME" in text
    monkeypatch.setenv("COLUMNS", "120")
    output.table(("ID", "SIZE", "TYPE", "CREATED", "NAME"), [row])
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_times_are_those_of_the_clock_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        assert time_text("2026-11-21T20:25:46.123456Z") == "2026-11-22 01:55"
    finally:
        monkeypatch.undo()
        time.tzset()
