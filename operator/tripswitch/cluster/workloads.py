"""Deployments and StatefulSets as Kubernetes has them: how they are read (rules G). Pure functions.

Reading is tolerant: nothing that an object contains raises.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from tripswitch.api.identity import FIELD_MANAGER, GROUP
from tripswitch.api.template import read_template, template_digest
from tripswitch.api.times import parse_instant
from tripswitch.api.tolerant import field, mapping, objects, read_decimal, read_int, read_text
from tripswitch.cluster.pods import SeenPod, see_pod
from tripswitch.cluster.replicasets import SeenReplicaSet, find_controller, read_counted
from tripswitch.domain.values.protection import Mark, Workload, WorkloadKind
from tripswitch.domain.values.replica_sets import ReplicaSetView
from tripswitch.domain.values.states import Reason
from tripswitch.domain.values.time import Instant
from tripswitch.domain.values.workload import (
    Amount,
    Recreate,
    RollingUpdate,
    Strategy,
    Template,
)

TRIPPED = f"{GROUP}/tripped"
"""Annotation of a held workload: the name of the failed revision's ReplicaSet or ControllerRevision."""
CHANGED = f"{GROUP}/changed"
"""Annotation of a held workload: which fields were changed, by which breaker, and what they were."""
HOW_TO_GO_ON = f"{GROUP}/how-to-go-on"
"""Annotation of a held workload: what a person can do, also without Tripswitch."""
MARKS = (TRIPPED, CHANGED, HOW_TO_GO_ON)

OWN_PARTITION: dict[str, Any] = {
    "f:spec": {"f:updateStrategy": {"f:rollingUpdate": {"f:partition": {}}}}
}
"""The fields of an entry in ``managedFields`` that nothing but a restored partition is left of."""

POD_HASH = "pod-template-hash"
"""Label of a Deployment's pods and ReplicaSets, which the Deployment controller adds."""
REVISION_HASH = "controller-revision-hash"
"""Label of a StatefulSet's pods: the name of their ControllerRevision."""
REVISION = "deployment.kubernetes.io/revision"
"""Annotation of a Deployment's ReplicaSet: its number in ``kubectl rollout history``."""
DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas"
"""Annotation of a Deployment's ReplicaSet: the ``spec.replicas`` that its size was decided for."""
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"
"""Annotation of a Deployment's ReplicaSet: ``spec.replicas`` and maxSurge at that time."""


class Target(NamedTuple):
    """Which workload."""

    kind: str
    namespace: str
    name: str


def see_workload(raw: object, before: Workload | None = None) -> Workload:
    """Return the view of a Deployment or StatefulSet.

    ``before`` only saves reading the same template again.
    """
    kind = WorkloadKind(read_text(field(raw, "kind")) or WorkloadKind.DEPLOYMENT)
    metadata, spec = mapping(field(raw, "metadata")), mapping(field(raw, "spec"))
    replicas = spec.get("replicas")
    conditions = {
        read_text(one.get("type")): one for one in objects(field(raw, "status", "conditions"))
    }
    view = Workload(
        kind=kind,
        name=read_text(metadata.get("name")),
        uid=read_text(metadata.get("uid")),
        resource_version=read_text(metadata.get("resourceVersion")),
        generation=read_int(metadata.get("generation")),
        observed_generation=read_int(field(raw, "status", "observedGeneration")),
        replicas=1 if replicas is None else max(0, read_int(replicas)),
        template=_see_template(spec.get("template"), None if before is None else before.template),
        strategy=_see_strategy(kind, spec),
        min_ready_seconds=max(0, read_int(spec.get("minReadySeconds"))),
        progress_deadline=_see_deadline(spec.get("progressDeadlineSeconds")),
        revision_history_limit=_see_limit(spec.get("revisionHistoryLimit")),
        complete=_is_complete(raw),
        mark=_see_mark(mapping(metadata.get("annotations"))),
        stalled=_has_trip(conditions.get("Stalled"), "True", Reason.CIRCUIT_BREAKER_TRIGGERED),
        deadline_exceeded=_has_trip(
            conditions.get("Progressing"), "False", Reason.PROGRESS_DEADLINE_EXCEEDED
        ),
    )
    if kind is WorkloadKind.DEPLOYMENT:
        paused, holder = spec.get("paused") is True, _find_manager(metadata, "f:paused")
        others = paused and holder not in ("", FIELD_MANAGER)
        return replace(view, paused=paused, holder=holder, paused_by_others=others)
    partition = field(spec, "updateStrategy", "rollingUpdate", "partition")
    return replace(
        view,
        update_revision=read_text(field(raw, "status", "updateRevision")),
        current_revision=read_text(field(raw, "status", "currentRevision")),
        partition=None if partition is None else max(0, read_int(partition)),
        on_delete=field(spec, "updateStrategy", "type") == "OnDelete",
        ordered=spec.get("podManagementPolicy") != "Parallel",
        holder=_find_manager(metadata, "f:updateStrategy"),
        owned=_find_own_partition(metadata),
    )


