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
from tripswitch.domain.rules.pulls import is_bare_back_off
from tripswitch.domain.values.pods import ContainerRole, ContainerView, Ended
from tripswitch.domain.values.time import Instant

PULL_FAILED = frozenset({"ErrImagePull", "RegistryUnavailable"})
"""Waiting reasons whose message says why a pull failed."""


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


@dataclass(frozen=True, slots=True)
class _Run:
    """What the status says of one container; its fields are those of :class:`ContainerView`."""

    restarts: int = 0
    waiting: str | None = None
    message: str = ""
    running_since: Instant | None = None
    started: bool = False
    ended: Ended | None = None
    last_ended: Ended | None = None
    device_unhealthy: bool = False
    image_id: str = ""


_NO_STATUS = _Run()


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
    inits, apps = _find_by_name(spec, "initContainers"), _find_by_name(spec, "containers")
    init_statuses = _find_by_name(status, "initContainerStatuses")
    specs, statuses = inits | apps, init_statuses | _find_by_name(status, "containerStatuses")
    roles = {name: _see_init_role(one) for name, one in inits.items()}
    roles |= dict.fromkeys(apps, ContainerRole.APP)
    for name in statuses:  # one that only the status has comes last
        roles.setdefault(name, ContainerRole.INIT if name in init_statuses else ContainerRole.APP)
    causes = [name for name, one in specs.items() if can_restart_all(one)]
    for name, role in roles.items():
        own, known = specs.get(name, {}), before.get(name)
        run = _see_run(statuses.get(name), known, look)
        if restarting and run.ended is not None:
            run = replace(run, ended=_see_victim(own, run.ended))
        yield ContainerView(
            name=name,
            role=role,
            restarts=run.restarts,
            waiting=run.waiting,
            message=run.message,
            running_since=run.running_since,
            started=run.started,
            started_since=_started_since(run, known, look, slow=bool(own.get("startupProbe"))),
            ended=run.ended,
            last_ended=run.last_ended,
            readiness_budget=compute_probe_budget(own.get("readinessProbe")),
            may_complete=may_complete(own),
            restarts_pod=causes == [name],
            resize_restarts=restarts_on_resize(own),
            device_unhealthy=run.device_unhealthy,
            image=sys.intern(read_text(own.get("image"))),
            image_id=run.image_id,
        )


def _find_by_name(parent: Mapping[str, Any], listed: str) -> dict[str, Mapping[str, Any]]:
    """Return the items of a list of a pod's spec or status by their names."""
    return {read_text(one.get("name")): one for one in objects(parent.get(listed))}


def _see_init_role(spec: Mapping[str, Any]) -> ContainerRole:
    sidecar = spec.get("restartPolicy") == "Always"
    return ContainerRole.SIDECAR if sidecar else ContainerRole.INIT


def _see_victim(own: Mapping[str, Any], ended: Ended) -> Ended:
    """While all containers are being restarted: tell an end that caused it from those that it causes."""
    if asks_to_restart_all(own, ended.exit_code):
        return ended
    return replace(ended, reason=RESTARTED_ALL)


def _started_since(
    container: _Run, before: ContainerView | None, look: Look, *, slow: bool
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


def _see_run(raw: Mapping[str, Any] | None, before: ContainerView | None, look: Look) -> _Run:
    if raw is None:
        return _NO_STATUS
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
    return _Run(
        restarts=restarts,
        # A status without a state is one that waits, by the API's own definition.
        waiting=None if is_running or ended else read_text(waiting.get("reason")),
        message=_see_message(waiting, before),
        running_since=since,
        started=is_running and raw.get("started") is not False,  # older servers do not say
        ended=None if is_running else ended,
        last_ended=_see_end(field(raw, "lastState", "terminated")),
        device_unhealthy=_has_unhealthy_device(raw),
        image_id=sys.intern(read_text(raw.get("imageID"))),
    )


def _see_message(waiting: Mapping[str, Any], before: ContainerView | None) -> str:
    """Return what a container waits for, in the words of a kubelet of Kubernetes 1.32.

    Older ones do not repeat while they back off why the pull failed. The looks before may have shown it.
    """
    message = read_text(waiting.get("message"))
    if before is None or not is_bare_back_off(message):
        return message
    if before.waiting in PULL_FAILED:
        return read_text(f"{message}: {before.waiting}: {before.message}")
    return before.message if before.message.startswith(message) else message


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
