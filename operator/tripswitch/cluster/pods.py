"""Raw pods -> the frozen views of the core. Tolerant: nothing that a pod contains raises.

Times. The clocks of nodes may be minutes off ours, and a health deadline must not be. So what changed
before our eyes (there was an earlier look at the same pod) changed *now*, on our clock; only at the
first look at a pod, after a restart of the operator, the pod's own times are taken, never later than
now and never earlier than the pod's creation (which is the API server's clock). A state that has not
changed keeps its time, so a view changes only when the pod does.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tripswitch.api.template import compute_probe_budget
from tripswitch.api.times import parse_instant
from tripswitch.api.tolerant import field, mapping, objects, read_decimal, read_int, read_text
from tripswitch.cluster.container_spec import (
    asks_to_restart_all,
    can_restart_all,
    may_complete,
    restarts_on_resize,
)
from tripswitch.cluster.marks import RETAINED_FOR, RETAINED_UNTIL, REVISION
from tripswitch.cluster.replicasets import find_controller
from tripswitch.domain.rules.ended_runs import RESTARTED_ALL
from tripswitch.domain.values.pods import ContainerRole, ContainerView, Ended, PodPhase, PodView
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


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at a pod: what the last one saw (None at the first), and the clocks."""

    before: SeenPod | None
    created: Instant
    now: Instant

    def since(self, written: object) -> Instant:
        """Return when a state began that the last look, if there was one, did not see."""
        if self.before is not None:
            return self.now
        return max(self.created, min(parse_instant(written) or self.now, self.now))


def see_pod(raw: object, before: SeenPod | None, now: Instant) -> SeenPod:
    """Return the view of a pod.

    Args:
        raw: The pod as the API server sent it.
        before: What the last look at this pod (the same UID) returned, None at the first.
        now: The moment of this look.
    """
    metadata, status = mapping(field(raw, "metadata")), mapping(field(raw, "status"))
    created = min(parse_instant(metadata.get("creationTimestamp")) or 0.0, now)
    look = _Look(before, created, now)
    conditions = {read_text(item.get("type")): item for item in objects(status.get("conditions"))}
    restarting = field(conditions.get(RESTARTING_ALL), "status") == "True"
    spec = mapping(field(raw, "spec"))
    containers = tuple(_see_containers(spec, status, look, restarting=restarting))
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
        ready_since=_ready_since(ready, look) if is_ready else None,
        unready_since=None if is_ready else _unready_since(ready, status, look, by_node=by_node),
        unready_by_node=by_node,
        waiting_for=_see_waiting_for(conditions, containers),
        being_set_up=_is_being_set_up(conditions, containers),
        gated=bool(field(raw, "spec", "readinessGates")),
        node=read_text(field(raw, "spec", "nodeName")),
        scheduled=bool(field(raw, "spec", "nodeName")) or "PodScheduled" in conditions,
        containers=containers,
        generation=read_int(metadata.get("generation")),
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


def _ready_since(ready: Mapping[str, Any], look: _Look) -> Instant:
    written = ready.get("lastTransitionTime")
    before = look.before
    if before is not None and before.view.ready_since is not None:
        if before.ready_mark == read_text(written):
            return before.view.ready_since
        return look.now  # it was lost and came back while nobody looked
    return look.since(written)


def _unready_since(
    ready: Mapping[str, Any], status: Mapping[str, Any], look: _Look, *, by_node: bool
) -> Instant | None:
    """Return when a pod that was Ready lost it; None if it never was Ready, as far as one can tell.

    At the first look there is only the pod to ask. The kubelet writes Ready=False when it begins
    with a pod and does not touch its time until Ready changes. So a time later than the start of
    every container means that it had been True. (One that restarted since is judged from that start
    anyway.) Both times are of the same clock. Guessing wrong costs a little patience, no pod.
    """
    written = ready.get("lastTransitionTime")
    if look.before is None:
        lost, started = parse_instant(written), _latest_start(status)
        if lost is None or started is None or lost <= started + 1.0:
            return None
        return look.since(written)
    view = look.before.view
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


