"""Rules G4 and G5 as actions: what is still missing on a workload that is held, or that is let go.

The order of a Deployment's trip is fixed: pause, conditions, raise the good ReplicaSet, lower the failed
one. A paused Deployment with one ReplicaSet above 0 keeps that one at ``replicas``, so lowering the
failed one first could make the controller raise it again. Only where U leaves no room for all good pods
the failed one is lowered first (ADR 24). The controller may still act on an older view; sizes are compared
at every look until they hold.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from tripswitch.domain.rules import rollout_states
from tripswitch.domain.rules.bounds import Bounds, compute_bounds
from tripswitch.domain.rules.pod_counts import PodCounts
from tripswitch.domain.rules.scaling import roll
from tripswitch.domain.rules.workloads import bears_hold, build_mark, is_held, is_stopped
from tripswitch.domain.steps.draft import Draft
from tripswitch.domain.values.decision import Action, DeletePod
from tripswitch.domain.values.hold_actions import (
    DisownFields,
    HoldAction,
    HoldWorkload,
    ReleaseWorkload,
    ReportTrip,
    ResizeRevision,
    WithdrawReport,
)
from tripswitch.domain.values.pods import PodView
from tripswitch.domain.values.protection import Hold, HoldState, Mode, Workload, WorkloadKind
from tripswitch.domain.values.states import RolloutKind, RolloutStatus
from tripswitch.domain.values.workload import Recreate

ORDINAL = re.compile(r"-(\d{1,9})$")
"""The end of the name of a StatefulSet's pod."""


def plan_hold(draft: Draft) -> list[Action]:
    """Return what is to be written on the workload and on what it owns, in order."""
    hold, protected = draft.memory.hold, draft.snapshot.protected
    if protected is None or protected.protection.mode is Mode.OBSERVE:
        return []  # G7
    if hold is None or hold.state is HoldState.RELEASING:
        return _plan_release(draft)
    if is_stopped(draft.workload) and not bears_hold(draft.workload):
        return []  # G6: a person's pause
    return [*_plan_stop(draft, hold), *_plan_pods(draft)]


def _plan_release(draft: Draft) -> list[Action]:
    """G5: change back what is still as the hold left it; a mark on its own is only taken away.

    Without a hold, the mark of a breaker that is gone stays on a workload that is still paused: it says how
    to go on (G9).
    """
    one, held = draft.workload, draft.memory.hold is not None
    stale = held and one.paused_by_others
    actions: list[Action] = [*release(one, resume=held and bears_hold(one), stale=stale)]
    if actions or not held or one.owned is None:
        return actions
    return [DisownFields(one.kind, one.name, one.uid, one.resource_version, one.owned)]


def release(one: Workload, *, resume: bool, stale: bool = False) -> list[HoldAction]:
    """Return how a workload is let go.

    ``resume``: its pause or partition is that of a hold. ``stale``: its pause is another's, and its mark
    goes all the same.
    """
    where = (one.kind, one.name, one.uid, one.resource_version)
    actions: list[HoldAction] = []
    if one.mark is not None and (resume or stale or not is_stopped(one)):
        actions.append(ReleaseWorkload(*where, resume=resume, partition=one.mark.partition))
    if one.stalled and (actions or one.mark is None):
        actions.append(WithdrawReport(*where))
    return actions


def _plan_stop(draft: Draft, hold: Hold) -> list[Action]:
    """Stop the workload's controller from going on, and say so in the workload's own conditions."""
    one, breaker = draft.workload, draft.snapshot.guarded.uid
    where = (one.kind, one.name, one.uid, one.resource_version)
    actions: list[Action] = []
    if not is_held(one, breaker):
        actions.append(
            HoldWorkload(*where, build_mark(one, hold.failed, breaker, _find_good(draft)))
        )
    told = one.stalled and (one.deadline_exceeded or one.kind is WorkloadKind.STATEFUL_SET)
    if not told:
        record = draft.record(draft.memory.desired_revision)
        assert record is not None, "a failed revision that history does not know"
        words = record.message or draft.rollout.message
        actions.append(ReportTrip(*where, f"revision {record.revision} failed: {words}"))
    return actions


def _find_good(draft: Draft) -> str:
    record = draft.record(draft.rollout.revision)
    goes_back = record is not None and draft.rollout.kind is RolloutKind.ROLLBACK
    return record.replica_set if goes_back and record is not None else ""


