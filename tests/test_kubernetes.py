"""The chart of deploy/helm: rendered by Helm, and judged by the schemas of the Kubernetes API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from lading.server.settings import Settings
from lading.version import VERSION
from tests.support.helm import CHART, Helm, unpack
from tests.support.metrics import FAMILIES

EXAMPLES = sorted((CHART / "examples").glob("*.yaml"))
EVERY = [None, *EXAMPLES]
ALWAYS = ["Deployment", "Service", "ServiceAccount"]
KINDS = {
    None: [*ALWAYS, "NetworkPolicy", "PodDisruptionBudget"],
    "small": ALWAYS,
    "bucket": [
        *ALWAYS,
        "HorizontalPodAutoscaler",
        "Ingress",
        "NetworkPolicy",
        "PodDisruptionBudget",
    ],
    "tokens": [*ALWAYS, "NetworkPolicy", "PodDisruptionBudget"],
}
VARIABLES = {f"LADING_{name.upper()}" for name in Settings.model_fields}
LEAST, NEWEST = "1.30", "1.37"
"""The versions of Kubernetes that the chart is for: `kubeVersion`, and the newest."""


def named(values: Path | None) -> str:
    return "defaults" if values is None else values.stem


every = pytest.mark.parametrize("values", EVERY, ids=named)


@pytest.fixture(scope="module")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    return Helm(unpack(tmp_path_factory.mktemp("helm")))


def of_kind(manifests: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = [each for each in manifests if each["kind"] == kind]
    return found


def pod(manifests: list[dict[str, Any]]) -> dict[str, Any]:
    template: dict[str, Any] = of_kind(manifests, "Deployment")["spec"]["template"]["spec"]
    return template


def environment(manifests: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    (container,) = pod(manifests)["containers"]
    return {each["name"]: each for each in container["env"]}


@every
def test_helm_has_nothing_against_it(helm: Helm, values: Path | None) -> None:
    assert helm.lint(values) == ""


@pytest.mark.parametrize("version", [LEAST, NEWEST])
@every
def test_every_manifest_is_valid(helm: Helm, values: Path | None, version: str) -> None:
    for manifest in helm.manifests(values):
        kubernetes_validate.validate(manifest, version, strict=True)


@every
def test_each_set_of_values_has_its_parts(helm: Helm, values: Path | None) -> None:
    kinds = sorted(each["kind"] for each in helm.manifests(values))
    assert kinds == sorted(KINDS[None if values is None else values.stem])


def test_what_is_no_manifest_is_not_valid(helm: Helm) -> None:
    deployment = of_kind(helm.manifests(None), "Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["pullPolicy"] = "Always"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, NEWEST, strict=True)


@every
def test_a_pod_may_do_nothing_and_keeps_nothing(helm: Helm, values: Path | None) -> None:
    found = pod(helm.manifests(values))
    (container,) = found["containers"]
    assert found["securityContext"]["runAsNonRoot"]
    assert not found["automountServiceAccountToken"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {tuple(set(each) - {"name"}) for each in found["volumes"]} <= {
        ("emptyDir",),
        ("secret",),
    }


@every
def test_its_settings_exist_and_no_secret_is_in_it(helm: Helm, values: Path | None) -> None:
    manifests = helm.manifests(values)
    given = environment(manifests)
    assert {name for name in given if name.startswith("LADING_")} <= VARIABLES
    assert "secretKeyRef" in given["LADING_DATABASE_URL"]["valueFrom"]
    assert not [each for each in manifests if each["kind"] == "Secret"]


@every
def test_a_pod_is_ended_after_what_is_in_flight(helm: Helm, values: Path | None) -> None:
    manifests = helm.manifests(values)
    drain = int(environment(manifests)["LADING_DRAIN_SECONDS"]["value"].removesuffix("s"))
    pause = pod(manifests)["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod(manifests)["terminationGracePeriodSeconds"] >= drain + pause + 20


def test_it_scales_by_a_metric_that_exists(helm: Helm) -> None:
    found = of_kind(helm.manifests(CHART / "examples" / "bucket.yaml"), "HorizontalPodAutoscaler")
    names = [each["pods"]["metric"]["name"] for each in found["spec"]["metrics"] if "pods" in each]
    assert names == ["lading_connections"]
    assert "lading_connections" in {family.name for family in FAMILIES}
    deployment = of_kind(helm.manifests(CHART / "examples" / "bucket.yaml"), "Deployment")
    assert "replicas" not in deployment["spec"], "an upgrade must not undo what was scaled"


def test_the_admin_token_is_there_only_where_it_is_used(helm: Helm) -> None:
    def mounted(values: Path | None) -> set[str]:
        (container,) = pod(helm.manifests(values))["containers"]
        return {each["mountPath"] for each in container["volumeMounts"]}

    keys = {"/data/admin-token", "/data/server-secret"}
    assert mounted(None) & keys == keys
    assert mounted(CHART / "examples" / "tokens.yaml") & keys == {"/data/server-secret"}


def test_only_the_monitoring_reaches_the_metrics(helm: Helm) -> None:
    def rules(values: Path | None) -> list[dict[str, Any]]:
        ingress: list[dict[str, Any]]
        ingress = of_kind(helm.manifests(values), "NetworkPolicy")["spec"]["ingress"]
        return [each for each in ingress if each["ports"][0]["port"] == "metrics"]

    assert rules(None) == []
    (rule,) = rules(CHART / "examples" / "bucket.yaml")
    assert rule["from"]


@pytest.mark.parametrize(
    "wrong",
    [
        "settings.LADING_HOST=127.0.0.1",
        "settings.LADING_JWT_SECRET=secret",
        "settings.lading_blobs=mongo",
        "databse.secret=lading",
        "database.secret=",
        "drainSeconds=soon",
    ],
)
def test_wrong_values_are_refused(helm: Helm, wrong: str) -> None:
    assert "schema" in helm.refused(wrong)


def test_the_chart_is_of_this_version() -> None:
    chart = YAML(typ="safe").load((CHART / "Chart.yaml").read_text("utf-8"))
    assert chart["appVersion"] == VERSION
    assert chart["kubeVersion"].startswith(f">={LEAST}")
