"""The requests of a trip on a guarded workload (rules G4, G5). Pure functions.

Every body carries the UID and the resourceVersion that the decision was made on. Patches are strategic
merge patches, so that conditions and annotations of others stay as they are, but for managed fields.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from tripswitch.api.times import format_time
from tripswitch.cluster.client import JSON_PATCH, STRATEGIC_PATCH
from tripswitch.cluster.resources import DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS, Resource
from tripswitch.cluster.transport import Body
from tripswitch.cluster.workloads import (
    CHANGED,
    DESIRED_REPLICAS,
    HOW_TO_GO_ON,
    MARKS,
    MAX_REPLICAS,
    TRIPPED,
)
from tripswitch.domain.values.hold_actions import (
    DisownFields,
    HoldAction,
    HoldWorkload,
    ReleaseWorkload,
    ReportTrip,
    ResizeRevision,
    WithdrawReport,
)
from tripswitch.domain.values.protection import HOLD_PARTITION, WorkloadKind
from tripswitch.domain.values.states import Reason
from tripswitch.domain.values.time import Instant

STALLED = "Stalled"


class HoldRequest(NamedTuple):
    """One PATCH: of which resource, which subresource (or None), its body, and the kind of patch."""

    resource: Resource
    subresource: str | None
    body: Body
    content_type: str = STRATEGIC_PATCH


def build_hold_request(action: HoldAction, now: Instant) -> HoldRequest:
    """Return the PATCH of an action; ``now`` stands in the conditions that it writes."""
    body: dict[str, Any] = {
        "metadata": {"uid": action.uid, "resourceVersion": action.resource_version}
    }
    if isinstance(action, ResizeRevision):
        sized_for = {DESIRED_REPLICAS: str(action.replicas), MAX_REPLICAS: str(action.most)}
        body["metadata"]["annotations"] = sized_for
        return HoldRequest(REPLICA_SETS, None, {**body, "spec": {"replicas": action.size}})
    resource = resource_of(action.kind)
    match action:
        case HoldWorkload():
            body["metadata"]["annotations"] = build_annotations(action)
            body["spec"] = _set_hold(action.kind, paused=True, partition=HOLD_PARTITION)
        case ReleaseWorkload():
            body["metadata"]["annotations"] = dict.fromkeys(MARKS)
            if action.resume:
                partition = action.partition
                body["spec"] = _set_hold(action.kind, paused=None, partition=partition)
        case ReportTrip():
            body["status"] = {"conditions": _build_conditions(action, now)}
            return HoldRequest(resource, "status", body)
        case DisownFields():
            return HoldRequest(resource, None, _build_disowning(action), JSON_PATCH)
        case WithdrawReport():
            body["status"] = {"conditions": [{"$patch": "delete", "type": STALLED}]}
            return HoldRequest(resource, "status", body)
    return HoldRequest(resource, None, body)


def _build_disowning(action: DisownFields) -> list[dict[str, Any]]:
    """Return a JSON patch; another UID or version is a conflict, as in the other patches."""
    fence = {"uid": action.uid, "resourceVersion": action.resource_version}
    return [
        *({"op": "replace", "path": f"/metadata/{key}", "value": fence[key]} for key in fence),
        {"op": "remove", "path": f"/metadata/managedFields/{action.entry}"},
    ]


def resource_of(kind: WorkloadKind) -> Resource:
    """Return where workloads of a kind are found."""
    return DEPLOYMENTS if kind is WorkloadKind.DEPLOYMENT else STATEFUL_SETS


def build_annotations(action: HoldWorkload) -> dict[str, str]:
    """Return what is written onto a held workload, for people and for :func:`see_workload`."""
    place = f"{action.kind.lower()}/{action.name}"
    if action.kind is WorkloadKind.DEPLOYMENT:
        changed: dict[str, Any] = {"breaker": action.mark.breaker, "paused": False}
        resume = f"kubectl rollout resume {place}"
    else:
        changed = {"breaker": action.mark.breaker, "partition": action.mark.partition}
        resume = (
            f"set spec.updateStrategy.rollingUpdate.partition of {place} to "
            f"{action.mark.partition or 0}"
        )
    if action.mark.completed:
        changed["completed"] = action.mark.completed
    advice = (
        f"fix the template; or retry the failed one: {resume}. If its DeploymentCircuitBreaker was "
        "deleted, fix the template and then do the same"
    )
    return {
        TRIPPED: action.mark.failed,
        CHANGED: json.dumps(changed, sort_keys=True),
        HOW_TO_GO_ON: advice,
    }


def _set_hold(kind: WorkloadKind, *, paused: bool | None, partition: int | None) -> dict[str, Any]:
    if kind is WorkloadKind.DEPLOYMENT:
        return {"paused": paused}
    return {"updateStrategy": {"rollingUpdate": {"partition": partition}}}


def _build_conditions(action: ReportTrip, now: Instant) -> list[dict[str, Any]]:
    at = format_time(now)
    stalled = {
        "type": STALLED,
        "status": "True",
        "reason": Reason.CIRCUIT_BREAKER_TRIGGERED.value,
        "message": action.message,
        "lastTransitionTime": at,
    }
    if action.kind is WorkloadKind.STATEFUL_SET:
        return [stalled]
    progressing = {
        "type": "Progressing",
        "status": "False",
        "reason": Reason.PROGRESS_DEADLINE_EXCEEDED.value,
        "message": action.message,
        "lastTransitionTime": at,
        "lastUpdateTime": at,
    }
    return [progressing, {**stalled, "lastUpdateTime": at}]
