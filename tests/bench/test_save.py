"""What is written after a run, and where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bench import save
from tests.bench.test_growth import CURVE
from tests.bench.test_report import result


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page and directories of the test's own."""
    names = ("last run", "growth run", CURVE["name"])
    page = "".join(f"# {name}\n<!-- {name} -->\n<!-- end of {name} -->\nwhy\n" for name in names)
    page += "<!-- instead -->\n<!-- end of instead -->\n"
    (tmp_path / "page.md").write_text(page)
    monkeypatch.setattr(save, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(save, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(save, "IMAGES", tmp_path / "images")
    return tmp_path


def grown() -> dict[str, Any]:
    return {
        **{key: value for key, value in result().items() if key != "measures"},
        "curves": [CURVE],
    }


def written(place: Path) -> set[str]:
    return {str(path.relative_to(place)) for path in place.rglob("*.*") if path.is_file()}


def test_whole_run_replaces_the_last_one_on_the_page(place: Path) -> None:
    save.measures(result(), whole=True)
    assert written(place) == {
        "page.md",
        "images/bench-targets.svg",
        "results/2026-11-21-1200.json",
        "results/latest.json",
    }
    page = (place / "page.md").read_text()
    assert "](images/bench-targets.svg)" in page
    assert "**missed**" in page
    save.measures(result(), whole=True)
    assert (place / "page.md").read_text() == page
    assert json.loads((place / "results" / "latest.json").read_text()) == result()


def test_run_of_a_part_leaves_the_page_alone(place: Path) -> None:
    before = (place / "page.md").read_text()
    save.measures(result(), whole=False)
    save.growth(grown(), whole=False)
    assert (place / "page.md").read_text() == before
    assert written(place) == {
        "page.md",
        "results/2026-11-21-1200.json",
        "results/2026-11-21-1200-growth.json",
    }


def test_curves_go_to_their_places_and_the_reasons_stay(place: Path) -> None:
    save.growth(grown(), whole=True)
    page = (place / "page.md").read_text()
    assert page.count("why\n") == 3
    assert "](images/bench-growth-file-size.svg)" in page
    assert "1.50, **grows**" in page
    assert "results/latest-growth.json" in written(place)
    ElementTree.parse(place / "images" / "bench-growth-file-size.svg")
