"""From samples to results, and from results to a table.

It owns the form of `bench/results/*.json` and of the table, which is made from that form alone. It
refuses to know how anything was measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from bench.measure import Goal, Measure, Sample, Side, spread

Result = dict[str, Any]

BEGIN, END = "<!-- last run -->\n", "<!-- end of last run -->"
"""What the table of the last whole run stands between in `docs/performance.md`."""


def summarize(measure: Measure, rounds: Sequence[Sequence[Sample]]) -> Result:
    """The result of one measure; each round has one sample for each side, in their order."""
    columns = list(zip(*rounds, strict=True))
    return {
        "name": measure.name,
        "title": measure.title,
        "unit": measure.unit,
        "sides": [_side(side, own) for side, own in zip(measure.sides, columns, strict=True)],
        "goals": [_goal(goal, rounds) for goal in measure.goals],
    }


def _side(side: Side, samples: Sequence[Sample]) -> Result:
    values = [sample.value for sample in samples]
    costs = {
        name: round(spread([sample.costs[name] for sample in samples]).median, 3)
        for name in samples[0].costs
    }
    return {
        "name": side.name,
        "durable": side.durable,
        **_rounded(values),
        "median_costs": costs,
    }


def _goal(goal: Goal, rounds: Sequence[Sequence[Sample]]) -> Result:
    values = goal.values(rounds)
    return {
        "title": goal.title,
        "bound": goal.bound,
        "met": goal.met(spread(values).median),
        **_rounded(values),
    }


def _rounded(values: Sequence[float]) -> Result:
    found = {name: round(value, 3) for name, value in spread(values)._asdict().items()}
    return {**found, "rounds": [round(value, 3) for value in values]}


def table(result: Result) -> str:
    """All measures of a run as Markdown."""
    run, kinds = result["run"], result["machine"]
    quick = ", quick: small files, so only a first look" if run["quick"] else ""
    versions = ", ".join(f"{name} {value}" for name, value in result["versions"].items())
    parts = [
        f"{run['when']}, medians of {run['rounds']} rounds{quick}; {kinds['cores']} cores, "
        f"{kinds['processor']}, {kinds['file_system']}; load before: {kinds['load_before']}.",
        f"Versions: {versions}.",
    ]
    for measure in result["measures"]:
        parts += [f"### {measure['title']}", *_tables(measure)]
    return "\n\n".join(parts) + "\n"


def _tables(measure: Result) -> Iterable[str]:
    sides, goals, unit = measure["sides"], measure["goals"], measure["unit"]
    yield _grid(
        ["side", "durable", f"{unit}, median", "min", "max"],
        [[side["name"], side["durable"], *_numbers(side)] for side in sides],
    )
    yield _grid(
        ["goal", "median", "min", "max", "target", ""],
        [
            [goal["title"], *_numbers(goal), goal["bound"], "met" if goal["met"] else "missed"]
            for goal in goals
        ],
    )
    costs = list(dict.fromkeys(name for side in sides for name in side["median_costs"]))
    if costs:
        yield _grid(["cost, median", *costs], [_costs(side, costs) for side in sides])


def _costs(side: Result, names: Sequence[str]) -> list[str]:
    return [side["name"], *(_number(side["median_costs"].get(name)) for name in names)]


def _numbers(found: Result) -> list[str]:
    return [_number(found[name]) for name in ("median", "least", "most")]


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 20 else f"{value:.2f}"


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns line up in a terminal too."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [head, ["-" * width for width in widths], *rows]
    padded = ([c.ljust(w) for c, w in zip(line, widths, strict=True)] for line in lines)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in padded)
