"""The simulated objects as the API server shows them: JSON, and back where the operator writes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

from tests.sim.objects import (
    Deployed,
    Notes,
    Raw,
    RawBreaker,
    RawCondition,
    RawDeployment,
    RawGuarded,
    RawPod,
    RawRevision,
    RawSet,
    RawStateful,
    RawWorkload,
)
from tests.sim.templates import document_of
from tripswitch.api.circuit_breakers import write_circuit_breaker_status
from tripswitch.api.codec import write_status
from tripswitch.api.identity import API_VERSION, BREAKER_KIND, CONTINUE, KIND, RETRY, STOP
from tripswitch.api.times import format_time, parse_time
from tripswitch.cluster import workloads
from tripswitch.cluster.marks import (
    ASIDE,
    COMPLETED_AT,
    DIGEST,
    HASH_LABEL,
    PINNED,
    RETAINED_FOR,
    RETAINED_UNTIL,
    REVISION,
    SIZED_FOR,
    hash_of,
)
from tripswitch.cluster.workload_index import LABEL, MADE_BY
from tripswitch.domain.values.alarms import AlarmSpec
from tripswitch.domain.values.hooks import PAUSE, EarlySuccess, HookSpec
from tripswitch.domain.values.pods import ContainerRole, ContainerView, Ended
from tripswitch.domain.values.protection import WorkloadKind
from tripswitch.domain.values.time import Instant
from tripswitch.domain.values.workload import (
    Amount,
    BreakerSpec,
    Percentages,
    PolicyRule,
    Recreate,
    Spec,
    Strategy,
    Template,
)

NAMESPACE = "shop"
GUARDED = "web"
"""The name of the GuardedDeployment."""
STATEFUL_POD = "statefulset.kubernetes.io/pod-name"
SELECTOR = {"app": "web"}
ELSEWHERE = {"app": "elsewhere"}
DELETED = "2023-11-14T22:13:20Z"
"""Only whether there is a ``deletionTimestamp`` matters."""

JsonObject = dict[str, Any]


def encode(raw: Raw) -> JsonObject:
    """Return an object as the API server shows it."""
    match raw:
        case RawPod():
            return _encode_pod(raw)
        case RawSet():
            return _encode_set(raw) if raw.deployed is None else _encode_deployed(raw, raw.deployed)
        case RawGuarded():
            return _encode_guarded(raw)
        case RawRevision():
            return _encode_revision(raw)
        case RawBreaker():
            return _encode_breaker(raw)
        case RawDeployment() | RawStateful():
            return _encode_workload(raw)


# Pods --------------------------------------------------------------------------------------------


def _encode_pod(pod: RawPod) -> JsonObject:
    metadata = _metadata(pod.name, pod.uid, pod.version, deleting=pod.deleting)
    metadata["creationTimestamp"] = format_time(pod.created)
    metadata["generation"] = pod.generation
    metadata["labels"] = {**SELECTOR, **_pod_labels(pod)}
    if pod.aside is not None:
        metadata["labels"] = {HASH_LABEL: ASIDE, RETAINED_FOR: GUARDED}
        metadata["annotations"] = {
            REVISION: str(pod.aside.revision),
            RETAINED_UNTIL: format_time(pod.aside.until),
        }
        metadata["ownerReferences"] = [_owner(API_VERSION, KIND, GUARDED, pod.aside.guard)]
    if pod.owner is not None:
        stateful = pod.kind is WorkloadKind.STATEFUL_SET
        name = pod.name.rpartition("-")[0] if stateful else pod.mark
        kind = "StatefulSet" if stateful else "ReplicaSet"
        metadata["ownerReferences"] = [_owner("apps/v1", kind, name, pod.owner)]
    spec = _pod_spec(pod)
    if pod.node:
        spec["nodeName"] = pod.node
    status: JsonObject = {"phase": str(pod.phase), "conditions": _conditions(pod)}
    if pod.reason:
        status["reason"] = pod.reason
    if pod.message:
        status["message"] = pod.message
    for listed, inits in (("initContainerStatuses", True), ("containerStatuses", False)):
        status[listed] = [
            _container_status(one, pod.created)
            for one in pod.containers
            if (one.role is not ContainerRole.APP) is inits and _has_status(one)
        ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": spec,
        "status": status,
    }


def _pod_labels(pod: RawPod) -> dict[str, str]:
    if pod.kind is None:
        return {HASH_LABEL: hash_of(pod.mark)}
    if pod.kind is WorkloadKind.DEPLOYMENT:
        return {workloads.POD_HASH: pod.mark.rpartition("-")[2]}
    return {workloads.REVISION_HASH: pod.mark, STATEFUL_POD: pod.name}


def _owner(version: str, kind: str, name: str, uid: str) -> JsonObject:
    told = {"apiVersion": version, "kind": kind, "name": name, "uid": uid}
    return {**told, "controller": True}


def _pod_spec(pod: RawPod) -> JsonObject:
    """The template's containers, and what has been changed of them since, or is said of them here."""
    told = {one.name: one for one in pod.containers}
    spec: JsonObject = {}
    for listed in ("initContainers", "containers"):
        spec[listed] = []
        for written in document_of(pod.template)["spec"].get(listed, []):
            one, view = dict(written), told[written["name"]]
            if view.image:
                one["image"] = view.image
            if pod.starts_slowly and view.role is not ContainerRole.INIT:
                one["startupProbe"] = {}
            if view.resize_restarts:
                one["resizePolicy"] = [{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]
            if view.restarts_pod:
                codes = {"operator": "NotIn", "values": [0]}
                one["restartPolicyRules"] = [{"action": "RestartAllContainers", "exitCodes": codes}]
            spec[listed].append(one)
    return spec


def _conditions(pod: RawPod) -> list[JsonObject]:
    found: list[JsonObject] = []
    reason, _, words = pod.waiting_for.partition(": ")
    if pod.node:
        found.append({"type": "PodScheduled", "status": "True"})
    elif pod.waiting_for:
        found.append(
            {"type": "PodScheduled", "status": "False", "reason": reason, "message": words}
        )
    if pod.ready_written:
        at = {"lastTransitionTime": format_time(pod.ready_written)}
        found.append({"type": "Ready", "status": _truth(pod.ready), **at})
        found.append({"type": "ContainersReady", "status": _truth(pod.ready or pod.by_node)})
    if pod.disrupted:
        found.append({"type": "DisruptionTarget", "status": "True"})
    return found


def _truth(value: bool) -> str:  # noqa: FBT001 - a condition's status
    return "True" if value else "False"


def _has_status(one: ContainerView) -> bool:
    return not (
        one.waiting is None
        and one.running_since is None
        and one.ended is None
        and one.last_ended is None
    )


def _container_status(one: ContainerView, created: Instant) -> JsonObject:
    state: JsonObject = {}
    if one.running_since is not None:
        state["running"] = {"startedAt": format_time(one.running_since)}
    elif one.ended is not None:
        state["terminated"] = _end(one.ended, created)
    elif one.waiting is not None:
        state["waiting"] = {"reason": one.waiting, "message": one.message}
    status = {
        "name": one.name,
        "restartCount": one.restarts,
        "started": one.started,
        "state": state,
    }
    if one.image_id:
        status["imageID"] = one.image_id
    if one.last_ended is not None:
        status["lastState"] = {"terminated": _end(one.last_ended, created)}
    return status


def _end(ended: Ended, created: Instant) -> JsonObject:
    """Only how long a run lasted is known here, so it is shown as if it began with the pod."""
    told: JsonObject = {"exitCode": ended.exit_code, "reason": ended.reason}
    if ended.signal:
        told["signal"] = ended.signal
    if ended.message:
        told["message"] = ended.message
    told["startedAt"] = format_time(created)
    told["finishedAt"] = format_time(created + ended.seconds)
    return told


# ReplicaSets -------------------------------------------------------------------------------------


def _encode_set(rs: RawSet) -> JsonObject:
    metadata = _metadata(rs.name, rs.uid, rs.version, deleting=rs.deleting)
    mark = {HASH_LABEL: hash_of(rs.name)}
    metadata["generation"] = rs.generation
    metadata["creationTimestamp"] = format_time(rs.created)
    metadata["labels"] = {**(SELECTOR if rs.matches else ELSEWHERE), **mark}
    annotations = {REVISION: str(rs.revision), DIGEST: rs.template.digest}
    if rs.sized_for is not None:
        annotations[SIZED_FOR] = str(rs.sized_for)
    if rs.completed_at is not None:
        annotations[COMPLETED_AT] = format_time(rs.completed_at)
    document = document_of(rs.template)
    if rs.pins:
        pins, images = dict(rs.pins), dict(list_images(document))
        originals = {name: images[name] for name in sorted(pins)}
        annotations[PINNED] = json.dumps(originals, separators=(",", ":"))
        document = deepcopy(document)
        for one in _list_containers(document):
            one["image"] = pins.get(one["name"], one["image"])
    metadata["annotations"] = annotations
    if rs.guard is not None:
        # Whose UID says that it is a GuardedDeployment's is one; anybody else is a stranger.
        ours = rs.guard.startswith("guard")
        kind = (API_VERSION, KIND) if ours else ("example.org/v1", "Stranger")
        metadata["ownerReferences"] = [_owner(*kind, "web", rs.guard)]
    conditions = _set_conditions(rs)
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": metadata,
        "spec": {
            "replicas": rs.size,
            "selector": {"matchLabels": {**SELECTOR, **mark}},
            "template": document,
        },
        "status": {
            "replicas": rs.seen_live,
            "readyReplicas": rs.seen_ready,
            "observedGeneration": rs.observed,
            "conditions": conditions,
        },
    }


