"""The files of `deploy/` for Prometheus and Grafana: they name metrics that exist, and alerts fire.

promtool, the real one, judges the expressions and runs the alerts' own tests.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.support.metrics import FAMILIES
from tests.support.missing import missing

DEPLOY = Path(__file__).parent.parent / "deploy"
ALERTS = DEPLOY / "prometheus" / "alerts.yaml"
ALERT_TESTS = DEPLOY / "prometheus" / "alerts.test.yaml"
DASHBOARD = DEPLOY / "grafana" / "lading.json"
DOCS = Path(__file__).parent.parent / "docs" / "metrics.md"


def promtool(*arguments: object) -> str:
    """What promtool says; the test fails where promtool does."""
    found = shutil.which("promtool")
    if found is None:
        missing("promtool is not installed (Debian: apt-get install prometheus)")
    command = [found, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def loaded(path: Path) -> Any:
    return YAML(typ="safe").load(path)


def rules() -> list[dict[str, Any]]:
    return [rule for group in loaded(ALERTS)["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    return [panel for panel in found if panel["type"] != "row"]


def expressions() -> list[str]:
    """Those of the panels, with what Grafana puts in."""
    found = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [each.replace("$__rate_interval", "5m").replace("$job", ".+") for each in found]


def names() -> Iterator[str]:
    """Everything that a metric's samples are called."""
    for family in FAMILIES:
        match family.type:
            case "counter":
                yield f"{family.name}_total"
            case "histogram":
                yield from (f"{family.name}_{part}" for part in ("bucket", "sum", "count"))
            case _:
                yield family.name


KNOWN = set(names())


def named(text: str) -> set[str]:
    return set(re.findall(r"\blading_\w+", text))


def metric_of(sample: str) -> str:
    return re.sub(r"_(bucket|sum|count)$", "", sample)


def test_the_alerts_are_good_and_each_fires_when_it_should() -> None:
    promtool("check", "rules", ALERTS)
    promtool("test", "rules", ALERT_TESTS)


def test_each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    cases = [case for test in loaded(ALERT_TESTS)["tests"] for case in test["alert_rule_test"]]
    fires = {case["alertname"] for case in cases if case["exp_alerts"]}
    rests = {case["alertname"] for case in cases if not case["exp_alerts"]}
    assert fires == rests == {rule["alert"] for rule in rules()}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_an_alert_asks_for_metrics_that_exist(rule: dict[str, Any]) -> None:
    assert named(rule["expr"]) <= KNOWN


def test_every_alert_is_documented_and_nothing_else() -> None:
    listed = re.findall(r"^\| `(Lading\w+)` \|", DOCS.read_text("utf-8"), re.MULTILINE)
    assert listed == [rule["alert"] for rule in rules()]


def test_the_dashboard_asks_for_metrics_that_exist_and_leaves_few_out() -> None:
    asked = named("\n".join(expressions()))
    assert asked <= KNOWN
    shown = {metric_of(name) for name in asked}
    left_out = {
        "lading_info",  # the list of jobs is made of it
        "lading_channel_duration_seconds",
        "lading_byte_budget_wait_duration_seconds",
        "lading_outbox_step_duration_seconds",
        "lading_images_total",
        "lading_database_up",  # an alert
    }
    assert {metric_of(name) for name in KNOWN} - shown == left_out


def test_the_expressions_of_the_dashboard_are_good(tmp_path: Path) -> None:
    found = [{"record": f"panel:{n}", "expr": expr} for n, expr in enumerate(expressions())]
    rules = tmp_path / "rules.yaml"
    with rules.open("w") as file:
        YAML().dump({"groups": [{"name": "dashboard", "rules": found}]}, file)
    assert f"{len(found)} rules found" in promtool("check", "rules", rules)


def test_the_panels_have_an_id_and_a_place_of_their_own() -> None:
    ids = [panel["id"] for panel in panels()]
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels()]
    assert len(set(ids)) == len(ids)
    assert len(set(places)) == len(places)
