"""The arithmetic of medians, ratios and bounds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.measure import GIB, MIB, Goal, Options, Sample, in_words, percentile, spread
from bench.measures import MEASURES, browser_upload
from bench.measures.server_processes import allowed
from bench.report import summarize


def rounds(*values: tuple[float, float]) -> Sequence[Sequence[Sample]]:
    """Rounds of two sides; each sample has its value as a cost as well, ten times."""
    return [[Sample(value, {"cost": 10 * value}) for value in both] for both in values]


def test_ratio_is_taken_in_each_round() -> None:
    goal = Goal(1, "a ÷ b", side=0, over=1, at_least=1)
    assert goal.values(rounds((2, 1), (30, 10), (1, 4))) == [2, 3, 0.25]


def test_goal_of_one_side_takes_its_value_or_its_cost() -> None:
    found = rounds((2, 1), (3, 1))
    assert Goal(1, "value", side=0, at_most=1).values(found) == [2, 3]
    assert Goal(1, "cost", side=0, cost="cost", at_most=1).values(found) == [20, 30]
    assert Goal(1, "ratio", side=0, over=1, cost="cost", at_most=1).values(found) == [2, 3]


def test_bound_itself_is_met() -> None:
    least, most = (
        Goal(1, "least", side=0, at_least=1.2),
        Goal(1, "most", side=0, at_most=1.1),
    )
    assert [least.met(value) for value in (1.1, 1.2, 1.3)] == [False, True, True]
    assert [most.met(value) for value in (1.0, 1.1, 1.2)] == [True, True, False]
    assert (least.bound, most.bound) == ("≥ 1.2", "≤ 1.1")


def test_what_was_reached_is_more_than_one_when_it_is_better() -> None:
    assert Goal(1, "least", side=0, at_least=2).reached(3) == 1.5
    assert Goal(1, "most", side=0, at_most=200).reached(100) == 2


def test_spread_has_the_middle_and_the_ends() -> None:
    assert spread([5, 1, 2]) == (2, 1, 5)
    assert spread([4.0]) == (4, 4, 4)


@pytest.mark.parametrize(("percent", "value"), [(50, 50), (99, 99), (99.5, 100), (100, 100)])
def test_percentile_is_one_of_the_values(percent: float, value: float) -> None:
    assert percentile(range(100, 0, -1), percent) == value


def test_percentile_of_one_value() -> None:
    assert percentile([7.0], 99) == 7


@pytest.mark.parametrize(
    ("size", "words"), [(10 * GIB, "10 GiB"), (100 * MIB, "100 MiB"), (65536, "64 KiB")]
)
def test_sizes_in_words(size: int, words: str) -> None:
    assert in_words(size) == words


def test_two_processes_can_do_twice_as_much_where_nothing_else_needs_the_cores() -> None:
    assert allowed(2, 1.0, 0.0) == 2
    assert allowed(8, 1.0, 1.0) == 2
    assert allowed(2, 3.0, 1.0) == pytest.approx(1.5)


@pytest.mark.parametrize("quick", [True, False])
def test_every_goal_names_sides_and_has_one_bound(quick: bool) -> None:
    found = [make(Options(quick, room=100 * GIB)) for make in MEASURES]
    assert len({measure.name for measure in found}) == len(found)
    for measure in found:
        for goal in measure.goals:
            assert goal.side < len(measure.sides)
            assert goal.over is None or goal.over < len(measure.sides)
            assert (goal.at_least is None) != (goal.at_most is None)
    rows = {goal.row for measure in found for goal in measure.goals}
    # 13 needs a browser, 16 and 17 rclone; 18 and 19 are of the home in S3, 21 to 24 of images.
    assert rows - {13, 16, 17} == {*range(1, 13), 14, 15, 18, 19, *range(21, 25)}


@pytest.mark.parametrize(("room", "size"), [(100, "10 GiB"), (15, "4 GiB"), (1, "512 MiB")])
def test_largest_file_is_one_that_the_disk_has_room_for(room: int, size: str) -> None:
    titles = [
        goal.title
        for make in MEASURES
        for goal in make(Options(room=room * GIB)).goals
        if goal.row == 6
    ]
    assert all(size in title for title in titles)


def test_browser_is_left_out_where_its_side_cannot_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    measure = browser_upload.measure(Options())
    found = summarize(measure, [[]])
    assert (found["sides"], found["goals"]) == ([], [])
    assert "Node" in measure.note