def _see_containers(
    spec: Mapping[str, Any], status: Mapping[str, Any], look: _Look, *, restarting: bool
) -> Iterator[ContainerView]:
    """Every container of the spec, with or without a status; ephemeral ones are left out."""
    specs: dict[str, Mapping[str, Any]] = {}
    roles: dict[str, ContainerRole] = {}
    statuses: dict[str, Mapping[str, Any]] = {}
    for listed, role in (("initContainers", ContainerRole.INIT), ("containers", ContainerRole.APP)):
        for one in objects(spec.get(listed)):
            lasting = role is ContainerRole.INIT and one.get("restartPolicy") == "Always"
            specs[read_text(one.get("name"))] = one
            roles[read_text(one.get("name"))] = ContainerRole.SIDECAR if lasting else role
    for listed, role in (
        ("initContainerStatuses", ContainerRole.INIT),
        ("containerStatuses", ContainerRole.APP),
    ):
        for one in objects(status.get(listed)):
            statuses[read_text(one.get("name"))] = one
            roles.setdefault(read_text(one.get("name")), role)
    known = () if look.before is None else look.before.view.containers
    before = {container.name: container for container in known}
    slow = {name for name, one in specs.items() if one.get("startupProbe")}
    causes = [name for name, one in specs.items() if can_restart_all(one)]
    for name, role in roles.items():
        own = specs.get(name, {})
        seen = _see_container(name, role, statuses.get(name), before.get(name), look)
        ended = _see_victim(own, seen.ended) if restarting else seen.ended
        yield replace(
            seen,
            ended=ended,
            started_since=_started_since(seen, before.get(name), look, slow),
            readiness_budget=compute_probe_budget(own.get("readinessProbe")),
            image=sys.intern(read_text(own.get("image"))),
            may_complete=may_complete(own),
            restarts_pod=causes == [name],
            resize_restarts=restarts_on_resize(own),
        )


def _see_victim(own: Mapping[str, Any], ended: Ended | None) -> Ended | None:
    """While all containers are being restarted: tell an end that caused it from those that it causes."""
    if ended is None or asks_to_restart_all(own, ended.exit_code):
        return ended
    return replace(ended, reason=RESTARTED_ALL)


def _started_since(
    container: ContainerView, before: ContainerView | None, look: _Look, slow: set[str]
) -> Instant | None:
    """Return when a container became ``started``.

    The API does not say when a startup probe succeeded. At the first look the pod gets patience: its
    health deadline must not have passed before its readiness probe was even asked.
    """
    if not container.started:
        return None
    if look.before is None:
        return look.now if container.name in slow else container.running_since
    same = before is not None and before.started and before.restarts == container.restarts
    return before.started_since if before is not None and same else look.now


def _see_container(
    name: str,
    role: ContainerRole,
    raw: Mapping[str, Any] | None,
    before: ContainerView | None,
    look: _Look,
) -> ContainerView:
    if raw is None:
        return ContainerView(name, role)
    restarts = max(0, read_int(raw.get("restartCount")))
    state = mapping(raw.get("state"))
    running, ended = state.get("running"), _see_end(state.get("terminated"))
    waiting = mapping(state.get("waiting"))
    is_running = isinstance(running, dict)
    since: Instant | None = None
    if is_running:
        same = before is not None and before.restarts == restarts
        kept = before.running_since if before is not None and same else None
        since = kept if kept is not None else look.since(field(running, "startedAt"))
    return ContainerView(
        name=name,
        role=role,
        restarts=restarts,
        # A status without a state is one that waits, by the API's own definition.
        waiting=None if is_running or ended else read_text(waiting.get("reason")),
        message=read_text(waiting.get("message")),
        running_since=since,
        started=is_running and raw.get("started") is not False,  # older servers do not say
        ended=None if is_running else ended,
        last_ended=_see_end(field(raw, "lastState", "terminated")),
        device_unhealthy=_has_unhealthy_device(raw),
        image_id=sys.intern(read_text(raw.get("imageID"))),
    )


def _has_unhealthy_device(raw: Mapping[str, Any]) -> bool:
    return any(
        device.get("health") == "Unhealthy"
        for allocated in objects(raw.get("allocatedResourcesStatus"))
        for device in objects(allocated.get("resources"))
    )


def _see_end(terminated: object) -> Ended | None:
    if not isinstance(terminated, dict):
        return None
    return Ended(
        exit_code=read_int(terminated.get("exitCode")),
        reason=read_text(terminated.get("reason")),
        signal=read_int(terminated.get("signal")),
        message=read_text(terminated.get("message")),
        seconds=_see_length(terminated),
    )


def _see_length(terminated: Mapping[str, Any]) -> float:
    began = parse_instant(terminated.get("startedAt"))
    finished = parse_instant(terminated.get("finishedAt"))
    return 0.0 if began is None or finished is None else max(0.0, finished - began)
