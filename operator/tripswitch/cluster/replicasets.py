"""ReplicaSets of GuardedDeployments: how they are read. Pure functions; nothing in an object raises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as field_of
from typing import Any

from tripswitch.api.identity import GROUP, KIND
from tripswitch.api.template import read_template, template_digest
from tripswitch.api.times import parse_instant
from tripswitch.api.tolerant import field, mapping, objects, read_decimal, read_int, read_text
from tripswitch.cluster.marks import (
    COMPLETED_AT,
    DIGEST,
    HASH_LABEL,
    REVISION,
    SIZED_FOR,
)
from tripswitch.cluster.pins import read_pins, unpin_template
from tripswitch.domain.values.replica_sets import ReplicaSetView
from tripswitch.domain.values.workload import Template


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
    namespace, guard = read_text(metadata.get("namespace")), find_guard(body)
    sized_for = annotations.get(SIZED_FOR)
    view = ReplicaSetView(
        name=read_text(metadata.get("name")),
        uid=read_text(metadata.get("uid")),
        revision=read_decimal(annotations.get(REVISION)),
        template=_see_template(body, read_text(annotations.get(DIGEST)), before),
        size=max(0, read_int(spec.get("replicas"))),
        resource_version=read_text(metadata.get("resourceVersion")),
        created_at=parse_instant(metadata.get("creationTimestamp")) or 0.0,
        completed_at=parse_instant(annotations.get(COMPLETED_AT)),
        owned=guard is not None,
        deleting=bool(metadata.get("deletionTimestamp")),
        create_error=find_create_error(body),
        observed=read_int(field(body, "status", "observedGeneration"))
        >= read_int(metadata.get("generation")),
        counted=read_counted(body),
        sized_for=read_decimal(sized_for) if read_text(sized_for).isdecimal() else None,
        pins=read_pins(body),
    )
    labels = dict(mapping(metadata.get("labels")))
    if guard is not None:
        return SeenReplicaSet(view, namespace, guard, labels)
    if find_controller(body) is not None:
        return SeenReplicaSet(view, namespace)
    return SeenReplicaSet(view, namespace, orphan_owner(namespace), labels)


def find_create_error(raw: object) -> str:
    """Return why the ReplicaSet controller cannot create pods, in its words; empty if it can."""
    for condition in objects(field(raw, "status", "conditions")):
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            return read_text(condition.get("message"))
    return ""


def read_counted(raw: object) -> int | None:
    """Return how many live pods the ReplicaSet controller found at its last look; None if it says nothing."""
    replicas = field(raw, "status", "replicas")
    return replicas if isinstance(replicas, int) else None


def orphan_owner(namespace: str) -> str:
    """Return the key under which a namespace's ReplicaSets without a controller are found."""
    return f"orphans of {namespace}"


def _see_template(body: object, digest: str, before: SeenReplicaSet | None) -> Template:
    """Return what the rules need of the revision's template, which has no pins (D1)."""
    if digest and before is not None and before.view.template.digest == digest:
        return before.view.template
    template = unpin_template(body)
    if not digest:
        # Somebody took the annotation away; it still is a revision of its own.
        labels = dict(mapping(field(template, "metadata", "labels")))
        labels.pop(HASH_LABEL, None)
        template["metadata"] = {**mapping(template.get("metadata")), "labels": labels}
        digest = template_digest(template)
    if before is not None and before.view.template.digest == digest:
        return before.view.template
    return read_template(template, digest)


def find_controller(raw: object) -> Mapping[str, Any] | None:
    """Return the reference to an object's controller."""
    references = objects(field(raw, "metadata", "ownerReferences"))
    return next((ref for ref in references if ref.get("controller") is True), None)


def find_guard(raw: object) -> str | None:
    """Return the UID of the GuardedDeployment that controls a ReplicaSet."""
    controller = find_controller(raw)
    if controller is None or controller.get("kind") != KIND:
        return None
    ours = read_text(controller.get("apiVersion")).partition("/")[0] == GROUP
    return read_text(controller.get("uid")) or None if ours else None
