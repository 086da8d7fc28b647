"""From samples to results, and from results to tables and a picture.

It owns the form of `bench/results/*.json` and of the tables, which are made from that form alone.
It refuses to know how anything was measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from bench.measure import Goal, Measure, Sample, Side, spread
from bench.plot import Bar, bars

Result = dict[str, Any]

MET, MISSED = "met", "**missed**"

OWN = ("Lading", "lading")
"""How the names of Lading's own sides begin."""


def summarize(measure: Measure, rounds: Sequence[Sequence[Sample]]) -> Result:
    """The result of one measure; each round has one sample for each side, in their order."""
    columns = list(zip(*rounds, strict=True))
    return {
        "name": measure.name,
        "title": measure.title,
        "unit": measure.unit,
        "note": measure.note,
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
    median = spread(values).median
    return {
        "row": goal.row,
        "title": goal.title,
        "side": goal.side,
        "over": goal.over,
        "cost": goal.cost,
        "bound": goal.bound,
        "met": goal.met(median),
        "reached": round(goal.reached(median), 3),
        **_rounded(values),
    }


def _rounded(values: Sequence[float]) -> Result:
    found = {name: round(value, 3) for name, value in spread(values)._asdict().items()}
    return {**found, "rounds": [round(value, 3) for value in values]}


def table(result: Result) -> str:
    """All measures of a run as Markdown: the targets, then each measure with its numbers."""
    run = result["run"]
    quick = "; quick: small sizes and few rounds, so only a first look" if run["quick"] else ""
    parts = [
        f"{run['when']}, medians of up to {run['rounds']} rounds{quick}. {place(result)}",
        grid(
            ["#", "goal", "median", "min", "max", "rounds", "target", ""],
            [_target(goal) for goal in goals(result)],
        ),
    ]
    for measure in result["measures"]:
        parts += [f"### {measure['title']}", *_tables(measure)]
    return "\n\n".join(parts) + "\n"


def instead(result: Result) -> str:
    """What a user would pick instead, as Markdown: a row for each ratio to another program."""
    rows = [row for measure in result["measures"] for row in _beside(measure)]
    return grid(["what is done", "instead", "it is durable", "it", "Lading", "ratio"], rows) + "\n"


def _beside(measure: Result) -> Iterable[list[str]]:
    for goal in measure["goals"]:
        if goal["over"] is None or goal["cost"] is not None:
            continue
        own, other = measure["sides"][goal["side"]], measure["sides"][goal["over"]]
        if not other["name"].startswith(OWN):
            values = [f"{number(side['median'])} {measure['unit']}" for side in (other, own)]
            about = [measure["title"], other["name"], other["durable"]]
            yield [*about, *values, number(goal["median"])]


def picture(result: Result) -> str:
    """The targets of a run as SVG."""
    found = [
        Bar(goal["title"], goal["reached"], f"{number(goal['median'])} (target {goal['bound']})")
        for goal in goals(result)
    ]
    return bars("How far each target was reached; more is better", found)


def goals(result: Result) -> list[Result]:
    """The goals of all measures, by their number in the design."""
    found = [goal for measure in result["measures"] for goal in measure["goals"]]
    return sorted(found, key=lambda goal: int(goal["row"]))


def _target(goal: Result) -> list[str]:
    verdict = MET if goal["met"] else MISSED
    count = str(len(goal["rounds"]))
    return [str(goal["row"]), goal["title"], *_numbers(goal), count, goal["bound"], verdict]


def place(result: Result) -> str:
    """The machine and the versions of a run, in a sentence or two."""
    kinds = result["machine"]
    versions = ", ".join(f"{name} {value}" for name, value in result["versions"].items())
    return (
        f"{kinds['cores']} cores, {kinds['processor']}, {kinds['file_system']}; load before: "
        f"{kinds['load_before']}. Versions: {versions}."
    )


def _tables(measure: Result) -> Iterable[str]:
    sides, unit = measure["sides"], measure["unit"]
    if measure["note"]:
        yield measure["note"]
    yield grid(
        ["side", "durable", f"{unit}, median", "min", "max"],
        [[side["name"], side["durable"], *_numbers(side)] for side in sides],
    )
    costs = list(dict.fromkeys(name for side in sides for name in side["median_costs"]))
    if costs:
        yield grid(["cost, median", *costs], [_costs(side, costs) for side in sides])


def _costs(side: Result, names: Sequence[str]) -> list[str]:
    return [side["name"], *(number(side["median_costs"].get(name)) for name in names)]


def _numbers(found: Result) -> list[str]:
    return [number(found[name]) for name in ("median", "least", "most")]


def number(value: float | None) -> str:
    """A number with its significant digits."""
    if value is None:
        return ""
    if value >= 20:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns line up in a terminal too."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [head, ["-" * width for width in widths], *rows]
    padded = ([c.ljust(w) for c, w in zip(line, widths, strict=True)] for line in lines)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in padded)


def between(page: str, name: str, text: str) -> str:
    """The page with `text` in the place that is kept for it.

    That is what stands between the lines `<!-- name -->` and `<!-- end of name -->`; ValueError
    when the page has no such place.
    """
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    head, found, rest = page.partition(begin)
    _, closed, tail = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"there is no place for {name}")
    return f"{head}{begin}{text}{end}{tail}"