def _set_conditions(rs: RawSet) -> list[JsonObject]:
    if not rs.create_error:
        return []
    return [{"type": "ReplicaFailure", "status": "True", "message": rs.create_error}]


def _encode_deployed(rs: RawSet, told: Deployed) -> JsonObject:
    """A Deployment's ReplicaSet."""
    metadata = _metadata(rs.name, rs.uid, rs.version, deleting=rs.deleting)
    mark = {workloads.POD_HASH: told.ending}
    metadata["creationTimestamp"] = format_time(rs.created)
    metadata["generation"] = told.generation
    metadata["labels"] = {**SELECTOR, **mark}
    notes = {workloads.DESIRED_REPLICAS: told.desired, workloads.MAX_REPLICAS: told.most}
    metadata["annotations"] = {**dict(told.notes), workloads.REVISION: str(rs.revision)} | {
        key: str(value) for key, value in notes.items() if value is not None
    }
    if rs.guard is not None:
        owner = _owner("apps/v1", "Deployment", told.deployment, rs.guard)
        metadata["ownerReferences"] = [owner]
    document = document_of(rs.template)
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": metadata,
        "spec": {
            "replicas": rs.size,
            "selector": {"matchLabels": {**SELECTOR, **mark}},
            "template": {**document, "metadata": {"labels": {**SELECTOR, **mark}}},
        },
        "status": {
            "replicas": rs.seen_live,
            "readyReplicas": rs.seen_ready,
            "availableReplicas": told.available,
            "observedGeneration": told.observed,
            "conditions": _set_conditions(rs),
        },
    }


