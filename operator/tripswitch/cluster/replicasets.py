"""Our ReplicaSets as Kubernetes has them: how they are read and written. Pure functions.

Reading is tolerant: nothing that a ReplicaSet contains raises. Everything in a body follows from the
GuardedDeployment and the action, so that a second try after an unknown result asks for the very same
object.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from dataclasses import field as field_of
from typing import Any

from tripswitch.api.base import format_time
from tripswitch.api.template import read_template, template_digest
from tripswitch.cluster.raw import (
    field,
    mapping,
    number,
    objects,
    parse_instant,
    text,
    whole,
)
from tripswitch.cluster.resources import API_VERSION, GROUP, KIND
from tripswitch.domain.decision import (
    Action,
    AdoptReplicaSet,
    CreateReplicaSet,
    MarkCompleted,
    ReleaseReplicaSet,
    ScaleReplicaSet,
    SetAsidePod,
)
from tripswitch.domain.model import Instant, ReplicaSetView, Template

HASH_LABEL = f"{GROUP}/template-hash"
"""On the ReplicaSet, in its selector and on its pods: it keeps revisions apart, and the operator
watches only what carries it."""

REVISION = f"{GROUP}/revision"
DIGEST = f"{GROUP}/template-digest"
COMPLETED_AT = f"{GROUP}/completed-at"
"""Annotations: what would be lost with the status otherwise (W2), and the template's full identity
(the server fills defaults into the template itself, so it cannot be computed from that again)."""
SIZED_FOR = f"{GROUP}/desired-replicas"
"""Annotation: the ``replicas`` of the GuardedDeployment that the ReplicaSet's size was decided for,
as ``deployment.kubernetes.io/desired-replicas`` (R7)."""


RETAINED_FOR = f"{GROUP}/retained-for"
"""Label of a pod that was set aside: for which GuardedDeployment."""
RETAINED_UNTIL = f"{GROUP}/retained-until"
RETAINED_WHY = f"{GROUP}/retained-because"
"""Annotations of such a pod. Whoever looks at it may write a later time."""
ASIDE = "set-aside"
"""Value of the hash label of such a pod: no ReplicaSet selects it, and the operator still sees it."""


@dataclass(frozen=True, slots=True)
class SeenReplicaSet:
    """A ReplicaSet's view, still without its pods, and whose it is.

    ``owner`` is the UID of the GuardedDeployment that controls it, ``orphan_owner(namespace)`` if
    nobody does, and empty if something else does. ``labels`` tell which GuardedDeployments may keep or
    adopt it.
    """

    view: ReplicaSetView
    namespace: str = ""
    owner: str = ""
    labels: Mapping[str, Any] = field_of(default_factory=dict)

    @property
    def orphaned(self) -> bool:
        """Whether nobody controls it."""
        return self.owner == orphan_owner(self.namespace)


def see_replica_set(raw: object, before: SeenReplicaSet | None) -> SeenReplicaSet:
    """Return the view of a ReplicaSet. ``before`` only saves reading the same template again."""
    body = mapping(raw)
    metadata, spec = mapping(body.get("metadata")), mapping(body.get("spec"))
    annotations = mapping(metadata.get("annotations"))
    conditions = objects(field(body, "status", "conditions"))
    namespace, guard = text(metadata.get("namespace")), find_guard(body)
    sized_for = annotations.get(SIZED_FOR)
    view = ReplicaSetView(
        name=text(metadata.get("name")),
        uid=text(metadata.get("uid")),
        revision=number(annotations.get(REVISION)),
        template=_see_template(spec.get("template"), text(annotations.get(DIGEST)), before),
        size=max(0, whole(spec.get("replicas"))),
        resource_version=text(metadata.get("resourceVersion")),
        created_at=parse_instant(metadata.get("creationTimestamp")) or 0.0,
        completed_at=parse_instant(annotations.get(COMPLETED_AT)),
        owned=guard is not None,
        deleting=bool(metadata.get("deletionTimestamp")),
        create_error=next(
            (
                text(condition.get("message"))
                for condition in conditions
                if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True"
            ),
            "",
        ),
        sized_for=number(sized_for) if text(sized_for).isdecimal() else None,
    )
    labels = dict(mapping(metadata.get("labels")))
    if guard is not None:
        return SeenReplicaSet(view, namespace, guard, labels)
    if find_controller(body) is not None:
        return SeenReplicaSet(view, namespace)
    return SeenReplicaSet(view, namespace, orphan_owner(namespace), labels)


def orphan_owner(namespace: str) -> str:
    """Return the key under which a namespace's ReplicaSets without a controller are found."""
    return f"orphans of {namespace}"


