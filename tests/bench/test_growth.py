"""The curves' arithmetic, and that the page has a place for each."""

from __future__ import annotations

import pytest

from bench.growth import curves, growth, medians
from bench.measure import GIB, Options
from bench.report import between
from bench.save import PAGE, curve_picture, curve_table, verdict

CURVE = {
    "name": "file-size",
    "title": "Against the size",
    "along": "MiB",
    "points": [16, 1024],
    "values": [{"s/GB": 2.0, "RSS, MiB": 100.0}, {"s/GB": 2.1, "RSS, MiB": 150.0}],
}


def test_medians_are_taken_at_each_point() -> None:
    rounds = [[{"s": 1}, {"s": 10}], [{"s": 3}, {"s": 30}], [{"s": 2}, {"s": 50}]]
    assert medians(rounds) == [{"s": 2}, {"s": 30}]


def test_growth_is_the_last_value_over_the_first() -> None:
    assert growth([{"s": 2}, {"s": 9}, {"s": 3}], "s") == 1.5


@pytest.mark.parametrize(
    ("factor", "word"), [(0.5, "falls"), (0.95, "flat"), (1.1, "flat"), (1.2, "**grows**")]
)
def test_verdict(factor: float, word: str) -> None:
    assert verdict(factor) == word


def test_table_of_a_curve_ends_with_how_much_each_value_grew() -> None:
    *_, last = curve_table(CURVE).strip().splitlines()
    cells = [cell.strip() for cell in last.strip("|").split("|")]
    assert cells == ["last ÷ first", "1.05, flat", "1.50, **grows**"]


def test_picture_of_a_curve_has_a_panel_for_each_value() -> None:
    drawn = curve_picture(CURVE)
    assert drawn.count("<polyline") == 2
    assert "RSS, MiB" in drawn


@pytest.mark.parametrize("quick", [True, False])
def test_points_of_every_curve_rise(quick: bool) -> None:
    found = curves(Options(quick, room=100 * GIB))
    assert all(list(curve.points) == sorted(set(curve.points)) for curve in found)
    assert all(len(curve.points) >= 2 for curve in found)


def test_page_has_a_place_for_every_table() -> None:
    page = PAGE.read_text(encoding="utf-8")
    names = [curve.name for curve in curves(Options())]
    for name in ("last run", "growth run", *names):
        assert between(page, name, "") is not None
