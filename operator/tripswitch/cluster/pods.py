"""Raw pods -> the frozen views of the core. Tolerant: nothing that a pod contains raises.

Times. The clocks of nodes may be minutes off ours, and a health deadline must not be. So what changed
before our eyes (there was an earlier look at the same pod) changed *now*, on our clock; only at the
first look at a pod, after a restart of the operator, the pod's own times are taken, never later than
now and never earlier than the pod's creation (which is the API server's clock). A state that has not
changed keeps its time, so a view changes only when the pod does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tripswitch.api.times import parse_instant
from tripswitch.api.tolerant import field, mapping, objects, read_decimal, read_int, read_text
from tripswitch.cluster.containers import Look, see_containers
from tripswitch.cluster.marks import RETAINED_FOR, RETAINED_UNTIL, REVISION
from tripswitch.cluster.replicasets import find_controller
from tripswitch.domain.values.pods import ContainerRole, ContainerView, PodPhase, PodView
from tripswitch.domain.values.time import Instant

RESTARTING_ALL = "AllContainersRestarting"
"""The pod's condition while the kubelet ends all of its containers because one of them asked for it."""

CREATING = "ContainerCreating"
SETTING_UP = frozenset({CREATING, "PodInitializing"})
"""Waiting reasons behind which there is no fault yet: image, volumes or network are on their way."""


@dataclass(frozen=True, slots=True)
class SeenPod:
    """A pod's view, and whose it is.

    ``owner`` is the UID of its ReplicaSet, empty if it has none. ``ready_mark`` is the raw time of
    the last change of Ready: a change and back that nobody saw is a change, too. ``until`` is set
    of a pod that was set aside: its owner is the GuardedDeployment.
    """

    view: PodView
    namespace: str = ""
    owner: str = ""
    ready_mark: str = ""
    until: Instant | None = None
    revision: int = 0


def see_pod(raw: object, before: SeenPod | None, now: Instant) -> SeenPod:
    """Return the view of a pod.

    Args:
        raw: The pod as the API server sent it.
        before: What the last look at this pod (the same UID) returned, None at the first.
        now: The moment of this look.
    """
    metadata, status = mapping(field(raw, "metadata")), mapping(field(raw, "status"))
    created = min(parse_instant(metadata.get("creationTimestamp")) or 0.0, now)
    look = Look(now, created, first=before is None)
    conditions = {read_text(item.get("type")): item for item in objects(status.get("conditions"))}
    restarting = field(conditions.get(RESTARTING_ALL), "status") == "True"
    spec = mapping(field(raw, "spec"))
    known = {one.name: one for one in (() if before is None else before.view.containers)}
    containers = tuple(see_containers(spec, status, known, look, restarting=restarting))
    ready = mapping(conditions.get("Ready"))
    is_ready = ready.get("status") == "True"
    by_node = not is_ready and _is_taken_by_node(ready, conditions)
    view = PodView(
        name=read_text(metadata.get("name")),
        uid=read_text(metadata.get("uid")),
        resource_version=read_text(metadata.get("resourceVersion")),
        created_at=created,
        phase=_see_phase(status.get("phase")),
        reason=read_text(status.get("reason")),
        message=read_text(status.get("message")),
        deleting=bool(metadata.get("deletionTimestamp")),
        disrupted=field(conditions.get("DisruptionTarget"), "status") == "True",
        ready_since=_ready_since(ready, before, look) if is_ready else None,
        unready_since=None
        if is_ready
        else _unready_since(ready, status, before, look, by_node=by_node),
        unready_by_node=by_node,
        waiting_for=_see_waiting_for(conditions, containers),
        being_set_up=_is_being_set_up(conditions, containers),
        gated=bool(spec.get("readinessGates")),
        node=read_text(spec.get("nodeName")),
        scheduled=bool(spec.get("nodeName")) or "PodScheduled" in conditions,
        containers=containers,
        generation=read_int(metadata.get("generation")),
        ready_after=_measure_start(ready, spec, status, before) if is_ready else 0.0,
    )
    return SeenPod(
        view=view,
        namespace=read_text(metadata.get("namespace")),
        owner=read_text(field(find_controller(raw), "uid")),
        ready_mark=read_text(ready.get("lastTransitionTime")),
        until=_see_until(metadata, now),
        revision=read_decimal(field(metadata, "annotations", REVISION)),
    )