def find_target(raw: object) -> Target | None:
    """Return the workload that a ReplicaSet, ControllerRevision or pod belongs to, by name.

    A Deployment's pod is owned by a ReplicaSet, whose name is the Deployment's and the pod's hash. No
    other object has to be known for that.

    >>> owner = {"controller": True, "kind": "ReplicaSet", "name": "web-6f8c"}
    >>> find_target({"metadata": {"namespace": "shop", "labels": {"pod-template-hash": "6f8c"},
    ...                           "ownerReferences": [owner]}})
    Target(kind=<WorkloadKind.DEPLOYMENT: 'Deployment'>, namespace='shop', name='web')
    """
    owner = find_controller(raw) or {}
    kind, name = read_text(owner.get("kind")), read_text(owner.get("name"))
    namespace = read_text(field(raw, "metadata", "namespace"))
    if kind == "ReplicaSet":
        ending = "-" + read_text(field(raw, "metadata", "labels", POD_HASH))
        if len(ending) == 1 or not name.endswith(ending):
            return None
        return Target(WorkloadKind.DEPLOYMENT, namespace, name.removesuffix(ending))
    if kind in (WorkloadKind.DEPLOYMENT, WorkloadKind.STATEFUL_SET):
        return Target(kind, namespace, name)
    return None


def see_guarded_replica_set(raw: object, before: SeenReplicaSet | None) -> SeenReplicaSet:
    """Return the view of a Deployment's ReplicaSet; its owner is the Deployment's UID."""
    metadata, spec = mapping(field(raw, "metadata")), mapping(field(raw, "spec"))
    view = ReplicaSetView(
        name=read_text(metadata.get("name")),
        uid=read_text(metadata.get("uid")),
        revision=read_decimal(field(metadata, "annotations", REVISION)),
        template=_see_template(
            spec.get("template"), None if before is None else before.view.template
        ),
        size=max(0, read_int(spec.get("replicas"))),
        resource_version=read_text(metadata.get("resourceVersion")),
        created_at=parse_instant(metadata.get("creationTimestamp")) or 0.0,
        deleting=bool(metadata.get("deletionTimestamp")),
        create_error=_see_create_error(raw),
        counted=read_counted(raw),
        sized_for=_see_sized_for(field(metadata, "annotations", DESIRED_REPLICAS)),
    )
    return SeenReplicaSet(view, read_text(metadata.get("namespace")), _controller_uid(raw))


def _see_sized_for(note: object) -> int | None:
    return read_decimal(note) if isinstance(note, str) and note.isdecimal() else None


def see_controller_revision(raw: object, before: SeenReplicaSet | None) -> SeenReplicaSet:
    """Return a StatefulSet's ControllerRevision as the revision that it is (ADR 16).

    The UID is made of the StatefulSet's and the revision's name, as the owner of pods is in
    :func:`see_guarded_pod`. The digest is the name: equal templates have one ControllerRevision.
    """
    metadata, name = mapping(field(raw, "metadata")), read_text(field(raw, "metadata", "name"))
    owner = _controller_uid(raw)
    template = field(raw, "data", "spec", "template")
    known = before is not None and before.view.name == name
    view = ReplicaSetView(
        name=name,
        uid=revision_uid(owner, name),
        revision=max(0, read_int(field(raw, "revision"))),
        template=before.view.template if known and before else read_template(template, name),
        size=0,
        resource_version=read_text(metadata.get("resourceVersion")),
        created_at=parse_instant(metadata.get("creationTimestamp")) or 0.0,
        deleting=bool(metadata.get("deletionTimestamp")),
    )
    return SeenReplicaSet(view, read_text(metadata.get("namespace")), owner)


def see_guarded_pod(raw: object, before: SeenPod | None, now: Instant) -> SeenPod:
    """Return the view of a pod; its owner is its ReplicaSet, or its StatefulSet and revision."""
    seen = see_pod(raw, before, now)
    controller = find_controller(raw) or {}
    if controller.get("kind") != WorkloadKind.STATEFUL_SET:
        return seen
    revision = read_text(field(raw, "metadata", "labels", REVISION_HASH))
    return replace(seen, owner=revision_uid(seen.owner, revision))


