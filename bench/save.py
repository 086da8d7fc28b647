"""Where results go: `bench/results/`, and after a full run the page and its pictures.

It owns the files' names. It refuses to know what the numbers mean.
"""

from __future__ import annotations

import json

from bench.growth import growth as grown
from bench.plot import Panel, lines
from bench.process import ROOT
from bench.report import Result, between, grid, instead, number, picture, place, table

RESULTS = ROOT / "bench" / "results"
PAGE = ROOT / "docs" / "performance.md"
IMAGES = ROOT / "docs" / "images"

FLAT = 1.1
"""A value that changes by no more than this from the first point to the last is called flat."""


def measures(result: Result, whole: bool) -> None:
    """Write the results; those of a full run are also shown on the page."""
    _write(result, "latest" if whole else None)
    if not whole:
        return
    name = "bench-targets.svg"
    _draw(name, picture(result))
    image = f"![How far each target was reached](images/{name})\n\n"
    _show("last run", image + table(result))
    _show("instead", instead(result))


def growth(result: Result, whole: bool) -> None:
    """Write the curves; those of a full run are also shown on the page."""
    _write(result, "latest-growth" if whole else None)
    if not whole:
        return
    run = result["run"]
    _show("growth run", f"{run['when']}, medians of {run['rounds']} rounds. {place(result)}\n")
    for curve in result["curves"]:
        name = f"bench-growth-{curve['name']}.svg"
        _draw(name, curve_picture(curve))
        _show(curve["name"], f"![{curve['title']}](images/{name})\n\n{curve_table(curve)}")


def curve_picture(curve: Result) -> str:
    """A curve as SVG: a panel for each kind of value."""
    kinds = list(curve["values"][0])
    panels = [Panel(kind, [values[kind] for values in curve["values"]]) for kind in kinds]
    return lines(curve["title"], curve["along"], curve["points"], panels)


def curve_table(curve: Result) -> str:
    """A curve as Markdown: a row for each point, and at the end how much each value grew."""
    kinds = list(curve["values"][0])
    points = zip(curve["points"], curve["values"], strict=True)
    rows = [[f"{point:,}", *(number(values[kind]) for kind in kinds)] for point, values in points]
    factors = [grown(curve["values"], kind) for kind in kinds]
    ends = [f"{factor:.2f}, {verdict(factor)}" for factor in factors]
    return grid([curve["along"], *kinds], [*rows, ["last ÷ first", *ends]]) + "\n"


def verdict(factor: float) -> str:
    """The word for a value whose last point is `factor` times its first."""
    if factor > FLAT:
        return "**grows**"
    return "flat" if factor >= 1 / FLAT else "falls"


def _write(result: Result, name: str | None) -> None:
    RESULTS.mkdir(parents=True, exist_ok=True)
    text = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
    when = result["run"]["when"].removesuffix(" UTC").replace(" ", "-").replace(":", "")
    kind = "-growth" if "curves" in result else ""
    for file in (f"{when}{kind}", name):
        if file is not None:
            (RESULTS / f"{file}.json").write_text(text, encoding="utf-8")


def _draw(name: str, image: str) -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    (IMAGES / name).write_text(image, encoding="utf-8")


def _show(name: str, text: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(between(page, name, text), encoding="utf-8")