def decode_set(body: Mapping[str, Any], before: RawSet) -> RawSet:
    """Return a ReplicaSet as somebody writes it; what the operator cannot write stays."""
    metadata = body["metadata"]
    annotations = metadata.get("annotations", {})
    owners = metadata.get("ownerReferences") or []
    completed, sized_for = annotations.get(COMPLETED_AT), annotations.get(SIZED_FOR)
    return replace(
        before,
        guard=owners[0]["uid"] if owners else None,
        revision=int(annotations.get(REVISION, before.revision)),
        size=body["spec"]["replicas"],
        completed_at=None if completed is None else parse_time(completed),
        sized_for=None if sized_for is None else int(sized_for),
        matches=metadata["labels"].get("app") == SELECTOR["app"],
        pins=before.pins if before.deployed is not None else read_pins(body, before.template),
    )


def read_pins(body: Mapping[str, Any], template: Template) -> Notes:
    """Return the containers of a ReplicaSet whose images are not those of its revision's template (D1)."""
    wanted = dict(list_images(document_of(template)))
    shown = dict(list_images(body["spec"]["template"]))
    pins = {name: image for name, image in shown.items() if image != wanted.get(name)}
    told = json.loads(body["metadata"].get("annotations", {}).get(PINNED) or "{}")
    expected = {name: wanted.get(name) for name in pins}
    assert told == expected, f"images {pins} are pinned, and the annotation says {told} (D1)"
    return tuple(sorted(pins.items()))


