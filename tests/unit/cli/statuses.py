"""GuardedDeployments as the API server holds them, for the views of the plugin."""

from __future__ import annotations

from typing import Any

from tests.unit.cluster.raws import at
from tripswitch.cluster.marks import DIGEST, HASH_LABEL

UID = "gd-1"
Object = dict[str, Any]


def guarded(status: Object | None = None, *, generation: int = 1, **more: Any) -> Object:
    """A GuardedDeployment of four pods in namespace shop."""
    return {
        "apiVersion": "tripswitch.dev/v1alpha1",
        "kind": "GuardedDeployment",
        "metadata": {
            "name": "web",
            "namespace": "shop",
            "uid": UID,
            "generation": generation,
            "resourceVersion": "77",
            "annotations": more.pop("annotations", {}),
        },
        "spec": {"replicas": 4, **more},
        **({"status": status} if status is not None else {}),
    }


def waiting_at_a_hook(*ids: str) -> Object:
    """The status of revision 2 that waits before its first pod, since second 20 and for an hour."""
    status = in_progress()
    hooks = [
        {
            "hookId": one,
            "targetType": "PAUSE",
            "lifecycleStage": "PRE_SCALE_UP",
            "status": "AWAITING_ACTION",
            "startedAt": at(20),
            "expiresAt": at(3620),
            "timeoutAction": "ROLLBACK",
        }
        for one in ids
    ]
    answered = {"hookId": "pause-0", "lifecycleStage": "PRE_SCALE_UP", "status": "SUCCEEDED"}
    rollout = {**status["rollout"], "lifecycleStage": "PRE_SCALE_UP", "hooks": [answered, *hooks]}
    return {**status, "rollout": rollout}


def rolled_back(**more: Any) -> Object:
    """The status after revision 2 tripped and revision 1 came back."""
    return {
        "observedGeneration": 1,
        "availableReplicas": 4,
        "selector": "app=web",
        "rolloutState": "FAILED",
        "rolloutStateReason": "revision 2 failed and was rolled back to revision 1",
        "rollout": {
            "revision": 1,
            "kind": "ROLLBACK",
            "status": "ROLLBACK_SUCCESSFUL",
            "startedAt": at(10),
            "finishedAt": at(14),
            "failedRevision": 2,
            "message": "3 failures (threshold 3)",
        },
        "desiredRevision": 2,
        "lastCompletedRevision": 1,
        "circuitBreaker": {
            "status": "MONITORING_COMPLETE",
            "stage": "HEALTH",
            "failureCount": 0,
            "threshold": 3,
            "failures": [
                {
                    "revision": 2,
                    "kind": "LAUNCH",
                    "reason": "Error",
                    "exitCode": 2,
                    "container": "web",
                    "pod": "web-b-1",
                    "node": "node-1",
                    "count": 3,
                    "lastSeen": at(9),
                    "message": "",
                }
            ],
        },
        "revisions": [
            revision(2, "FAILED", reason="3 failures (threshold 3)", failedTasks=3),
            revision(1, "COMPLETED", desired=4, running=4, healthy=4, completedAt=at(14)),
        ],
        **more,
    }


def in_progress(failures: int = 2) -> Object:
    """The status while revision 2 is failing."""
    running = rolled_back()
    running["rollout"] = {
        "revision": 2,
        "kind": "DEPLOY",
        "status": "IN_PROGRESS",
        "startedAt": at(5),
    }
    running["circuitBreaker"] |= {
        "status": "MONITORING",
        "stage": "LAUNCH",
        "failureCount": failures,
    }
    running["revisions"][0] |= {"rolloutState": "IN_PROGRESS", "desired": 4}
    return running


def revision(number: int, state: str, **more: Any) -> Object:
    return {
        "revision": number,
        "replicaSet": f"web-{'ab'[number - 1]}",
        "rolloutState": state,
        "status": "ACTIVE",
        "images": [f"web:{number}"],
        "createdAt": at(number),
        "finishedAt": at(number + 1),
        **more,
    }


def replica_set(name: str, template: Object | None = None, digest: str = "") -> Object:
    """One of our ReplicaSets; its UID is ``rs-`` and the last part of its name."""
    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": f"rs-{name[-1]}",
            "annotations": {DIGEST: digest},
            "labels": {HASH_LABEL: name[-1]},
            "ownerReferences": [
                {
                    "apiVersion": "tripswitch.dev/v1alpha1",
                    "kind": "GuardedDeployment",
                    "name": "web",
                    "uid": UID,
                    "controller": True,
                }
            ],
        },
        "spec": {"replicas": 4, "template": template or {}},
    }
