"""Deployments and StatefulSets with their DeploymentCircuitBreakers, as the API server holds them."""

from __future__ import annotations

from typing import Any

from tests.unit.cli.statuses import rolled_back
from tests.unit.cluster.raws import at

Object = dict[str, Any]

BREAKERS = "/apis/tripswitch.dev/v1alpha1/namespaces/shop/deploymentcircuitbreakers"
DEPLOYMENTS = "/apis/apps/v1/namespaces/shop/deployments"
STATEFUL_SETS = "/apis/apps/v1/namespaces/shop/statefulsets"


def breaker(
    status: Object | None = None,
    *,
    kind: str = "Deployment",
    target: str = "web",
    name: str = "web",
    mode: str = "Enforce",
    created: float = 0.0,
    **metadata: Any,
) -> Object:
    """A DeploymentCircuitBreaker in namespace shop, as lists have it: without its kind."""
    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": f"dcb-{name}",
            "generation": 1,
            "resourceVersion": "78",
            "creationTimestamp": at(created),
            **metadata,
        },
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": kind, "name": target},
            "mode": mode,
        },
        **({"status": status} if status is not None else {}),
    }


def tripped(**more: Any) -> Object:
    """The status after revision 2 tripped: the workload is held at revision 1."""
    status = rolled_back(hold={"failed": "web-b", "state": "Placed"}, replicas=4, **more)
    del status["selector"]
    return status


def deployment(name: str = "web", **spec: Any) -> Object:
    """A Deployment of four pods."""
    return {
        "metadata": {"name": name, "namespace": "shop", "uid": "deploy-1", "resourceVersion": "5"},
        "spec": {"replicas": 4, "selector": {"matchLabels": {"app": "web"}}, **spec},
    }


def stateful_set(name: str = "db", **spec: Any) -> Object:
    """A StatefulSet of four pods."""
    return {
        **deployment(name, **spec),
        "metadata": {**deployment(name)["metadata"], "uid": "sts-1"},
    }


def owned(raw: Object, kind: str, uid: str, **labels: str) -> Object:
    """The same object with another controller, and labels."""
    controller = {
        "apiVersion": "apps/v1",
        "kind": kind,
        "name": "web",
        "uid": uid,
        "controller": True,
    }
    metadata = {**raw["metadata"], "ownerReferences": [controller]}
    metadata["labels"] = {**metadata.get("labels", {}), **labels}
    return {**raw, "metadata": metadata}