def list_images(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Return each container of a pod template with its image."""
    for one in _list_containers(document):
        yield one["name"], one["image"]


def _list_containers(document: Mapping[str, Any]) -> Iterator[JsonObject]:
    for listed in ("initContainers", "containers"):
        yield from document["spec"].get(listed, [])


# Guarded workloads and their breakers ------------------------------------------------------------


def _encode_workload(one: RawWorkload) -> JsonObject:
    metadata = _metadata(one.name, one.uid, one.version, deleting=False)
    metadata["generation"] = one.generation
    metadata["labels"] = {**SELECTOR, **dict(one.labels)}
    metadata["annotations"] = dict(one.notes)
    spec: JsonObject = {
        "replicas": one.replicas,
        "selector": {"matchLabels": SELECTOR},
        "template": document_of(one.template),
        "minReadySeconds": one.min_ready,
        "revisionHistoryLimit": one.history_limit,
    }
    written = {"apiVersion": "apps/v1", "metadata": metadata, "spec": spec}
    if isinstance(one, RawDeployment):
        _write_deployment(one, metadata, spec)
        return {**written, "kind": "Deployment", "status": _deployment_status(one)}
    spec["podManagementPolicy"] = "Parallel" if one.parallel else "OrderedReady"
    bounds = {"partition": one.partition, "maxUnavailable": 1}
    spec["updateStrategy"] = {"type": "RollingUpdate", "rollingUpdate": bounds}
    if one.on_delete:
        spec["updateStrategy"] = {"type": "OnDelete"}
    metadata["managedFields"] = _managed(one.holder, "f:updateStrategy")
    return {**written, "kind": "StatefulSet", "status": _stateful_status(one)}


def _write_deployment(one: RawDeployment, metadata: JsonObject, spec: JsonObject) -> None:
    if one.revision:
        metadata["annotations"][workloads.REVISION] = one.revision
    metadata["managedFields"] = _managed(one.holder, "f:paused")
    never = workloads.MAX_DEADLINE
    spec["progressDeadlineSeconds"] = never if one.deadline is None else one.deadline
    spec["strategy"] = _strategy(one.strategy)
    if one.paused:
        spec["paused"] = True


def _managed(manager: str, name: str) -> list[JsonObject]:
    return [{"manager": manager, "fieldsV1": {"f:spec": {name: {}}}}] if manager else []


def _deployment_status(one: RawDeployment) -> JsonObject:
    told = one.status
    return {
        "observedGeneration": told.observed,
        "replicas": told.replicas,
        "updatedReplicas": told.updated,
        "readyReplicas": told.ready,
        "availableReplicas": told.available,
        "unavailableReplicas": told.unavailable,
        "conditions": [_condition(c) for c in told.conditions],
    }


def _stateful_status(one: RawStateful) -> JsonObject:
    told = one.status
    return {
        "observedGeneration": told.observed,
        "replicas": told.replicas,
        "readyReplicas": told.ready,
        "availableReplicas": told.available,
        "currentReplicas": told.current,
        "updatedReplicas": told.updated,
        "currentRevision": told.current_revision,
        "updateRevision": told.update_revision,
        "conditions": [_condition(c) for c in told.conditions],
    }


def _condition(one: RawCondition) -> JsonObject:
    return {
        "type": one.type,
        "status": one.status,
        "reason": one.reason,
        "message": one.message,
        "lastUpdateTime": format_time(one.updated),
        "lastTransitionTime": format_time(one.changed),
    }


def decode_conditions(told: list[JsonObject]) -> tuple[RawCondition, ...]:
    """Return conditions as somebody writes them."""
    return tuple(
        RawCondition(
            one["type"],
            one["status"],
            one.get("reason", ""),
            one.get("message", ""),
            parse_time(one.get("lastUpdateTime") or one["lastTransitionTime"]),
            parse_time(one["lastTransitionTime"]),
        )
        for one in told
    )


def split_notes(annotations: Mapping[str, str]) -> tuple[Notes, str]:
    """Return the annotations without the Deployment controller's own, and its own."""
    notes = {key: told for key, told in annotations.items() if key != workloads.REVISION}
    return tuple(sorted(notes.items())), annotations.get(workloads.REVISION, "")


def _encode_revision(one: RawRevision) -> JsonObject:
    metadata = _metadata(one.name, one.uid, one.version, deleting=False)
    metadata["creationTimestamp"] = format_time(one.created)
    metadata["labels"] = SELECTOR
    metadata["annotations"] = dict(one.notes)
    name = one.name.rpartition("-")[0]
    metadata["ownerReferences"] = [_owner("apps/v1", "StatefulSet", name, one.owner)]
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": metadata,
        "revision": one.number,
        "data": {"spec": {"template": document_of(one.template)}},
    }