def _see_until(metadata: Mapping[str, Any], now: Instant) -> Instant | None:
    """Return until when a pod is set aside; one whose time makes no sense has had its time."""
    if RETAINED_FOR not in mapping(metadata.get("labels")):
        return None
    until = parse_instant(field(metadata, "annotations", RETAINED_UNTIL))
    return now if until is None else until


def _see_phase(phase: object) -> PodPhase:
    try:
        return PodPhase(read_text(phase))
    except ValueError:
        return PodPhase.UNKNOWN if phase else PodPhase.PENDING


def _ready_since(ready: Mapping[str, Any], before: SeenPod | None, look: Look) -> Instant:
    written = ready.get("lastTransitionTime")
    if before is not None and before.view.ready_since is not None:
        if before.ready_mark == read_text(written):
            return before.view.ready_since
        return look.now  # it was lost and came back while nobody looked
    return look.since(written)


def _measure_start(
    ready: Mapping[str, Any],
    spec: Mapping[str, Any],
    status: Mapping[str, Any],
    before: SeenPod | None,
) -> float:
    """Return how long a Ready pod took for it since its start, in seconds by its node's own clock.

    In an outage, or with a silent watch, nobody saw it start: by our clock it took no time then. The API does not say
    when a startup probe succeeded. Where the last look saw that, our clock knows better.
    """
    written = ready.get("lastTransitionTime")
    if before is not None and before.view.ready_since is not None:
        if before.ready_mark == read_text(written):
            return before.view.ready_after
    elif before is not None and any(
        field(one, "startupProbe") for one in objects(spec.get("containers"))
    ):
        lasting = [one for one in before.view.containers if one.role is not ContainerRole.INIT]
        if lasting and all(one.started for one in lasting):
            return 0.0
    began, came = _latest_start(status), parse_instant(written)
    return 0.0 if began is None or came is None else max(0.0, came - began)


def _unready_since(
    ready: Mapping[str, Any],
    status: Mapping[str, Any],
    before: SeenPod | None,
    look: Look,
    *,
    by_node: bool,
) -> Instant | None:
    """Return when a pod that was Ready lost it; None if it never was Ready, as far as one can tell.

    At the first look there is only the pod to ask. The kubelet writes Ready=False when it begins
    with a pod and does not touch its time until Ready changes. So a time later than the start of
    every container means that it had been True. (One that restarted since is judged from that start
    anyway.) Both times are of the same clock. Guessing wrong costs a little patience, no pod.
    """
    written = ready.get("lastTransitionTime")
    if before is None:
        lost, started = parse_instant(written), _latest_start(status)
        if lost is None or started is None or lost <= started + 1.0:
            return None
        return look.since(written)
    view = before.view
    if view.ready_since is not None:
        return look.now
    if view.unready_by_node and view.unready_since is not None and not by_node:
        return look.now  # its node reports again: the budget begins here, not when it was lost
    return view.unready_since


def _latest_start(status: Mapping[str, Any]) -> Instant | None:
    listed = objects(status.get("containerStatuses"))
    starts = [parse_instant(field(one, "state", "running", "startedAt")) for one in listed]
    return max((start for start in starts if start is not None), default=None)


def _is_taken_by_node(ready: Mapping[str, Any], conditions: Mapping[str, Any]) -> bool:
    """The kubelet says Ready=False of ready containers only for the sake of readiness gates."""
    containers_ready = field(conditions.get("ContainersReady"), "status") == "True"
    gated = ready.get("reason") == "ReadinessGatesNotReady"
    return ready.get("status") == "False" and containers_ready and not gated


def _see_waiting_for(conditions: Mapping[str, Any], containers: tuple[ContainerView, ...]) -> str:
    scheduled = mapping(conditions.get("PodScheduled"))
    if scheduled.get("status") == "False":
        reason = read_text(scheduled.get("reason")) or "Unschedulable"
        words = read_text(scheduled.get("message"))
        return read_text(f"{reason}: {words}" if words else reason)
    if not _is_being_set_up(conditions, containers):
        return ""
    creating = next(one for one in containers if one.waiting == CREATING)
    words = creating.message or "its image, volumes or network are not ready yet"
    return read_text(f"{CREATING}: {words}")


def _is_being_set_up(conditions: Mapping[str, Any], containers: tuple[ContainerView, ...]) -> bool:
    """Return whether a pod has a node, and its containers wait for nothing but what that node prepares."""
    if field(conditions.get("PodScheduled"), "status") == "False":
        return False
    waiting = {container.waiting for container in containers if container.waiting is not None}
    return CREATING in waiting and waiting <= SETTING_UP
