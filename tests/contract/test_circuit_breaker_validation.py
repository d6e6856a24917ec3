"""The API server refuses a bad DeploymentCircuitBreaker with one clear sentence: schema and CEL, no webhook."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.support.environment import Environment

pytestmark = pytest.mark.cluster

WEB = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
HALF = {"type": "BOUNDED_PERCENT", "value": 101}


def breaker(name: str = "web", **spec: Any) -> dict[str, Any]:
    """Return a DeploymentCircuitBreaker."""
    return {
        "apiVersion": "tripswitch.dev/v1alpha1",
        "kind": "DeploymentCircuitBreaker",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"targetRef": WEB, **spec},
    }


def apply(environment: Environment, manifest: dict[str, Any], *words: str) -> dict[str, Any]:
    """Apply it, validated strictly, and return what the API server made of it."""
    words = ("apply", "--validate=strict", "--output=json", "--filename=-", *words)
    found: dict[str, Any] = json.loads(environment.kubectl(*words, stdin=json.dumps(manifest)))
    return found


def refusal(environment: Environment, manifest: dict[str, Any]) -> str:
    """Return the words with which the API server refuses it."""
    with pytest.raises(subprocess.CalledProcessError) as refused:
        apply(environment, manifest, "--dry-run=server")
    return str(refused.value.stderr)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"targetRef": None}, "spec.targetRef"),
        ({"targetRef": {**WEB, "kind": "DaemonSet"}}, 'supported values: "Deployment"'),
        ({"targetRef": {**WEB, "kind": "GuardedDeployment"}}, 'supported values: "Deployment"'),
        ({"targetRef": {**WEB, "apiVersion": "apps/v1beta1"}}, 'supported values: "apps/v1"'),
        ({"targetRef": {**WEB, "name": ""}}, "spec.targetRef.name"),
        ({"targetRef": {**WEB, "name": "shop/web"}}, "spec.targetRef.name"),
        ({"targetRef": {**WEB, "namespace": "other"}}, 'unknown field "spec.targetRef.namespace"'),
        ({"mode": "Off"}, 'supported values: "Enforce", "Observe"'),
        ({"thresholdConfiguration": HALF}, "must be 1 to 100"),
        (
            {"thresholdConfiguration": {"type": "COUNT", "value": 1001}},
            "less than or equal to 1000",
        ),
        ({"minReadySeconds": -1}, "greater than or equal to 0"),
        (
            {"minReadySeconds": 600, "progressDeadlineSeconds": 600},
            "progressDeadlineSeconds must be greater than minReadySeconds, or 0",
        ),
        ({"alarms": {}}, "alarmNames must name at least one alerting rule, or set enable: false"),
        ({"alarms": {"alarmNames": ["A", "A"]}}, "Duplicate value"),
        ({"alarms": {"alarmNames": [""]}}, "spec.alarms.alarmNames[0]"),
        (
            {"alarms": {"alarmNames": ["A"], "matchLabels": {"app.kubernetes.io/name": "web"}}},
            "matchLabels has a key that is no label name of Prometheus",
        ),
        ({"alarms": {"alarmNames": ["A"], "query": "up"}}, 'unknown field "spec.alarms.query"'),
        ({"bakeTimeInMinutes": 1441}, "less than or equal to 1440"),
        ({"replicas": 3}, 'unknown field "spec.replicas"'),
    ],
    ids=str,
)
def test_it_is_refused(environment: Environment, spec: dict[str, Any], words: str) -> None:
    assert words in refusal(environment, breaker(**spec))


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"targetRef": {"kind": "StatefulSet", "name": "db.blue"}},
        {"thresholdConfiguration": {"type": "COUNT", "value": 1000}},
        {"minReadySeconds": 600, "progressDeadlineSeconds": 601},
        {"minReadySeconds": 600, "progressDeadlineSeconds": 0},
        {"minReadySeconds": 900},
        {"alarms": {"enable": False}, "bakeTimeInMinutes": 1440},
        {"alarms": {"alarmNames": ["A"], "matchLabels": {"app": "web"}, "rollback": False}},
        {"failurePolicy": {"rules": [{"action": "FailNow", "onExitCodes": {"values": [78]}}]}},
    ],
    ids=str,
)
def test_it_is_taken(environment: Environment, spec: dict[str, Any]) -> None:
    apply(environment, breaker(**spec), "--dry-run=server")


def test_defaults_stand_in_the_stored_object(environment: Environment) -> None:
    """They are few, so that a later default can be better (rules H1 and P1 fill in the rest)."""
    stored = apply(
        environment,
        breaker(targetRef={"kind": "Deployment", "name": "web"}),
        "--dry-run=server",
    )
    assert stored["spec"] == {
        "targetRef": WEB,
        "mode": "Enforce",
        "rollback": True,
        "resetOnHealthyTask": True,
        "healthCheckGracePeriodSeconds": 0,
    }
    assert stored["status"] == {"observedGeneration": -1}, "kstatus: nobody has looked at it yet"


def test_the_target_cannot_be_changed(environment: Environment) -> None:
    """A revision history belongs to one workload."""
    apply(environment, breaker("moving"))
    try:
        changed = breaker("moving", targetRef={**WEB, "name": "other"})
        words = refusal(environment, changed)
        assert "spec.targetRef cannot be changed; create another DeploymentCircuitBreaker" in words
        apply(environment, breaker("moving", mode="Observe"))
    finally:
        environment.kubectl("delete", "dcb/moving", "--namespace=default", "--wait=false")
