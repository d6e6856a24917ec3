"""Bodies of requests that create, change and delete ReplicaSets and pods. Pure functions.

Everything in a body follows from the GuardedDeployment and the action, so that a second try after an
unknown result asks for the very same object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from tripswitch.api.identity import API_VERSION, KIND
from tripswitch.api.times import format_time
from tripswitch.api.tolerant import field, mapping, objects, read_text
from tripswitch.cluster.marks import (
    ASIDE,
    COMPLETED_AT,
    DIGEST,
    HASH_LABEL,
    PINNED,
    RETAINED_FOR,
    RETAINED_UNTIL,
    RETAINED_WHY,
    REVISION,
    SIZED_FOR,
    hash_of,
)
from tripswitch.cluster.pins import annotate_originals, build_image_patch, pin_template
from tripswitch.domain.values.decision import (
    AdoptReplicaSet,
    CreateReplicaSet,
    DeletePod,
    DeleteReplicaSet,
    DropPod,
    MarkCompleted,
    PinImages,
    ReleaseReplicaSet,
    ScaleReplicaSet,
    SetAsidePod,
)
from tripswitch.domain.values.time import Instant


def build_replica_set(
    guarded: Mapping[str, Any], action: CreateReplicaSet, digest: str
) -> dict[str, Any]:
    """Return the body of a new ReplicaSet.

    Args:
        guarded: The GuardedDeployment as the server holds it.
        action: Name, revision and size.
        digest: Of the template in ``guarded``.
    """
    spec = mapping(guarded.get("spec"))
    mark = {HASH_LABEL: hash_of(action.name)}
    template = deepcopy(dict(mapping(spec.get("template"))))
    labels = {**mapping(field(template, "metadata", "labels")), **mark}
    template["metadata"] = {**mapping(template.get("metadata")), "labels": labels}
    pin_template(template, action.pinning)
    selector = mapping(spec.get("selector"))
    body: dict[str, Any] = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": action.name,
            "namespace": field(guarded, "metadata", "namespace"),
            "labels": labels,
            "annotations": {
                REVISION: str(action.revision),
                DIGEST: digest,
                SIZED_FOR: str(action.sized_for),
            },
            "ownerReferences": [owner_reference(guarded)],
        },
        "spec": {
            "replicas": action.size,
            "selector": {
                **selector,
                "matchLabels": {**mapping(selector.get("matchLabels")), **mark},
            },
            "template": template,
        },
    }
    if (originals := annotate_originals(action.pinning)) is not None:
        body["metadata"]["annotations"][PINNED] = originals
    if spec.get("minReadySeconds") is not None:
        body["spec"]["minReadySeconds"] = spec["minReadySeconds"]
    return body


def owner_reference(guarded: Mapping[str, Any]) -> dict[str, Any]:
    """Return the reference that makes a GuardedDeployment the controller of an object.

    ``blockOwnerDeletion`` lets ``kubectl delete --cascade=foreground`` wait for the ReplicaSets.
    """
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": field(guarded, "metadata", "name"),
        "uid": field(guarded, "metadata", "uid"),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def build_patch(
    guarded: Mapping[str, Any],
    action: AdoptReplicaSet | ReleaseReplicaSet | ScaleReplicaSet | MarkCompleted | PinImages,
) -> dict[str, Any]:
    """Return the patch of an action. UID and resourceVersion in it are its preconditions (W1)."""
    metadata: dict[str, Any] = {"uid": action.uid, "resourceVersion": action.resource_version}
    match action:
        case ScaleReplicaSet():
            metadata["annotations"] = {SIZED_FOR: str(action.sized_for)}
            return {"metadata": metadata, "spec": {"replicas": action.size}}
        case MarkCompleted():
            metadata["annotations"] = {COMPLETED_AT: format_time(action.completed_at)}
        case PinImages():
            metadata["annotations"] = {PINNED: annotate_originals(action.pinning)}
            images = build_image_patch(action.pinning)
            return {"metadata": metadata, "spec": {"template": {"spec": images}}}
        case AdoptReplicaSet():
            metadata["ownerReferences"] = [owner_reference(guarded)]
        case ReleaseReplicaSet():
            own = {"$patch": "delete", "uid": field(guarded, "metadata", "uid")}
            metadata["ownerReferences"] = [own]
    return {"metadata": metadata}


def build_joint_patch(
    resource_version: str, changes: Sequence[ScaleReplicaSet | MarkCompleted | PinImages]
) -> dict[str, Any]:
    """Return the one patch of several changes of a ReplicaSet; no two of them touch the same field."""
    bodies = [build_patch({}, change) for change in changes]
    annotations: dict[str, Any] = {}
    spec: dict[str, Any] = {}
    for body in bodies:
        annotations |= body["metadata"]["annotations"]
        spec |= body.get("spec", {})
    metadata = {**bodies[0]["metadata"], "resourceVersion": resource_version}
    return {"metadata": {**metadata, "annotations": annotations}, "spec": spec}


def build_label_patch(found: Mapping[str, Any], action: CreateReplicaSet) -> dict[str, Any]:
    """Return the merge patch that gives a ReplicaSet its hash label back, in the version found (W1)."""
    return {
        "metadata": {
            "uid": field(found, "metadata", "uid"),
            "resourceVersion": field(found, "metadata", "resourceVersion"),
            "labels": {HASH_LABEL: hash_of(action.name)},
        }
    }


def build_set_aside(
    guarded: Mapping[str, Any], action: SetAsidePod, until: Instant
) -> dict[str, Any]:
    """Return the strategic merge patch that takes a pod out of its ReplicaSet and its Services.

    It loses the labels that the selector and ``dropLabels`` name, and keeps all others: a
    NetworkPolicy that selects by those isolates it as before. Its ReplicaSet goes as its owner: the
    GuardedDeployment owns it from now on, so that it goes with it.
    """
    name = read_text(field(guarded, "metadata", "name"))
    dropped = dict.fromkeys(_find_dropped_labels(mapping(guarded.get("spec"))))
    return {
        "metadata": {
            "uid": action.uid,
            "resourceVersion": action.resource_version,
            "labels": {**dropped, HASH_LABEL: ASIDE, RETAINED_FOR: name[:63].rstrip("-.")},
            "annotations": {
                REVISION: str(action.revision),
                RETAINED_UNTIL: format_time(until),
                RETAINED_WHY: f"revision {action.revision} failed; kept for inspection",
            },
            "ownerReferences": [
                {"$patch": "replace"},
                {**owner_reference(guarded), "blockOwnerDeletion": False},
            ],
        }
    }


def _find_dropped_labels(spec: Mapping[str, Any]) -> list[str]:
    """Return the keys of the labels that a pod loses when it is set aside, in order."""
    selector = mapping(spec.get("selector"))
    listed = field(spec, "failedPodRetention", "dropLabels")
    expressions = objects(selector.get("matchExpressions"))
    keys = {
        *mapping(selector.get("matchLabels")),
        *(read_text(expression.get("key")) for expression in expressions),
        *(read_text(key) for key in (listed if isinstance(listed, list) else ())),
    }
    return sorted(keys - {""})


def build_deletion(action: DeletePod | DeleteReplicaSet | DropPod) -> dict[str, Any]:
    """Return the options of a deletion: only of the very version that was decided on."""
    return {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": {"uid": action.uid, "resourceVersion": action.resource_version},
        "propagationPolicy": "Background",
    }
