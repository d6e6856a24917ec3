"""The chart's values and the rights it grants."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.support.rights import Right, read_granted
from tools.generate.manifests import render

ROOT = Path(__file__).parents[2]
CHART = ROOT / "manifests" / "chart"
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())


def find_names(node: dict[str, Any], before: str = "") -> set[str]:
    """Return the dotted names of all values that a schema knows."""
    found: set[str] = set()
    for name, inner in node.get("properties", {}).items():
        found |= find_names(inner, f"{before}{name}.") or {f"{before}{name}"}
    return found


def find_defaults(node: dict[str, Any], schema: dict[str, Any], before: str = "") -> set[str]:
    """Return the dotted names of all values with a default, as deep as the schema goes."""
    found: set[str] = set()
    for name, value in node.items():
        inner = schema.get("properties", {}).get(name, {})
        deeper = isinstance(value, dict) and "properties" in inner
        found |= find_defaults(value, inner, f"{before}{name}.") if deeper else {f"{before}{name}"}
    return found


def test_the_schema_accepts_the_defaults() -> None:
    """And is a schema."""
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    jsonschema.validate(VALUES, SCHEMA)


def test_every_value_has_a_default_and_every_default_a_schema() -> None:
    """So that values.yaml documents all there is."""
    of_others = {"enabled", "global", "resources.claims"}
    assert find_names(SCHEMA) - of_others == find_defaults(VALUES, SCHEMA)


def test_a_chart_that_has_this_one_as_a_part_may_give_it_a_condition() -> None:
    """Helm hands ``global`` and the value of ``condition: tripswitch.enabled`` down."""
    jsonschema.validate({"enabled": True, "global": {"imageRegistry": "registry.example"}}, SCHEMA)


@pytest.mark.parametrize(
    "wrong",
    [
        {"replica": 3},
        {"replicas": "two"},
        {"log": {"level": "loud"}},
        {"image": {"digest": "latest"}},
        {"watchNamespaces": ["Shop"]},
        {"podDisruptionBudget": {"maxUnavailable": "half"}},
        {"metrics": {"serviceMonitor": {"interval": 30}}},
        {"notifications": {"url": "hooks.example.com"}},
        {"notifications": {"secret": "itself"}},
        {"guardWorkloads": {"mode": "enforce"}},
        {"alarms": {"url": "prometheus:9090"}},
        {"alarms": {"namespaceLabel": "a.b"}},
        {"alarms": {"token": "itself"}},
        {"guardWorkloads": {"enabled": "yes"}},
        {"checkReferences": "yes"},
    ],
    ids=str,
)
def test_a_wrong_value_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, SCHEMA)


WORKLOADS = {"deployments", "statefulsets"}
GUARDING = {
    *(*WORKLOADS, "deployments/status", "statefulsets/status", "controllerrevisions", "namespaces"),
    *("deploymentcircuitbreakers", "deploymentcircuitbreakers/status"),
}
"""What the operator has rights on for the sake of workloads that are guarded in place (rules G)."""

REFERENCES = ("configmaps", "serviceaccounts")
"""What a rollback may need, and of which names are listed (B9)."""


def rights_with(*arguments: str) -> set[Right]:
    """Return the operator's rights as the chart grants them with some values. Needs Helm."""
    return read_granted(render(arguments))


def verbs(rights: set[Right], *resources: str) -> set[str]:
    """Return all verbs on these resources."""
    return {right.verb for right in rights if right.resource in resources}


def list_numbers(node: Any) -> list[int]:
    """Return every number of a manifest."""
    if isinstance(node, dict):
        return [number for one in node.values() for number in list_numbers(one)]
    if isinstance(node, list):
        return [number for one in node for number in list_numbers(one)]
    return [node] if isinstance(node, int) else []


@pytest.mark.cluster
def test_names_that_look_like_numbers_stay_text() -> None:
    names = (
        *("fullnameOverride", "nameOverride", "priorityClassName", "serviceAccount.name"),
        *("watchNamespaces[0]", "imagePullSecrets[0].name", "alarms.caConfigMap.name"),
        *("alarms.tokenSecret.name", "notifications.signingSecret.name"),
        *("notifications.signingSecret.key", "podLabels.a", "podAnnotations.a", "nodeSelector.a"),
    )
    manifests = render(
        [
            *("--namespace=4711", "--set=alarms.url=http://a,notifications.url=http://a"),
            "--set=metrics.serviceMonitor.enabled=true",
            *(f"--set-string={name}=4711" for name in names),
        ]
    )
    assert manifests.count("4711") > 30
    assert 4711 not in list_numbers(list(yaml.safe_load_all(manifests)))


