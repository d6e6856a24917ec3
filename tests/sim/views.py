"""What the operator's decoder makes of an object: the frozen views of the core.

As in ``tripswitch.cluster.pods``: what changed before our eyes changed now, on our clock; only at the
first look at an object the times that its node wrote are taken. So a restart forgets times, and they may
come back different. Written once more here, so that the simulation stands on the core alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tests.sim.objects import RawGuarded, RawPod, RawSet
from tripswitch.domain.values.pods import ContainerRole, ContainerView, PodView
from tripswitch.domain.values.replica_sets import ReplicaSetView
from tripswitch.domain.values.snapshot import Guarded
from tripswitch.domain.values.time import Instant


@dataclass(frozen=True, slots=True)
class SeenPod:
    """A pod as it was delivered, and the view of it."""

    raw: RawPod
    view: PodView


def see_pod(raw: RawPod, before: SeenPod | None, now: Instant) -> SeenPod:
    """Return the view of a pod, ``before`` being the one of the last look at it."""
    view = PodView(
        name=raw.name,
        uid=raw.uid,
        resource_version=str(raw.version),
        created_at=min(raw.created, now),
        phase=raw.phase,
        reason=raw.reason,
        message=raw.message,
        deleting=raw.deleting,
        disrupted=raw.disrupted,
        ready_since=_ready_since(raw, before, now) if raw.ready else None,
        unready_since=None if raw.ready else _unready_since(raw, before, now),
        unready_by_node=raw.by_node,
        waiting_for=raw.waiting_for,
        node=raw.node,
        scheduled=bool(raw.node or raw.waiting_for),
        generation=raw.generation,
        containers=tuple(
            _see_container(one, raw, None if before is None else before.view.containers[index], now)
            for index, one in enumerate(raw.containers)
        ),
    )
    return SeenPod(raw, view)


def see_set(raw: RawSet, pods: tuple[PodView, ...], guard: str) -> ReplicaSetView:
    """Return the view of a ReplicaSet."""
    return ReplicaSetView(
        name=raw.name,
        uid=raw.uid,
        revision=raw.revision,
        template=raw.template,
        size=raw.size,
        pods=pods,
        resource_version=str(raw.version),
        created_at=raw.created,
        completed_at=raw.completed_at,
        owned=raw.guard == guard,
        deleting=raw.deleting,
        create_error=raw.create_error,
        sized_for=raw.sized_for,
    )


def see_guarded(raw: RawGuarded) -> Guarded:
    """Return the view of the GuardedDeployment."""
    return Guarded(
        name=raw.name,
        uid=raw.uid,
        generation=raw.generation,
        spec=raw.spec,
        status=raw.status,
        retry=raw.retry,
        stop=raw.stop,
    )


def _ready_since(raw: RawPod, before: SeenPod | None, now: Instant) -> Instant:
    if before is None:
        return _sane(raw.ready_written, raw, now)
    same = before.raw.ready_written == raw.ready_written
    if before.view.ready_since is not None and same:
        return before.view.ready_since
    return now


def _unready_since(raw: RawPod, before: SeenPod | None, now: Instant) -> Instant | None:
    if before is not None:
        if before.view.ready_since is not None:
            return now
        came_back = before.view.unready_by_node and not raw.by_node
        if came_back and before.view.unready_since is not None:
            return now
        return before.view.unready_since
    starts = [
        one.running_since
        for one in raw.containers
        if one.running_since is not None and one.role is not ContainerRole.INIT
    ]
    if not starts or raw.ready_written <= max(starts) + 1.0:
        return None
    return _sane(raw.ready_written, raw, now)


def _see_container(
    raw: ContainerView, pod: RawPod, before: ContainerView | None, now: Instant
) -> ContainerView:
    if raw.running_since is None:
        return raw
    same = before is not None and before.restarts == raw.restarts
    if before is None:
        since = _sane(raw.running_since, pod, now)
        started = now if pod.starts_slowly else since
    else:
        kept = before.running_since if same else None
        since = now if kept is None else kept
        known = before.started_since if same and before.started else None
        started = now if known is None else known
    return replace(raw, running_since=since, started_since=started if raw.started else None)


def _sane(written: Instant, raw: RawPod, now: Instant) -> Instant:
    """Never later than now and never earlier than the pod: clocks of nodes may be off."""
    return max(min(raw.created, now), min(written, now))
