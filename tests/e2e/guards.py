"""Deployments and StatefulSets as people have them, and the breaker that guards them (rules G)."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from tests.e2e.namespace import FAST_PROBE, GROUP, PATIENCE, VERSION, Namespace, Object
from tools.cluster.audit import AuditLog, Request
from tools.operator_process import USER

WORKLOADS = ("deployments", "statefulsets", "replicasets", "pods")
BREAKERS = "deploymentcircuitbreakers"
NOT_FOUND = 404
BEHAVIOUR = "stage.tripswitch.dev/behaviour"
LABEL = f"{GROUP}/circuit-breaker"


def deployment(behaviour: str | None = None, image: str = "web:1", **spec: Any) -> Object:
    """Return a Deployment of four replicas whose simulated pods show ``behaviour``."""
    return _workload("Deployment", behaviour, image, {"replicas": 4, **spec})


def stateful_set(behaviour: str | None = None, image: str = "web:1", **spec: Any) -> Object:
    """Return a StatefulSet of three replicas."""
    return _workload("StatefulSet", behaviour, image, {"replicas": 3, "serviceName": "web", **spec})


def _workload(kind: str, behaviour: str | None, image: str, spec: Object) -> Object:
    annotations = {BEHAVIOUR: behaviour} if behaviour else {}
    containers = [{"name": "web", "image": image, "readinessProbe": FAST_PROBE}]
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}, "annotations": annotations},
                "spec": {"containers": containers},
            },
            **spec,
        },
    }


def circuit_breaker(kind: str = "Deployment", **spec: Any) -> Object:
    """Return a DeploymentCircuitBreaker of the workload ``web``."""
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "DeploymentCircuitBreaker",
        "metadata": {"name": "web"},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": kind, "name": "web"},
            "minReadySeconds": 0,
            **spec,
        },
    }


def find(world: Namespace, kind: str) -> Object:
    """Return the Deployment or StatefulSet ``web``."""
    found: Object = world.custom.get_namespaced_custom_object(
        "apps", "v1", world.namespace, f"{kind}s", "web"
    )
    return found


def find_breaker(world: Namespace, name: str = "web") -> Object:
    """Return a breaker; empty while there is none."""
    try:
        found: Object = world.custom.get_namespaced_custom_object(
            GROUP, VERSION, world.namespace, BREAKERS, name
        )
    except client.ApiException as error:
        if error.status != NOT_FOUND:
            raise
        return {}
    return found


def guard_status(world: Namespace, name: str = "web") -> Object:
    """Return the status of a breaker; empty while there is none."""
    return dict(find_breaker(world, name).get("status", {}))


def until_guard(
    world: Namespace, wanted: str, name: str = "web", seconds: float = PATIENCE
) -> Object:
    """Wait for the rollout status of a breaker; return the whole status."""
    return until(
        lambda: guard_status(world, name),
        lambda status: status.get("rollout", {}).get("status") == wanted,
        seconds,
    )


def until(
    look: Callable[[], Object], reached: Callable[[Object], Any], seconds: float = PATIENCE
) -> Object:
    """Look until something is as wanted; return what was seen then."""
    deadline = time.monotonic() + seconds
    while not reached(found := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"did not get there: {json.dumps(found, indent=1)}")
        time.sleep(0.2)
    return found


def until_seen(world: Namespace, workload: Object, name: str = "web") -> None:
    """Wait until the operator has seen a workload in this generation, and its revision.

    Until then the conditions of a Deployment may still tell of the trip of the template before
    (docs/how-to/guard-workloads.md).
    """
    generation = workload["metadata"]["generation"]
    until(
        lambda: guard_status(world, name),
        lambda status: status["targetGeneration"] >= generation,
    )


def start(world: Namespace, workload: Object, **spec: Any) -> None:
    """Apply a good workload and its breaker, and wait until it has completed."""
    world.apply(workload)
    world.apply(circuit_breaker(str(workload["kind"]), **spec))
    until_guard(world, "SUCCESSFUL")


def images(world: Namespace) -> list[str]:
    """Return the images of the Ready pods, in order."""
    return sorted(
        pod.spec.containers[0].image
        for pod in world.pods()
        if any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions or [])
    )


def find_requests(world: Namespace, log: AuditLog | None = None) -> list[Request]:
    """Return what the operator asked for in the world's namespace: all of it, or what ``log`` has not read yet."""
    if not world.environment.audit_log:
        pytest.skip("no audit log here")
    log = log or AuditLog(Path(world.environment.audit_log), whole=True)
    return [one for one in log.read() if (one.user, one.namespace) == (USER, world.namespace)]


def find_writes(world: Namespace) -> Counter[str]:
    """Count what the operator wrote on workloads, ReplicaSets and pods of the world's namespace."""
    return Counter(
        request.words
        for request in find_requests(world)
        if request.writes and request.resource.partition("/")[0] in WORKLOADS
    )
