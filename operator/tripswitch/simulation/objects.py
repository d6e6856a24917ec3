"""ReplicaSets and pods in memory: what an Action does to them, and what their controller does. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from tripswitch.domain.rules.pins import list_pins
from tripswitch.domain.values.decision import (
    Action,
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
from tripswitch.domain.values.hold_actions import HoldAction
from tripswitch.domain.values.images import Pinning
from tripswitch.domain.values.pods import PodView, RetainedPod
from tripswitch.domain.values.replica_sets import ReplicaSetView
from tripswitch.domain.values.time import Instant
from tripswitch.domain.values.workload import Template

MakePod = Callable[[ReplicaSetView], PodView]
"""Returns a new pod of a ReplicaSet; each one has a name and a UID of its own."""
ChooseStaying = Callable[[Sequence[PodView], int], Sequence[PodView]]
"""Returns which of a ReplicaSet's live pods stay, and no more of them than the number given."""
_Named = TypeVar("_Named")


def keep_oldest(live: Sequence[PodView], size: int) -> Sequence[PodView]:
    """Return the pods that stay: those that are not Ready leave first, then the newest."""
    ready = [pod for pod in live if pod.ready_since is not None]
    unready = [pod for pod in live if pod.ready_since is None]
    return [*ready, *unready][:size]


def keep_newest(live: Sequence[PodView], size: int) -> Sequence[PodView]:
    """Return the pods that stay: those that are not Ready leave first, then the oldest.

    Pods with a deletion cost, or that share a node, may leave in any order: the rules must bear it.
    """
    return keep_oldest(live[::-1], size)


@dataclass(frozen=True, slots=True)
class Objects:
    """The ReplicaSets and retained pods of one guarded object, each by its name."""

    replica_sets: Mapping[str, ReplicaSetView] = field(default_factory=dict)
    strays: Mapping[str, ReplicaSetView] = field(default_factory=dict)
    retained: Mapping[str, RetainedPod] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the API server and the ReplicaSet controller know when an Action reaches them."""

    template: Template
    now: Instant
    make_pod: MakePod
    choose_staying: ChooseStaying = keep_oldest


def apply_action(  # noqa: PLR0911 - one case for each action
    objects: Objects, action: Action, around: Surroundings
) -> Objects:
    """Return the objects after an Action, when the ReplicaSet controller has reacted to it.

    Raises:
        KeyError: The Action is about an object that is not there.
    """
    assert not isinstance(action, HoldAction), "only guarded workloads are held"
    match action:
        case CreateReplicaSet():
            return _put(objects, fill(_create(action, around), around))
        case AdoptReplicaSet(name):
            return _put(objects, replace(objects.replica_sets[name], owned=True))
        case ReleaseReplicaSet(name):
            return replace(objects, strays=_without(objects.strays, name))
        case ScaleReplicaSet(name, _, _, size, sized_for):
            found = replace(objects.replica_sets[name], size=size, sized_for=sized_for)
            return _put(objects, fill(found, around))
        case MarkCompleted(name, _, _, completed_at):
            return _put(objects, replace(objects.replica_sets[name], completed_at=completed_at))
        case PinImages(name, _, _, pinning):
            return _put(objects, _pin(objects.replica_sets[name], pinning))
        case DeleteReplicaSet(name):
            return replace(objects, replica_sets=_without(objects.replica_sets, name))
        case DeletePod(_, uid):
            return delete_pods(objects, {uid}, around)
        case SetAsidePod(name, uid, version, _, revision, ttl):
            kept = RetainedPod(name, uid, version, revision, around.now + ttl)
            objects = replace(objects, retained={**objects.retained, name: kept})
            return delete_pods(objects, {uid}, around)
        case DropPod(name):  # the last case
            return replace(objects, retained=_without(objects.retained, name))


def delete_pods(objects: Objects, uids: set[str], around: Surroundings) -> Objects:
    """Return the objects without these pods; their ReplicaSets have made new ones."""
    for found in objects.replica_sets.values():
        pods = tuple(pod for pod in found.pods if pod.uid not in uids)
        if len(pods) < len(found.pods):
            objects = _put(objects, fill(replace(found, pods=pods), around))
    return objects


def fill(found: ReplicaSetView, around: Surroundings) -> ReplicaSetView:
    """Return a ReplicaSet with as many live pods as its size, as its controller brings it there.

    Pods that have ended stay.
    """
    live = [pod for pod in found.pods if pod.live]
    staying = {pod.uid for pod in around.choose_staying(live, found.size)}
    made = [around.make_pod(found) for _ in range(found.size - len(live))]
    kept = (pod for pod in found.pods if pod.uid in staying or not pod.live)
    return replace(found, pods=(*kept, *made))


def _pin(found: ReplicaSetView, pinning: Pinning) -> ReplicaSetView:
    """Return a ReplicaSet with changed images; its pods stay as they are."""
    changed = {one.container for one in pinning.images}
    left = (pin for pin in found.pins if pin.container not in changed)
    return replace(found, pins=tuple(sorted((*left, *list_pins(pinning.images)), key=str)))


def _create(action: CreateReplicaSet, around: Surroundings) -> ReplicaSetView:
    return ReplicaSetView(
        name=action.name,
        uid=f"uid-{action.name}",
        revision=action.revision,
        template=around.template,
        size=action.size,
        resource_version="1",
        created_at=around.now,
        sized_for=action.sized_for,
        pins=list_pins(action.pinning.images),
    )


def _put(objects: Objects, found: ReplicaSetView) -> Objects:
    return replace(objects, replica_sets={**objects.replica_sets, found.name: found})


def _without(named: Mapping[str, _Named], name: str) -> dict[str, _Named]:
    left = dict(named)
    del left[name]
    return left