def _plan_pods(draft: Draft) -> list[Action]:
    """Bring the last completed revision back, unless there is no rollback or a person stopped it (C2)."""
    rollout = draft.rollout
    stopped = rollout.status is RolloutStatus.STOPPED
    if rollout.kind is not RolloutKind.ROLLBACK or stopped or draft.target is None:
        return []
    if draft.workload.kind is WorkloadKind.DEPLOYMENT:
        return _plan_sizes(draft)
    return _plan_deletions(draft)


def _plan_sizes(draft: Draft) -> list[Action]:
    """G4: first the good ReplicaSet up to ``replicas``, then the others down within L (B2), as far as U allows.

    One that has its size already, decided for other ``replicas``, is written too: the Deployment would
    never roll out again.
    """
    target, replicas = draft.counts_of(draft.rollout.revision), draft.spec.replicas
    others = [counts for name, counts in draft.counts.items() if name != target.name]
    lower = compute_bounds(draft.spec.strategy, replicas).lower
    if isinstance(draft.spec.strategy, Recreate):
        lower = 0
    upper = replicas + sum(counts.occupied for counts in (target, *others))  # nothing is held back
    planned = roll(target, others, replicas, Bounds(lower, upper), recreate=False)
    most = max(replicas, compute_bounds(draft.spec.strategy, replicas).upper)
    sizes = _fit({**planned, target.name: max(target.size, replicas)}, target, replicas, most)
    sets = {rs.name: rs for rs in draft.snapshot.replica_sets if not rs.deleting}
    order = [target.name, *(other.name for other in others)]
    if sizes[target.name] < replicas:
        order.reverse()  # more than that would be taken away again before the others are lowered
    return [
        ResizeRevision(
            rs.name, rs.uid, rs.resource_version, sizes[name], draft.workload.uid, replicas, most
        )
        for name in order
        if (rs := sets.get(name)) is not None
        and (sizes[name] != rs.size or (sizes[name] and rs.sized_for not in (None, replicas)))
    ]


def _fit(
    sizes: Mapping[str, int], target: PodCounts, replicas: int, most: int
) -> Mapping[str, int]:
    """Return sizes that the controller of a paused Deployment leaves as they are (ADR 24).

    While the ReplicaSet of the template has ``replicas`` available pods it lowers all others to 0, so one
    pod of it has to go first, also below L. And it takes away what is above U.

    >>> target = PodCounts("good", 0)
    >>> _fit({"good": 2, "bad": 2}, target, 2, 3)
    {'good': 2, 'bad': 1}
    >>> _fit({"good": 4, "bad": 3}, target, 4, 5)
    {'good': 2, 'bad': 3}
    >>> _fit({"good": 4, "bad": 0}, target, 4, 5)
    {'good': 4, 'bad': 0}
    """
    kept = {
        name: max(0, replicas - 1) if size == replicas else size
        for name, size in sizes.items()
        if name != target.name
    }
    room = max(target.size, min(sizes[target.name], most - sum(kept.values())))
    return {target.name: room, **kept}


def _plan_deletions(draft: Draft) -> list[Action]:
    """G4: one pod of another revision, from the highest ordinal; the ones above it are healthy again.

    The StatefulSet controller has to have seen the partition first: by an older view it would make the pod of
    the failed revision again. With ``OrderedReady`` the controller makes no pod above one that is not Ready. A pod
    that serves nobody therefore goes also while one above it is missing; one that serves waits.
    """
    target = draft.target
    one = draft.workload
    seen = is_held(one, draft.snapshot.guarded.uid) and one.observed_generation >= one.generation
    if target is None or not seen or draft.rollout.status not in rollout_states.RUNNING:
        return []
    good = {pod.uid for pod in target.pods}
    unhealthy = {pod.uid for pod in draft.counts[target.name].unhealthy}
    pods = [pod for rs in draft.snapshot.replica_sets for pod in rs.pods]
    for pod in sorted(pods, key=_ordinal, reverse=True):
        if pod.deleting or pod.uid in unhealthy:
            return []
        if pod.uid in good:
            continue
        if pod.ready_since is not None and len(pods) < draft.spec.replicas:
            continue
        return [DeletePod(pod.name, pod.uid, pod.resource_version)]
    return []


def _ordinal(pod: PodView) -> int:
    found = ORDINAL.search(pod.name)
    return int(found[1]) if found else -1
