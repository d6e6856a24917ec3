"""Raw objects as a real API server sends them, cut to what matters here."""

from __future__ import annotations

from typing import Any

from tripswitch.api.times import format_time
from tripswitch.cluster.marks import HASH_LABEL

T0 = 1_764_000_000.0
"""The moment at which the pods of these tests were created."""


def at(seconds: float) -> str:
    """A time as the API server writes it: whole seconds."""
    return format_time(T0 + seconds).replace(".000Z", "Z")


def condition(kind: str, status: str, since: float = 0.0, **more: str) -> dict[str, Any]:
    return {"type": kind, "status": status, "lastTransitionTime": at(since), **more}


def running(name: str = "web", started_at: float = 1.0, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "ready": True,
        "started": True,
        "restartCount": 0,
        "state": {"running": {"startedAt": at(started_at)}},
        "lastState": {},
        **more,
    }


def waiting(reason: str, message: str = "", name: str = "web", **more: Any) -> dict[str, Any]:
    state = {"reason": reason, **({"message": message} if message else {})}
    return {
        "name": name,
        "ready": False,
        "started": False,
        "restartCount": 0,
        "state": {"waiting": state},
        "lastState": {},
        **more,
    }


def ended(exit_code: int, reason: str, **more: Any) -> dict[str, Any]:
    return {
        "exitCode": exit_code,
        "reason": reason,
        "startedAt": at(1),
        "finishedAt": at(2),
        **more,
    }


def pod(
    *statuses: dict[str, Any],
    conditions: list[dict[str, Any]] | None = None,
    name: str = "web-6f8c-x2x9k",
    uid: str = "pod-1",
    owner: str = "rs-1",
    version: int = 100,
    metadata: dict[str, Any] | None = None,
    **status: Any,
) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": uid,
            "resourceVersion": str(version),
            "creationTimestamp": at(0),
            "labels": {HASH_LABEL: "6f8c"},
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "ReplicaSet",
                    "name": "web-6f8c",
                    "uid": owner,
                    "controller": True,
                }
            ],
            **(metadata or {}),
        },
        "spec": {
            "nodeName": "node-1",
            "containers": [{"name": one["name"]} for one in statuses] or [{"name": "web"}],
        },
        "status": {
            "phase": "Running",
            "containerStatuses": list(statuses),
            "conditions": conditions or [],
            **status,
        },
    }


def ready_pod(since: float = 2.0, **more: Any) -> dict[str, Any]:
    return pod(
        running(),
        conditions=[
            condition("PodScheduled", "True"),
            condition("ContainersReady", "True", since),
            condition("Ready", "True", since),
        ],
        **more,
    )


def unready_pod(since: float = 0.0, started_at: float = 1.0, **more: Any) -> dict[str, Any]:
    return pod(
        running(started_at=started_at, ready=False),
        conditions=[
            condition("ContainersReady", "False", since, reason="ContainersNotReady"),
            condition("Ready", "False", since, reason="ContainersNotReady"),
        ],
        **more,
    )


def replica_set(
    *,
    name: str = "web-6f8c",
    uid: str = "rs-1",
    guard: str | None = "gd-1",
    version: int = 50,
    size: int = 4,
    annotations: dict[str, str] | None = None,
    metadata: dict[str, Any] | None = None,
    **status: Any,
) -> dict[str, Any]:
    owners = [
        {
            "apiVersion": "tripswitch.dev/v1alpha1",
            "kind": "GuardedDeployment",
            "name": "web",
            "uid": guard,
            "controller": True,
        }
    ]
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": uid,
            "resourceVersion": str(version),
            "creationTimestamp": at(-100),
            "labels": {"app": "web", HASH_LABEL: "6f8c"},
            "annotations": (
                {"tripswitch.dev/revision": "3", "tripswitch.dev/template-digest": "digest-a"}
                if annotations is None
                else annotations
            ),
            "ownerReferences": owners if guard is not None else [],
            **(metadata or {}),
        },
        "spec": {
            "replicas": size,
            "selector": {"matchLabels": {"app": "web", HASH_LABEL: "6f8c"}},
            "template": {
                "metadata": {"labels": {"app": "web", HASH_LABEL: "6f8c"}},
                "spec": {"containers": [{"name": "web", "image": "web:1"}]},
            },
        },
        "status": status,
    }


def guarded(
    *, uid: str = "gd-1", version: int = 10, name: str = "web", **spec: Any
) -> dict[str, Any]:
    return {
        "apiVersion": "tripswitch.dev/v1alpha1",
        "kind": "GuardedDeployment",
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": uid,
            "resourceVersion": str(version),
            "generation": 1,
            "creationTimestamp": at(-200),
            "managedFields": [{"manager": "kubectl"}],
        },
        "spec": {
            "replicas": 4,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "web:1"}]},
            },
            **spec,
        },
    }