def _encode_breaker(one: RawBreaker) -> JsonObject:
    wish = one.wish
    asked = wish.protection
    metadata = _metadata(wish.name, wish.uid, one.version, deleting=False)
    metadata["creationTimestamp"] = format_time(one.created)
    metadata["generation"] = wish.generation
    commands = {RETRY: wish.retry, STOP: wish.stop}
    metadata["annotations"] = {key: told for key, told in commands.items() if told is not None}
    if one.made_for:
        metadata["annotations"][MADE_BY] = LABEL
        metadata["ownerReferences"] = [
            {"apiVersion": "apps/v1", "kind": str(asked.kind), "name": GUARDED, "uid": one.made_for}
        ]
    settings = _breaker(asked.breaker)
    settings.pop("enable")
    spec: JsonObject = {
        "targetRef": {"apiVersion": "apps/v1", "kind": str(asked.kind), "name": asked.target},
        "mode": str(asked.mode),
        "healthCheckGracePeriodSeconds": asked.health_check_grace_period,
        **settings,
    }
    if asked.min_ready_seconds is not None:
        spec["minReadySeconds"] = asked.min_ready_seconds
    if asked.progress_deadline is not None:
        spec["progressDeadlineSeconds"] = asked.progress_deadline
    spec |= _alarms(asked.alarms, asked.bake_seconds)
    return {
        "apiVersion": API_VERSION,
        "kind": BREAKER_KIND,
        "metadata": metadata,
        "spec": spec,
        "status": write_circuit_breaker_status(wish.status, wish.generation, asked),
    }


# The GuardedDeployment ---------------------------------------------------------------------------


def _encode_guarded(guarded: RawGuarded) -> JsonObject:
    metadata = _metadata(guarded.name, guarded.uid, guarded.version, deleting=False)
    metadata["generation"] = guarded.generation
    commands = {RETRY: guarded.retry, STOP: guarded.stop, CONTINUE: guarded.answers}
    metadata["annotations"] = {key: told for key, told in commands.items() if told is not None}
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": metadata,
        "spec": encode_spec(guarded.spec),
        "status": write_status(guarded.status, guarded.generation),
    }


