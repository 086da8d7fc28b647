"""Pictures are well-formed SVG with the numbers in their places."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from bench.plot import LABELS, Bar, Panel, bars, ceiling, lines

SVG = "{http://www.w3.org/2000/svg}"


def parse(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)


def test_bars_are_as_long_as_what_was_reached_and_the_target_is_one_line() -> None:
    drawn = parse(bars("Targets", [Bar("a", 1.0, "5"), Bar("b", 0.5, "2"), Bar("c", 9, "9")]))
    widths = [float(bar.attrib["width"]) for bar in drawn.iter(f"{SVG}rect")]
    assert widths == [110, 55, 330]
    (target,) = drawn.iter(f"{SVG}line")
    assert float(target.attrib["x1"]) == LABELS + 110
    kinds = [bar.attrib["class"] for bar in drawn.iter(f"{SVG}rect")]
    assert kinds == ["good", "bad", "good"]


def test_signs_of_markup_are_text() -> None:
    drawn = parse(bars("<&>", [Bar('a < "b"', 1, "1 & 2")]))
    assert {text.text for text in drawn.iter(f"{SVG}text")} >= {"<&>", 'a < "b"', "1 & 2"}


def test_picture_has_colours_for_dark_pages() -> None:
    assert "prefers-color-scheme: dark" in bars("Targets", [])


def test_flat_line_is_flat_and_points_go_from_left_to_right() -> None:
    drawn = parse(lines("Growth", "MiB", [1, 10, 100], [Panel("s", [2, 2, 2])]))
    (line,) = drawn.iter(f"{SVG}polyline")
    points = [tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()]
    assert len({y for _, y in points}) == 1
    assert points[1][0] - points[0][0] == pytest.approx(points[2][0] - points[1][0], abs=0.2)


def test_every_panel_begins_at_zero() -> None:
    drawn = parse(lines("Growth", "MiB", [1, 10], [Panel("s", [50, 100]), Panel("m", [0, 0])]))
    ys = [
        [float(pair.split(",")[1]) for pair in line.attrib["points"].split()]
        for line in drawn.iter(f"{SVG}polyline")
    ]
    bottom = ys[1][0]
    assert bottom - ys[0][1] == pytest.approx(2 * (bottom - ys[0][0]))


@pytest.mark.parametrize(
    ("value", "top"), [(0, 1), (1, 1), (1.1, 2), (4, 5), (51, 100), (0.03, 0.05), (900, 1000)]
)
def test_axis_ends_at_a_round_number(value: float, top: float) -> None:
    assert ceiling(value) == pytest.approx(top)


def test_same_numbers_give_the_same_bytes() -> None:
    found = [Bar("a", 1.3, "5")]
    assert bars("Targets", found) == bars("Targets", found)
