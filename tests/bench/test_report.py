"""From samples to results and tables."""

from __future__ import annotations

from typing import Any

import pytest

from bench.measure import Goal, Measure, Sample, Side
from bench.report import between, grid, instead, number, picture, summarize, table


async def never(_: object) -> Sample:
    raise AssertionError("a report runs nothing")


MEASURE = Measure(
    name="upload",
    title="Upload of 1 GiB",
    unit="MB/s",
    sides=(Side("Lading", "yes", never), Side("Peer", "no", never)),
    goals=(
        Goal(5, "CPU", side=0, cost="CPU s/GB", at_most=1.2),
        Goal(1, "Lading ÷ Peer", side=0, over=1, at_least=1.2),
    ),
    note="One connection.",
)


def result() -> dict[str, Any]:
    """Three rounds, in which Lading is once slower and needs too much CPU time."""
    rounds = [
        [Sample(200, {"CPU s/GB": 1.5}), Sample(100, {"RSS, MiB": 70})],
        [Sample(300, {"CPU s/GB": 1.3}), Sample(100, {"RSS, MiB": 80})],
        [Sample(100, {"CPU s/GB": 1.4}), Sample(400, {"RSS, MiB": 90})],
    ]
    return {
        "run": {"when": "2026-11-21 12:00 UTC", "rounds": 3, "quick": False},
        "machine": {"cores": 2, "processor": "X", "file_system": "ext4", "load_before": 0.1},
        "versions": {"lading": "1"},
        "measures": [summarize(MEASURE, rounds)],
    }


def test_summary_has_medians_of_values_ratios_and_costs() -> None:
    (measure,) = result()["measures"]
    assert [side["median"] for side in measure["sides"]] == [200, 100]
    assert measure["sides"][0]["median_costs"] == {"CPU s/GB": 1.4}
    cpu, ratio = measure["goals"]
    assert (ratio["median"], ratio["least"], ratio["most"]) == (2, 0.25, 3)
    assert ratio["rounds"] == [2, 3, 0.25]
    assert (ratio["met"], cpu["met"]) == (True, False)
    assert ratio["reached"] == pytest.approx(1.667)


def test_table_marks_what_was_missed_and_says_who_is_durable() -> None:
    lines = table(result()).splitlines()
    targets = [line for line in lines if "≥" in line or "≤" in line]
    assert [line.split("|")[1].strip() for line in targets] == ["1", "5"]
    assert targets[0].rstrip(" |").endswith(" met")
    assert targets[1].rstrip(" |").endswith("**missed**")
    assert any("Peer" in line and "no" in line and "100" in line for line in lines)
    assert "One connection." in lines


def test_sheet_has_what_others_do_and_no_costs() -> None:
    _, _, *rows = instead(result()).splitlines()
    assert [[cell.strip() for cell in row.strip("|").split("|")] for row in rows] == [
        ["Upload of 1 GiB", "Peer", "no", "100 MB/s", "200 MB/s", "2.00"]
    ]


def test_sheet_leaves_out_what_lading_is_compared_with_itself_in() -> None:
    found = result()
    found["measures"][0]["sides"][1]["name"] = "Lading, another way"
    assert len(instead(found).splitlines()) == 2


def test_picture_tells_every_goal_with_its_target() -> None:
    drawn = picture(result())
    assert "Lading ÷ Peer" in drawn
    assert "2.00 (target ≥ 1.2)" in drawn
    assert 'class="bad"' in drawn


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (1234.5, "1,234"), (20, "20"), (19.994, "19.99"), (0.01234, "0.012")],
)
def test_numbers_have_the_digits_that_can_be_meant(value: float | None, text: str) -> None:
    assert number(value) == text


def test_columns_of_a_table_line_up() -> None:
    lines = grid(["a", "long"], [["much longer", "b"]]).splitlines()
    assert len({len(line) for line in lines}) == 1


def test_text_goes_between_its_marks_and_nowhere_else() -> None:
    page = "a\n<!-- x -->\nold\n<!-- end of x -->\nb\n"
    changed = between(page, "x", "new\n")
    assert changed == "a\n<!-- x -->\nnew\n<!-- end of x -->\nb\n"
    assert between(changed, "x", "new\n") == changed


@pytest.mark.parametrize("page", ["", "<!-- x -->\n", "<!-- end of x -->\n"])
def test_page_without_a_place_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="no place for x"):
        between(page, "x", "new\n")
