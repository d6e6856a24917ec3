"""Raw containers of a pod -> the frozen views of the core. Tolerant: nothing that a pod contains raises."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tripswitch.api.template import compute_probe_budget
from tripswitch.api.times import parse_instant
from tripswitch.api.tolerant import field, mapping, objects, read_int, read_text
from tripswitch.cluster.container_spec import (
    asks_to_restart_all,
    can_restart_all,
    may_complete,
    restarts_on_resize,
)
from tripswitch.domain.rules.ended_runs import RESTARTED_ALL
from tripswitch.domain.values.pods import ContainerRole, ContainerView, Ended
from tripswitch.domain.values.time import Instant


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a pod: the clocks, and whether it is the first one at this pod."""

    now: Instant
    created: Instant
    """When the pod was created."""
    first: bool

    def since(self, written: object) -> Instant:
        """Return when a state began that the last look, if there was one, did not see."""
        if not self.first:
            return self.now
        return max(self.created, min(parse_instant(written) or self.now, self.now))


def see_containers(
    spec: Mapping[str, Any],
    status: Mapping[str, Any],
    before: Mapping[str, ContainerView],
    look: Look,
    *,
    restarting: bool,
) -> Iterator[ContainerView]:
    """Yield every container of a pod, with or without a status; ephemeral ones are left out.

    Args:
        spec: The pod's.
        status: The pod's.
        before: What the last look at this pod saw, by name.
        look: This look.
        restarting: The kubelet is ending all containers because one of them asked for it.
    """
    specs = _list_by_name(spec, "initContainers", "containers")
    statuses = _list_by_name(status, "initContainerStatuses", "containerStatuses")
    causes = [name for name, one in specs.items() if can_restart_all(one)]
    for name, role in _find_roles(spec, status).items():
        own = specs.get(name, {})
        seen = _see_container(name, role, statuses.get(name), before.get(name), look)
        slow = bool(own.get("startupProbe"))
        yield replace(
            seen,
            ended=_see_victim(own, seen.ended) if restarting else seen.ended,
            started_since=_started_since(seen, before.get(name), look, slow=slow),
            readiness_budget=compute_probe_budget(own.get("readinessProbe")),
            image=sys.intern(read_text(own.get("image"))),
            may_complete=may_complete(own),
            restarts_pod=causes == [name],
            resize_restarts=restarts_on_resize(own),
        )


def _list_by_name(parent: Mapping[str, Any], *lists: str) -> dict[str, Mapping[str, Any]]:
    """Return the items of some lists of a pod's spec or status by their names."""
    return {read_text(one.get("name")): one for name in lists for one in objects(parent.get(name))}


def _find_roles(spec: Mapping[str, Any], status: Mapping[str, Any]) -> dict[str, ContainerRole]:
    """Return how the kubelet treats each container by name; one that only the status has comes last."""
    roles = {
        name: ContainerRole.SIDECAR if one.get("restartPolicy") == "Always" else ContainerRole.INIT
        for name, one in _list_by_name(spec, "initContainers").items()
    }
    roles |= dict.fromkeys(_list_by_name(spec, "containers"), ContainerRole.APP)
    for name in _list_by_name(status, "initContainerStatuses"):
        roles.setdefault(name, ContainerRole.INIT)
    for name in _list_by_name(status, "containerStatuses"):
        roles.setdefault(name, ContainerRole.APP)
    return roles


def _see_victim(own: Mapping[str, Any], ended: Ended | None) -> Ended | None:
    """While all containers are being restarted: tell an end that caused it from those that it causes."""
    if ended is None or asks_to_restart_all(own, ended.exit_code):
        return ended
    return replace(ended, reason=RESTARTED_ALL)


def _started_since(
    container: ContainerView, before: ContainerView | None, look: Look, *, slow: bool
) -> Instant | None:
    """Return when a container became ``started``.

    The API does not say when a startup probe succeeded. At the first look the pod gets patience: its
    health deadline must not have passed before its readiness probe was even asked.
    """
    if not container.started:
        return None
    if look.first:
        return look.now if slow else container.running_since
    same = before is not None and before.started and before.restarts == container.restarts
    return before.started_since if before is not None and same else look.now


def _see_container(
    name: str,
    role: ContainerRole,
    raw: Mapping[str, Any] | None,
    before: ContainerView | None,
    look: Look,
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
