import pytest

from lading.client.types import Progress, State
from lading.commands.output import Output
from lading.commands.total import LOG_SECONDS, Total


def test_the_sums_follow_each_file() -> None:
    now = [0.0]
    total = Total(4, 400, lambda: now[0])
    total.moved("resumed", Progress(State.SENDING, 50, 100))
    now[0] = 2.0
    total.moved("resumed", Progress(State.SENDING, 100, 100))
    assert (total.stored, total.rate, total.done) == (100, 25.0, 0)
    total.ended("resumed", 100, sent=50)
    total.moved("there", Progress(State.DONE, 100, 100))
    total.ended("there", 100, skipped=True)
    total.moved("fails", Progress(State.SENDING, 10, 100))
    total.gave_up("fails", 100)
    assert (total.stored, total.size, total.done) == (100, 200, 3)
    assert total.facts() == {
        "files": 4, "uploaded": 1, "skipped": 1, "failed": 1, "bytes_sent": 50, "seconds": 2.0,
    }  # fmt: skip


def test_a_log_gets_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    total = Total(4, 4_000_000, lambda: now[0])
    with Output() as output:
        output.begin_total(total)
        for second in range(25):
            now[0] = second * LOG_SECONDS / 10
            progress = Progress(State.SENDING, 100_000 * second, 4_000_000)
            total.moved("a", progress)
            output.move_total(progress)
    assert capsys.readouterr().err.splitlines() == [
        "lading: 0/4 files, 1.0 MB of 4.0 MB, 100.0 kB/s, 30 s left.",
        "lading: 0/4 files, 2.0 MB of 4.0 MB, 100.0 kB/s, 20 s left.",
    ]