def _see_template(raw: object, digest: str, before: SeenReplicaSet | None) -> Template:
    template = dict(mapping(raw))
    if not digest:
        # Somebody took the annotation away: whatever it was, it still is a revision of its own.
        labels = dict(mapping(field(raw, "metadata", "labels")))
        labels.pop(HASH_LABEL, None)
        template["metadata"] = {**mapping(template.get("metadata")), "labels": labels}
        digest = template_digest(template)
    if before is not None and before.view.template.digest == digest:
        return before.view.template
    return read_template(template, digest)


def hash_of(name: str) -> str:
    """Return the hash label's value for a ReplicaSet's name.

    >>> hash_of("web-6f8c2x")
    '6f8c2x'
    """
    return name.rpartition("-")[2]


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
    action: AdoptReplicaSet | ReleaseReplicaSet | ScaleReplicaSet | MarkCompleted,
) -> dict[str, Any]:
    """Return the patch of an action. UID and resourceVersion in it are its preconditions (W1)."""
    metadata: dict[str, Any] = {"uid": action.uid, "resourceVersion": action.resource_version}
    match action:
        case ScaleReplicaSet():
            metadata["annotations"] = {SIZED_FOR: str(action.sized_for)}
            return {"metadata": metadata, "spec": {"replicas": action.size}}
        case MarkCompleted():
            metadata["annotations"] = {COMPLETED_AT: format_time(action.completed_at)}
        case AdoptReplicaSet():
            metadata["ownerReferences"] = [owner_reference(guarded)]
        case ReleaseReplicaSet():
            own = {"$patch": "delete", "uid": field(guarded, "metadata", "uid")}
            metadata["ownerReferences"] = [own]
    return {"metadata": metadata}


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
    name = text(field(guarded, "metadata", "name"))
    dropped = dict.fromkeys(_find_dropped_labels(mapping(guarded.get("spec"))))
    return {
        "metadata": {
            "uid": action.uid,
            "resourceVersion": action.resource_version,
            "labels": {**dropped, HASH_LABEL: ASIDE, RETAINED_FOR: name[:63].rstrip("-.")},
            "annotations": {
                REVISION: str(action.revision),
                RETAINED_UNTIL: format_time(until),
                RETAINED_WHY: f"revision {action.revision} failed; kept for a look",
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
        *(text(expression.get("key")) for expression in expressions),
        *(text(key) for key in (listed if isinstance(listed, list) else ())),
    }
    return sorted(keys - {""})


def target_of(action: Action) -> str:
    """Return what an action is about: actions on one target go one after the other.

    A pod is set aside before its ReplicaSet is lowered, so they are about the same.
    """
    if isinstance(action, SetAsidePod):
        return action.replica_set_uid
    return action.name if isinstance(action, CreateReplicaSet) else action.uid


def find_controller(raw: object) -> Mapping[str, Any] | None:
    """Return the reference to an object's controller."""
    references = objects(field(raw, "metadata", "ownerReferences"))
    return next((ref for ref in references if ref.get("controller") is True), None)


def find_guard(raw: object) -> str | None:
    """Return the UID of the GuardedDeployment that controls a ReplicaSet."""
    controller = find_controller(raw)
    if controller is None or controller.get("kind") != KIND:
        return None
    ours = text(controller.get("apiVersion")).partition("/")[0] == GROUP
    return text(controller.get("uid")) or None if ours else None


def selector_matches(selector: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    """Return whether a label selector selects an object; an empty one selects nothing here.

    >>> selector_matches({"matchLabels": {"app": "web"}}, {"app": "web", "tier": "front"})
    True
    """
    wanted = mapping(selector.get("matchLabels"))
    expressions = objects(selector.get("matchExpressions"))
    if not wanted and not expressions:
        return False
    return all(labels.get(name) == value for name, value in wanted.items()) and all(
        _holds(expression, labels) for expression in expressions
    )


def _holds(expression: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    key, listed = text(expression.get("key")), expression.get("values")
    values = listed if isinstance(listed, list) else []
    match expression.get("operator"):
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case _:
            return False