def encode_spec(spec: Spec) -> JsonObject:
    """Return a wish as a user writes it."""
    configuration: JsonObject = {
        "deploymentCircuitBreaker": _breaker(spec.breaker),
        "lifecycleHooks": [_hook(hook) for hook in spec.hooks],
        **_alarms(spec.alarms, spec.bake_seconds),
    }
    if spec.early_success is not None:
        configuration["earlySuccessCriteria"] = _early_success(spec.early_success)
    written: JsonObject = {
        "replicas": spec.replicas,
        "selector": {"matchLabels": SELECTOR},
        "template": document_of(spec.template),
        "healthCheckGracePeriodSeconds": spec.health_check_grace_period,
        "revisionHistoryLimit": spec.revision_history_limit,
        "paused": spec.paused,
        "deploymentConfiguration": configuration,
    }
    if spec.retention.count:
        kept, ttl = spec.retention.count, spec.retention.ttl
        written["failedPodRetention"] = {"count": kept, "ttlSeconds": ttl}
    if not spec.consistency.enabled:
        written["versionConsistency"] = "disabled"
    if spec.consistency.exclusions:
        written["versionConsistencyExclusions"] = sorted(spec.consistency.exclusions)
    if spec.min_ready_seconds is not None:
        written["minReadySeconds"] = spec.min_ready_seconds
    if spec.progress_deadline is not None:
        written["progressDeadlineSeconds"] = spec.progress_deadline
    if isinstance(spec.strategy, Percentages):
        configuration["minimumHealthyPercent"] = spec.strategy.minimum_healthy
        configuration["maximumPercent"] = spec.strategy.maximum
    else:
        written["strategy"] = _strategy(spec.strategy)
    return written


def _alarms(asked: AlarmSpec | None, bake_seconds: int) -> JsonObject:
    """Return alarms and bake time; without them nothing is written."""
    written: JsonObject = {"bakeTimeInMinutes": bake_seconds // 60} if bake_seconds else {}
    if asked is not None:
        written["alarms"] = {
            "rollback": asked.rollback,
            "alarmNames": list(asked.names),
            "matchLabels": dict(asked.match_labels),
        }
        written["bakeTimeInMinutes"] = bake_seconds // 60
    return written


def _hook(hook: HookSpec) -> JsonObject:
    timeout = {
        "timeoutInMinutes": hook.timeout_seconds // 60,
        "action": str(hook.timeout_action),
    }
    return {
        "targetType": PAUSE,
        "lifecycleStages": [str(stage) for stage in hook.stages],
        "timeoutConfiguration": timeout,
    }


def _early_success(early: EarlySuccess) -> JsonObject:
    return {
        "enable": True,
        "healthyPercent": early.healthy_percent,
        "sourceServiceRevisionCleanup": "BLOCKING" if early.blocking else "DEFERRED",
    }


def _strategy(strategy: Strategy) -> JsonObject:
    if isinstance(strategy, Recreate):
        return {"type": "Recreate"}
    assert not isinstance(strategy, Percentages)
    surge, missing = _amount(strategy.max_surge), _amount(strategy.max_unavailable)
    return {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": surge, "maxUnavailable": missing},
    }


def _amount(amount: Amount) -> int | str:
    return f"{amount.value}%" if amount.percent else amount.value


def _breaker(breaker: BreakerSpec) -> JsonObject:
    return {
        "enable": breaker.enable,
        "rollback": breaker.rollback,
        "resetOnHealthyTask": breaker.reset_on_healthy_task,
        "thresholdConfiguration": {
            "type": str(breaker.threshold_type),
            "value": breaker.threshold_value,
        },
        "failurePolicy": {"rules": [_rule(rule) for rule in breaker.policy]},
    }


def _rule(rule: PolicyRule) -> JsonObject:
    written: JsonObject = {"action": str(rule.action)}
    if rule.reasons:
        written["onReasons"] = sorted(rule.reasons)
    if rule.container is not None:
        written["containerName"] = rule.container
    if rule.exit_codes:
        operator = "NotIn" if rule.exit_codes_negated else "In"
        written["onExitCodes"] = {"operator": operator, "values": sorted(rule.exit_codes)}
    return written


def _metadata(name: str, uid: str, version: int, *, deleting: bool) -> JsonObject:
    metadata: JsonObject = {
        "name": name,
        "namespace": NAMESPACE,
        "uid": uid,
        "resourceVersion": str(version),
    }
    if deleting:
        metadata["deletionTimestamp"] = DELETED
    return metadata