def is_stateful(pod: SeenPod) -> bool:
    """Return whether a pod of a guarded workload is a StatefulSet's."""
    return "/" in pod.owner


def revision_uid(workload: str, revision: str) -> str:
    """Return the key of a StatefulSet's revision.

    >>> revision_uid("0c1d", "db-6f8c")
    '0c1d/db-6f8c'
    """
    return f"{workload}/{revision}"


def _controller_uid(raw: object) -> str:
    return read_text(field(find_controller(raw), "uid"))


def _see_template(raw: object, before: Template | None) -> Template:
    """Return a template without the label that the Deployment controller adds to it."""
    template = dict(mapping(raw))
    labels = dict(mapping(field(raw, "metadata", "labels")))
    labels.pop(POD_HASH, None)
    template["metadata"] = {**mapping(template.get("metadata")), "labels": labels}
    digest = template_digest(template)
    if before is not None and before.digest == digest:
        return before
    return read_template(template, digest)


def _see_strategy(kind: WorkloadKind, spec: Mapping[str, Any]) -> Strategy:
    if kind is WorkloadKind.STATEFUL_SET:
        most = field(spec, "updateStrategy", "rollingUpdate", "maxUnavailable")
        return RollingUpdate(Amount(0), _see_amount(most, Amount(1)))
    if field(spec, "strategy", "type") == "Recreate":
        return Recreate()
    bounds, default = mapping(field(spec, "strategy", "rollingUpdate")), RollingUpdate()
    return RollingUpdate(
        _see_amount(bounds.get("maxSurge"), default.max_surge),
        _see_amount(bounds.get("maxUnavailable"), default.max_unavailable),
    )


def _see_amount(value: object, default: Amount) -> Amount:
    if isinstance(value, str) and value.removesuffix("%").isdecimal():
        return Amount(read_decimal(value.removesuffix("%")), percent=value.endswith("%"))
    return Amount(read_int(value)) if isinstance(value, int) else default


MAX_DEADLINE = 2_147_483_647
"""How a Deployment writes that it has no progress deadline."""


def _see_deadline(value: object) -> int | None:
    seconds = read_int(value)
    if seconds == MAX_DEADLINE:
        return 0
    return seconds if seconds > 0 else None


def _see_limit(value: object) -> int:
    return 10 if value is None else max(0, read_int(value))


def _is_complete(raw: object) -> bool:
    status, spec = mapping(field(raw, "status")), mapping(field(raw, "spec"))
    replicas = 1 if spec.get("replicas") is None else read_int(spec.get("replicas"))
    counts = [read_int(status.get(name)) for name in ("replicas", "updatedReplicas")]
    available = read_int(status.get("availableReplicas"))
    seen = read_int(status.get("observedGeneration")) >= read_int(
        field(raw, "metadata", "generation")
    )
    return seen and counts == [replicas, replicas] and available == replicas


def _see_mark(annotations: Mapping[str, Any]) -> Mark | None:
    if TRIPPED not in annotations:
        return None
    try:
        changed = mapping(json.loads(read_text(annotations.get(CHANGED)) or "{}"))
    except ValueError:
        changed = {}
    partition = changed.get("partition")
    return Mark(
        read_text(annotations.get(TRIPPED)),
        read_text(changed.get("breaker")),
        read_int(partition) if isinstance(partition, int) else None,
        read_text(changed.get("completed")),
    )


def _has_trip(condition: Mapping[str, Any] | None, status: str, reason: Reason) -> bool:
    found = condition or {}
    return found.get("status") == status and found.get("reason") == reason


def _see_create_error(raw: object) -> str:
    for condition in objects(field(raw, "status", "conditions")):
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            return read_text(condition.get("message"))
    return ""


def _find_own_partition(metadata: Mapping[str, Any]) -> int | None:
    """Return the index of the entry of ours in the managed fields that has a partition and nothing else."""
    for index, one in enumerate(objects(metadata.get("managedFields"))):
        ours = one.get("manager") == FIELD_MANAGER and not one.get("subresource")
        if ours and one.get("fieldsV1") == OWN_PARTITION:
            return index
    return None


def _find_manager(metadata: Mapping[str, Any], name: str) -> str:
    """Return who last wrote a field of the spec, by the managed fields; empty if that is not told."""
    entries = [
        one
        for one in objects(metadata.get("managedFields"))
        if not one.get("subresource") and name in mapping(field(one, "fieldsV1", "f:spec"))
    ]
    latest = max(entries, key=lambda one: read_text(one.get("time")), default=None)
    return read_text(field(latest, "manager"))
