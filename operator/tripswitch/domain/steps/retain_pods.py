"""``failedPodRetention``: failing pods that would be scaled away are set aside for a look.

A pod is set aside only when the ReplicaSet of a revision that failed is lowered anyway, and before it
is: so the pod that the ReplicaSet may make in its place, until it is lowered, takes a place that is
being given up. It belongs to no ReplicaSet any more: it is not live, not healthy and never counted. The
newest ``count`` are kept, each until its time; what is more, or older, is deleted.
"""

from __future__ import annotations

from collections.abc import Mapping

from tripswitch.domain.rules.ended_runs import compute_ended_runs
from tripswitch.domain.rules.failure_reasons import CANNOT_START
from tripswitch.domain.steps.draft import Draft
from tripswitch.domain.values.decision import Action, DropPod, SetAsidePod
from tripswitch.domain.values.memory import Revision
from tripswitch.domain.values.pods import PodView
from tripswitch.domain.values.replica_sets import ReplicaSetView
from tripswitch.domain.values.states import RolloutState


def retain_pods(draft: Draft, sizes: Mapping[str, int]) -> tuple[Draft, tuple[Action, ...]]:
    """Return which pods to set aside and which to let go, and wake when the next one's time is up.

    ``sizes`` are those that the ReplicaSets are about to get, by name.
    """
    aside = [
        action
        for rs in draft.snapshot.replica_sets
        for action in _set_aside(draft, rs, rs.size - sizes.get(rs.name, rs.size))
    ]
    kept = max(0, draft.spec.retention.count - len(aside))
    there = sorted(
        (pod for pod in draft.snapshot.retained if not pod.deleting),
        key=lambda pod: (-pod.until, pod.name),
    )
    gone = [
        DropPod(pod.name, pod.uid, pod.resource_version)
        for number, pod in enumerate(there)
        if number >= kept or pod.until <= draft.now
    ]
    for pod in there:
        draft = draft.wake(pod.until)
    return draft, (*aside, *gone)


def _set_aside(draft: Draft, rs: ReplicaSetView, leaving: int) -> list[SetAsidePod]:
    """Return which failing pods of a failed revision are kept, of the ``leaving`` that are scaled away."""
    record = next((r for r in draft.memory.revisions if r.replica_set == rs.name), None)
    if (
        record is None
        or record.rollout_state is not RolloutState.FAILED
        or not rs.owned
        or rs.deleting
        or draft.snapshot.retention_refused
    ):
        return []
    already = sum(
        pod.revision == record.revision and pod.until > draft.now and not pod.deleting
        for pod in draft.snapshot.retained
    )
    room = min(draft.spec.retention.count - already, leaving)
    ttl = draft.spec.retention.ttl
    return [
        SetAsidePod(pod.name, pod.uid, pod.resource_version, rs.uid, record.revision, ttl)
        for pod in _select(draft, rs, record)[: max(0, room)]
    ]


def _select(draft: Draft, rs: ReplicaSetView, record: Revision) -> list[PodView]:
    """Return the failing pods; those that the records of failures name come first."""
    named = {
        name
        for failure in draft.memory.circuit_breaker.failures
        if failure.revision == record.revision
        for name in (failure.pod, failure.evidence.pod if failure.evidence else failure.pod)
    }
    failing = [pod for pod in rs.pods if _is_failing(pod)]
    return sorted(failing, key=lambda pod: (pod.name not in named, pod.name))


def _is_failing(pod: PodView) -> bool:
    """Whether a pod is on a node, not Ready, and has begun to show what is wrong with it."""
    if not pod.live or not pod.node or pod.disrupted or pod.ready_since is not None:
        return False
    return any(
        container.running_since is not None
        or container.waiting in CANNOT_START
        or compute_ended_runs(container) > 0
        for container in pod.containers
    )