@pytest.mark.cluster
def test_guarding_off_leaves_no_right_on_workloads_and_namespaces() -> None:
    rights = rights_with("--set=guardWorkloads.enabled=false")
    assert not [right for right in rights if right.resource in GUARDING]
    assert "--guard-workloads=off" in render(["--set=guardWorkloads.enabled=false"])


@pytest.mark.cluster
def test_an_installation_that_observes_has_no_right_to_write_a_workload() -> None:
    """G7: everything else is as with Enforce."""
    observe, enforce = (
        rights_with(f"--set=guardWorkloads.mode={m}") for m in ("Observe", "Enforce")
    )
    assert verbs(observe, *WORKLOADS) == {"get", "list", "watch"}
    assert verbs(observe, "deployments/status", "statefulsets/status") == set()
    assert {str(right) for right in enforce - observe} == {
        "patch deployments.apps",
        "patch statefulsets.apps",
        "patch deployments/status.apps",
        "patch statefulsets/status.apps",
    }
    assert "--guard-workloads=observe" in render(["--set=guardWorkloads.mode=Observe"])


def test_by_default_a_workload_can_be_patched_and_neither_made_nor_deleted() -> None:
    installed = (ROOT / "manifests" / "install.yaml").read_text()
    rights = read_granted(installed)
    assert verbs(rights, *WORKLOADS) == {"get", "list", "watch", "patch"}
    assert verbs(rights, "deployments/status", "statefulsets/status") == {"patch"}
    assert verbs(rights, "namespaces", "controllerrevisions") == {"list", "watch"}
    assert "--guard-workloads=enforce" in installed


@pytest.mark.cluster
def test_a1_alarms_need_no_right_and_their_files_are_mounted_by_the_kubelet() -> None:
    url = "--set=alarms.url=https://prometheus:9090"
    files = ["--set=alarms.caConfigMap.name=ca", "--set=alarms.tokenSecret.name=token"]
    assert rights_with(url, *files) == rights_with()
    (deployment,) = (
        one
        for one in yaml.safe_load_all(render([url, *files]))
        if one and one["kind"] == "Deployment"
    )
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    mounts = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
    assert pod["volumes"] == [
        {"name": "alarms-ca", "configMap": {"name": "ca"}},
        {"name": "alarms-token", "secret": {"secretName": "token"}},
    ]
    assert [one for one in container["args"] if one.startswith("--alarms")] == [
        "--alarms-url=https://prometheus:9090",
        "--alarms-namespace-label=namespace",
        f"--alarms-ca-file={mounts['alarms-ca']}/ca.crt",
        f"--alarms-token-file={mounts['alarms-token']}/token",
    ]


@pytest.mark.cluster
def test_in_listed_namespaces_there_is_no_right_on_namespaces() -> None:
    """A list of namespaces cannot be granted in one of them; the label works on workloads only."""
    rights = rights_with("--set=watchNamespaces={shop}")
    assert verbs(rights, "namespaces") == set()
    assert verbs(rights, *WORKLOADS) == {"get", "list", "watch", "patch"}


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("settings", "granted"),
    [
        ([], True),
        (["--set=checkReferences=false"], False),
        (["--set=watchNamespaces={shop}"], False),
        (["--set=watchNamespaces={shop}", "--set=checkReferences=true"], True),
    ],
)
def test_b9_the_right_to_list_references_can_be_left_out_and_is_in_listed_namespaces(
    settings: list[str], *, granted: bool
) -> None:
    """The process is told the same as the API server."""
    rights = rights_with(*settings)
    assert verbs(rights, *REFERENCES) == ({"list"} if granted else set())
    assert verbs(rights, "secrets") == set()
    assert f"--check-references={str(granted).lower()}" in render(settings)


def test_the_rights_are_the_least() -> None:
    """No wildcard, no secrets, names of configmaps, no write on a pod but deletes and setting aside."""
    rights = read_granted((ROOT / "manifests" / "rbac.yaml").read_text())
    assert {right.resource for right in rights} <= {
        "guardeddeployments",
        "guardeddeployments/status",
        "guardeddeployments/finalizers",
        "replicasets",
        "pods",
        "pods/log",
        "events",
        "leases",
        "nodes",
        *REFERENCES,
        *GUARDING,
    }
    assert {right.verb for right in rights if right.resource == "nodes"} == {"get"}
    assert verbs(rights, *REFERENCES) == {"list"}
    assert not [right for right in rights if "*" in (right.group, right.resource, right.verb)]
    pods = {right.verb for right in rights if right.resource == "pods"}
    assert pods <= {"get", "list", "watch", "delete", "patch"}


def test_the_defaults_give_no_write_on_pods_but_deletes() -> None:
    """`patch` comes with failedPodRetention alone."""
    rights = read_granted((ROOT / "manifests" / "install.yaml").read_text())
    pods = {right.verb for right in rights if right.resource == "pods"}
    assert pods <= {"get", "list", "watch", "delete"}
