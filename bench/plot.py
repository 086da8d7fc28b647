"""Pictures of numbers as SVG, readable on a light and on a dark page.

It owns shapes and colours. It refuses to know what the numbers mean, and reads no clock: the same
numbers give the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #24292f; }
.small { font-size: 11px; fill: #57606a; }
.title { font-weight: 600; }
.good { fill: #2da44e; stroke: #2da44e; }
.bad { fill: #cf222e; stroke: #cf222e; }
.line { fill: none; stroke: #0969da; stroke-width: 2; }
.dot { fill: #0969da; }
.axis { stroke: #8c959f; stroke-width: 1; }
.target { stroke: #24292f; stroke-width: 1.5; stroke-dasharray: 5 3; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .small { fill: #9198a1; }
  .good { fill: #3fb950; stroke: #3fb950; }
  .bad { fill: #f85149; stroke: #f85149; }
  .line { stroke: #58a6ff; }
  .dot { fill: #58a6ff; }
  .axis { stroke: #6e7681; }
  .target { stroke: #e6edf3; }
}"""

LABELS, BARS, NUMBERS = 330, 330, 200
ROW = 26
MOST = 3.0
"""A bar ends there; for a larger value only the number shows how large it is."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: `reached` is the share of the target, 1 is just enough; `number` says the value."""

    label: str
    reached: float
    number: str


def bars(title: str, found: Sequence[Bar]) -> str:
    """Bars that run from the left; the target of all of them is one line."""
    top, width, height = 46, LABELS + BARS + NUMBERS, 46 + ROW * len(found) + 12
    scale = BARS / MOST
    parts = [_text(12, 22, title, "title")]
    for place, bar in enumerate(found):
        y = top + ROW * place
        length = max(1.0, min(bar.reached, MOST) * scale)
        kind = "good" if bar.reached >= 1 else "bad"
        parts += [
            _text(LABELS - 8, y + 14, bar.label, "", "end"),
            f'<rect class="{kind}" x="{LABELS}" y="{y + 3}" width="{length:.1f}" height="14"/>',
            _text(LABELS + BARS + 10, y + 14, bar.number),
        ]
    x = LABELS + scale
    parts.append(_line("target", x, top - 6, x, top + ROW * len(found)))
    parts.append(_text(x, top - 10, "target", "small", "middle"))
    return _svg(width, height, title, parts)


@dataclass(frozen=True, slots=True)
class Panel:
    """One line over its own height: `values` belong to the points of the picture."""

    title: str
    values: Sequence[float]


PANEL_WIDTH, PANEL_HEIGHT = 250, 150
MARGIN_LEFT, MARGIN_RIGHT, MARGIN_TOP, MARGIN_BOTTOM = 52, 18, 62, 44


def lines(title: str, along: str, points: Sequence[float], panels: Sequence[Panel]) -> str:
    """Panels side by side; `points` run from left to right by their logarithm, heights from 0."""
    step = MARGIN_LEFT + PANEL_WIDTH + MARGIN_RIGHT
    parts = [_text(12, 22, title, "title")]
    for place, panel in enumerate(panels):
        parts += _panel(place * step + MARGIN_LEFT, along, points, panel)
    return _svg(step * len(panels), MARGIN_TOP + PANEL_HEIGHT + MARGIN_BOTTOM, title, parts)


def _panel(left: float, along: str, points: Sequence[float], panel: Panel) -> Iterable[str]:
    bottom = MARGIN_TOP + PANEL_HEIGHT
    top = ceiling(max(panel.values))
    low, high = math.log(points[0]), math.log(points[-1])
    xs = [left + PANEL_WIDTH * (math.log(p) - low) / ((high - low) or 1) for p in points]
    ys = [bottom - PANEL_HEIGHT * value / top for value in panel.values]
    yield _text(left, MARGIN_TOP - 14, panel.title)
    yield _line("axis", left, bottom, left + PANEL_WIDTH, bottom)
    yield _line("axis", left, MARGIN_TOP, left, bottom)
    for share in (0.0, 0.5, 1.0):
        y = bottom - PANEL_HEIGHT * share
        yield _text(left - 6, y + 4, f"{top * share:g}", "small", "end")
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
    yield f'<polyline class="line" points="{path}"/>'
    for x, y, point in zip(xs, ys, points, strict=True):
        yield f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>'
        yield _text(x, bottom + 16, f"{point:,g}", "small", "middle")
    yield _text(left + PANEL_WIDTH / 2, bottom + 34, along, "small", "middle")


def ceiling(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, 50 … (and their fractions) that is not below the value."""
    if value <= 0:
        return 1.0
    unit = 10.0 ** math.floor(math.log10(value))
    return next(factor * unit for factor in (1, 2, 5, 10) if factor * unit >= value)


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    shown = f' class="{kind}"' if kind else ""
    return f'<text{shown} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(width: float, height: float, title: str, parts: Iterable[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">'
    )
    return "\n".join([head, f"<style>\n{STYLE}\n</style>", *parts, "</svg>"]) + "\n"
