"""Refuses worlds that Kubernetes could not produce: a counterexample in one of them would be worthless.

Checked at every write of the simulated cluster, and for every snapshot that a property makes up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tests.sim.objects import RawPod, RawSet
from tripswitch.domain.values.pods import ContainerRole, ContainerView, PodPhase, PodView
from tripswitch.domain.values.replica_sets import ReplicaSetView
from tripswitch.domain.values.snapshot import Snapshot
from tripswitch.domain.values.status import Status

OVER = frozenset({PodPhase.FAILED, PodPhase.SUCCEEDED})


class ImpossibleWorldError(AssertionError):
    """No Kubernetes cluster looks like this: a bug of the simulation."""


def compute_phase(containers: Sequence[ContainerView]) -> PodPhase:
    """Return the phase as the kubelet derives it from the containers (``getPhase``, restarts always)."""
    inits = [c for c in containers if c.role is ContainerRole.INIT]
    if not all(c.ended is not None and c.ended.exit_code == 0 for c in inits):
        return PodPhase.PENDING
    apps = [c for c in containers if c.role is ContainerRole.APP]
    if any(c.running_since is None and c.ended is None and c.last_ended is None for c in apps):
        return PodPhase.PENDING
    return PodPhase.RUNNING


def check_pod_change(old: RawPod | None, new: RawPod) -> None:
    """Refuse a version of a pod that could not follow the one before."""
    found = list(_pod(new))
    if old is None:
        if new.node or new.deleting or new.ready or new.phase is not PodPhase.PENDING:
            found.append("begins in the middle of its life")
    elif not found:
        found += _pod_change(old, new)
    _refuse(f"pod {new.name}", found)


def check_set_change(old: RawSet | None, new: RawSet) -> None:
    """Refuse a version of a ReplicaSet that could not follow the one before."""
    found = []
    if new.size < 0:
        found.append("has a negative size")
    if old is not None:
        renumbered = old.revision != new.revision and old.deployed is None
        if (old.name, old.template) != (new.name, new.template) or renumbered:
            found.append("became another one")
        if old.deleting and not new.deleting:
            found.append("came back to life")
        if new.version <= old.version:
            found.append("went back in time")
    _refuse(f"ReplicaSet {new.name}", found)


def check_status_change(old: Status, new: Status) -> None:
    """Refuse a status that would not come back from the API server as it was written."""
    before, after = old.memory, new.memory
    rollout = after.rollout
    times = [condition.last_transition_time for condition in after.conditions]
    times += [t.since for c in after.circuit_breaker.counted for t in c.containers if t.since]
    times += [record.created_at for record in after.revisions]
    if rollout is not None:
        given = (rollout.started_at, rollout.finished_at, rollout.paused_at, rollout.progressed_at)
        times += [at for at in given if at is not None]
    found = [f"has a time finer than a millisecond: {at!r}" for at in times if round(at, 3) != at]
    if after.observed_generation < before.observed_generation:
        found.append("saw a younger generation before")
    _refuse("status", found)


def check_snapshot(snapshot: Snapshot) -> None:
    """Refuse a made-up snapshot that no cluster shows."""
    sets = snapshot.replica_sets
    found = []
    if len({rs.name for rs in sets}) < len(sets) or len({rs.uid for rs in sets}) < len(sets):
        found.append("has two ReplicaSets of one name or UID")
    uids = [pod.uid for rs in sets for pod in rs.pods]
    if len(set(uids)) < len(uids):
        found.append("has two pods of one UID")
    for rs in sets:
        found += [f"{pod.name}: {words}" for pod in rs.pods for words in _view(pod)]
        found += _set_view(rs)
    _refuse("snapshot", found)


def _pod(pod: RawPod) -> Iterator[str]:
    yield from _containers(pod.containers)
    if len(pod.ledger) != len(pod.containers):
        yield "has a ledger for other containers"
    begun = [c for c in pod.containers if _has_begun(c)]
    if begun and not pod.node:
        yield "runs nowhere"
    if pod.phase not in OVER and pod.phase is not compute_phase(pod.containers):
        yield f"is {pod.phase} with containers {pod.containers}"
    up = _all_up(pod.containers)
    if pod.ready and not (up and pod.phase is PodPhase.RUNNING and not pod.by_node):
        yield "is Ready and not running"
    if pod.ready is not (pod.ready_really is not None):
        yield "is Ready since never"
    if pod.by_node and not up:
        yield "is taken for lost, and was not up"


def _pod_change(old: RawPod, new: RawPod) -> Iterator[str]:
    if new.version <= old.version:
        yield "went back in time"
    if (old.uid, old.name, old.created) != (new.uid, new.name, new.created):
        yield "became another one"
    if old.deleting and not new.deleting:
        yield "came back to life"
    if old.phase in OVER and new.phase is not old.phase:
        yield "went on after its end"
    if old.disrupted and not new.disrupted:
        yield "was disrupted and is not"
    if old.node not in ("", new.node):
        yield "moved to another node"
    if any(before > after for before, after in zip(old.ledger, new.ledger, strict=True)):
        yield "undid a failure"
    for before, after in zip(old.containers, new.containers, strict=True):
        if before.restarts > after.restarts:
            yield f"container {before.name} undid a restart"
        if before.last_ended is not None and after.last_ended is None:
            yield f"container {before.name} forgot its end"


def _containers(containers: Iterable[ContainerView]) -> Iterator[str]:
    inits_done = True
    for one in containers:
        states = (one.waiting is not None, one.running_since is not None, one.ended is not None)
        if sum(states) > 1:
            yield f"container {one.name} is in two states"
        if one.started and one.running_since is None:
            yield f"container {one.name} is started and not running"
        if one.restarts and one.last_ended is None:
            yield f"container {one.name} was restarted and never ended"
        if (one.running_since is not None or one.ended is not None) and not inits_done:
            yield f"container {one.name} began before its time"
        if one.role is ContainerRole.INIT:
            inits_done = inits_done and one.ended is not None and one.ended.exit_code == 0


def _view(pod: PodView) -> Iterator[str]:
    yield from _containers(pod.containers)
    if pod.phase not in OVER and pod.phase is not compute_phase(pod.containers):
        yield f"is {pod.phase}"
    if pod.ready_since is not None and not (
        _all_up(pod.containers) and pod.phase is PodPhase.RUNNING
    ):
        yield "is Ready and not running"
    if pod.ready_since is not None and (pod.unready_since is not None or pod.unready_by_node):
        yield "is Ready and not"
    if pod.unready_by_node and not _all_up(pod.containers):
        yield "is taken for lost, and was not up"


def _set_view(rs: ReplicaSetView) -> Iterator[str]:
    if rs.size < 0:
        yield f"{rs.name} has a negative size"
    if rs.completed_at is not None and rs.completed_at < rs.created_at:
        yield f"{rs.name} was completed before it was created"


def _has_begun(container: ContainerView) -> bool:
    return (
        container.running_since is not None
        or container.ended is not None
        or container.last_ended is not None
        or container.restarts > 0
    )


def _all_up(containers: Iterable[ContainerView]) -> bool:
    return all(
        container.running_since is not None and container.started
        for container in containers
        if container.role is not ContainerRole.INIT
    )


def _refuse(what: str, found: list[str]) -> None:
    if found:
        raise ImpossibleWorldError(f"{what}: {'; '.join(found)}")
