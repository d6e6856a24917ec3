"""What must hold of every status and every decision, whatever the world looks like.

The rules say what is decided; this says what must never be decided. Nothing in the operator calls it:
every level of the tests does (tables, properties, the simulated cluster, the real one). Each function
returns the violations in words, none when all is well. Sizes are judged on their own, not with the
arithmetic of :mod:`tripswitch.domain.rules.scaling`: every pod that a ReplicaSet could choose to delete is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from tripswitch.domain.rules import counted_pods, rollout_states
from tripswitch.domain.rules.bounds import compute_bounds
from tripswitch.domain.rules.breaker import BREAKER_STATES
from tripswitch.domain.rules.digests import find_stuck
from tripswitch.domain.rules.failure_records import MAX_RECORDS
from tripswitch.domain.rules.health import expect, healthy_at
from tripswitch.domain.values.decision import (
    Action,
    AdoptReplicaSet,
    CreateReplicaSet,
    Decision,
    DeletePod,
    DeleteReplicaSet,
    DropPod,
    MarkCompleted,
    ReleaseReplicaSet,
    ScaleReplicaSet,
    SetAsidePod,
)
from tripswitch.domain.values.hooks import HookStatus, LifecycleStage
from tripswitch.domain.values.memory import Revision, Rollout
from tripswitch.domain.values.pods import PodView, RetainedPod
from tripswitch.domain.values.replica_sets import ReplicaSetView
from tripswitch.domain.values.snapshot import Snapshot
from tripswitch.domain.values.states import (
    BestState,
    BreakerState,
    RolloutKind,
    RolloutState,
    RolloutStatus,
    Stage,
)
from tripswitch.domain.values.status import Status
from tripswitch.domain.values.time import Instant
from tripswitch.domain.values.workload import Spec

_ROLLBACK_ONLY = frozenset(status for status in RolloutStatus if status.startswith("ROLLBACK"))
_EITHER = frozenset({RolloutStatus.STOPPED, RolloutStatus.PENDING})
_STATES = tuple(BestState)


def check_status(status: Status) -> list[str]:
    """Return what is wrong with a status that ``decide`` has written."""
    if status.memory.rollout is None:
        return ["there is no rollout"]
    return [
        *_check_history(status, status.memory.rollout),
        *_check_rollout(status.memory.rollout),
        *_check_breaker(status, status.memory.rollout),
        *_check_halves(status),
        *_check_conditions(status),
    ]


def check_decision(snapshot: Snapshot, decision: Decision, now: Instant) -> list[str]:
    """Return what is wrong with a decision, made from this snapshot at this moment."""
    found = check_status(decision.status)
    if decision.status.memory.rollout is None:
        return found
    return [
        *found,
        *_check_writing(snapshot, decision, now),
        *_check_moves(snapshot, decision),
        *_check_actions(snapshot, decision),
        *_check_launches(snapshot, decision, decision.status.memory.rollout),
        *_check_retention(snapshot, decision, now),
        *_check_lower_bound(snapshot, decision, now),
        *_check_upper_bound(snapshot, decision),
        *_check_pruning(snapshot, decision),
    ]


def compute_kept_healthy(rs: ReplicaSetView, size: int, spec: Spec, now: Instant) -> int:
    """Return the healthy pods that are left for sure when a ReplicaSet is lowered to ``size``.

    It takes pods that are not Ready first, and of the Ready ones, at worst, the healthy ones. A
    ReplicaSet that is being deleted keeps none for sure.
    """
    if rs.deleting:
        return 0
    expected = expect(rs, spec, now)
    moments = [healthy_at(pod, expected) for pod in rs.pods if pod.live]
    # In the order of their going: not Ready, healthy, Ready but not for long enough.
    ranks = sorted(0 if at is None else 1 if at <= now else 2 for at in moments)
    return ranks[max(0, len(ranks) - size) :].count(1)


def _check_history(status: Status, rollout: Rollout) -> Iterator[str]:
    numbers = [record.revision for record in status.memory.revisions]
    if not all(newer > older for newer, older in pairwise(numbers)):
        yield f"revisions are not unique and newest first: {numbers}"
    names = [record.replica_set for record in status.memory.revisions]
    if len(set(names)) < len(names):
        yield f"two revisions share a ReplicaSet: {names}"
    if not {rollout.revision, status.memory.desired_revision} <= set(numbers):
        yield f"revision {rollout.revision} or {status.memory.desired_revision} is not in the history"
    if status.memory.last_completed_revision is None:
        return
    last = next(
        (r for r in status.memory.revisions if r.revision == status.memory.last_completed_revision),
        None,
    )
    if last is None or last.completed_at is None or last.rollout_state != RolloutState.COMPLETED:
        yield f"revision {status.memory.last_completed_revision} was never completed (R5)"
    if (
        rollout.status in rollout_states.OPEN
        and rollout.revision == status.memory.last_completed_revision
    ):
        yield f"revision {rollout.revision} is rolled out and last completed at once (B1)"


def _check_rollout(rollout: Rollout) -> Iterator[str]:
    is_rollback = rollout.kind is RolloutKind.ROLLBACK
    if rollout.status not in _EITHER and is_rollback is not (rollout.status in _ROLLBACK_ONLY):
        yield f"a {rollout.kind} is {rollout.status}"
    if is_rollback and rollout.failed_revision in (None, rollout.revision):
        yield f"a rollback to the revision that failed: {rollout.revision} (B1)"
    if (rollout.finished_at is None) is not (rollout.status in rollout_states.OPEN):
        yield f"a rollout is {rollout.status} and finished at {rollout.finished_at}"
    if rollout.status is RolloutStatus.PENDING and rollout.paused_at is None:
        yield "a rollout waits for no pause (R7)"
    waiting = [one for one in rollout.hooks if one.status is HookStatus.AWAITING_ACTION]
    if waiting and rollout.status not in rollout_states.RUNNING:
        yield f"hook {waiting[0].hook_id} waits in a rollout that is {rollout.status} (K1)"
    if rollout.hooks and is_rollback:
        yield "a rollback has hooks (K1)"
    if rollout.progressed_at < rollout.started_at:
        yield "a rollout progressed before it started (P1)"


def _check_breaker(status: Status, rollout: Rollout) -> Iterator[str]:
    breaker = status.memory.circuit_breaker
    if breaker.status not in (BreakerState.DISABLED, BREAKER_STATES[rollout.status]):
        yield f"the breaker is {breaker.status} while the rollout is {rollout.status} (S3)"
    watched = rollout.status in rollout_states.RUNNING and rollout.paused_at is None
    if (
        watched
        and breaker.status is BreakerState.MONITORING
        and breaker.failure_count >= breaker.threshold
    ):
        yield f"{breaker.summary} failures and no trip (T5)"
    own = [r for r in breaker.failures if r.revision == rollout.revision]
    told = sum(record.count for record in own)
    if told > breaker.failure_count or (
        told < breaker.failure_count and len(breaker.failures) < MAX_RECORDS
    ):
        yield f"the records tell of {told} failures, the count is {breaker.failure_count}"
    pods = [entry.pod for entry in breaker.counted]
    if len(pods) != len(set(pods)):
        yield f"pods are counted twice: {pods} (F7)"
    remembered = pods or breaker.unlisted or breaker.uncounted_until
    if remembered and rollout.status not in rollout_states.OPEN:
        yield "pods are remembered of a rollout that is over"


def _check_halves(status: Status) -> Iterator[str]:
    """The report is about the memory's revisions and conditions: they are stored as one list each."""
    numbers = [record.revision for record in status.memory.revisions]
    told = [one.revision for one in status.report.revisions]
    if numbers != told:
        yield f"the report tells of revisions {told}, remembered are {numbers}"
    states = tuple(condition.state for condition in status.report.conditions)
    if states != status.memory.conditions:
        yield f"the report's conditions are {states}, remembered are {status.memory.conditions}"


def _check_conditions(status: Status) -> Iterator[str]:
    shown = {condition.type: condition.status for condition in status.report.conditions}
    if len(shown) < len(status.report.conditions):
        yield "a condition is there twice"
    desired = _find(status, status.memory.desired_revision)
    failed = desired is not None and desired.rollout_state is RolloutState.FAILED
    if failed and (shown.get("Ready") or not shown.get("Stalled")):
        yield "a failed revision is reported as success (B7)"
    if shown.get("Ready") and status.report.rollout_state is not RolloutState.COMPLETED:
        yield f"Ready while the rollout is {status.report.rollout_state}"


def _check_writing(snapshot: Snapshot, decision: Decision, now: Instant) -> Iterator[str]:
    if decision.status == snapshot.guarded.status and (decision.events or decision.failures):
        yield "something is told while nothing changed (W3)"
    if decision.wake_at is not None and decision.wake_at <= now:
        yield f"to be woken {now - decision.wake_at:.3f} s ago"


def _check_moves(snapshot: Snapshot, decision: Decision) -> Iterator[str]:
    before, after = snapshot.guarded.status.memory, decision.status.memory
    assert after.rollout is not None
    old, new = before.rollout, after.rollout
    if after.collision_count < before.collision_count:
        yield "the collision count fell"
    tasks = {record.revision: record.failed_tasks for record in before.revisions}
    if any(r.failed_tasks < tasks.get(r.revision, 0) for r in after.revisions):
        yield "a revision has fewer failed tasks than before"
    if old is not None and (old.revision, old.started_at) == (new.revision, new.started_at):
        yield from _check_same_rollout(old, new, snapshot, decision)
    elif new.kind is RolloutKind.ROLLBACK:
        proving = old is not None and old.kind is RolloutKind.ROLLBACK
        if old is not None and proving:
            again = old.status is RolloutStatus.ROLLBACK_FAILED and old.revision == new.revision
            if not again and old.status is not RolloutStatus.ROLLBACK_SUCCESSFUL:
                yield "a rollback starts another rollout (B5)"
        if not proving and new.revision != before.last_completed_revision:
            yield f"rolled back to revision {new.revision}, which was not the last completed (B1)"


def _check_same_rollout(
    old: Rollout, new: Rollout, snapshot: Snapshot, decision: Decision
) -> Iterator[str]:
    if new.status not in _reachable(old.status):
        yield f"a rollout went from {old.status} to {new.status}, which is not in TABLE"
    if old.kind is not new.kind or old.failed_revision != new.failed_revision:
        yield "a rollout became another one"
    recovered = old.status is not new.status and new.status is RolloutStatus.ROLLBACK_SUCCESSFUL
    yield from _check_stages(old, new)
    if old.finished_at not in (None, new.finished_at) and not recovered:
        yield "a finished rollout finished again"
    if new.healthy_high_water < old.healthy_high_water or new.progressed_at < old.progressed_at:
        yield "the mark of progress fell (P1)"
    before, after = (
        snapshot.guarded.status.memory.circuit_breaker,
        decision.status.memory.circuit_breaker,
    )
    if (before.stage, after.stage) == (Stage.HEALTH, Stage.LAUNCH):
        yield "stage 2 went back to stage 1 (S1)"
    found = sum(failure.count for failure in decision.failures)
    allowed = {before.failure_count + found}
    if snapshot.guarded.spec.breaker.reset_on_healthy_task:
        allowed.add(found - _count_overcome(snapshot, decision))
    if after.failure_count not in allowed:
        yield f"the count went from {before.failure_count} to {after.failure_count} with {found} new"
    if counted_pods.weigh(after.counted) > max(
        counted_pods.MAX_BYTES, counted_pods.weigh(before.counted)
    ):
        yield f"{len(after.counted)} entries of pods are more than there is room for (F7)"
    marks = {entry.pod: entry for entry in before.counted}
    for entry in after.counted:
        known = marks.get(entry.pod, entry)
        runs = {tally.container: (tally.runs, tally.waits) for tally in entry.containers}
        fell = any(
            runs.get(tally.container, (-1, -1))[0] < tally.runs
            or runs[tally.container][1] < tally.waits
            for tally in known.containers
        )
        lost = (known.failed and not entry.failed) or (known.unhealthy and not entry.unhealthy)
        if fell or lost or _STATES.index(entry.best_state) < _STATES.index(known.best_state):
            yield f"the marks of pod {entry.pod} fell (F7)"


def _count_overcome(snapshot: Snapshot, decision: Decision) -> int:
    """H2: the new failures of pods that became healthy in the same look came before that."""
    memory = decision.status.memory
    before = snapshot.guarded.status.memory.circuit_breaker
    if before.unlisted is not None or memory.rollout is None:
        return 0
    pods = [pod for rs in snapshot.replica_sets for pod in rs.pods]
    if (
        memory.rollout.status in rollout_states.SUCCEEDED
    ):  # its entries are gone, and all are healthy
        healthy = {pod.uid for pod in pods if pod.live}
    else:
        counted = memory.circuit_breaker.counted
        healthy = {one.pod for one in counted if one.best_state is BestState.HEALTHY}
        healthy -= {one.pod for one in counted if one.existed_before}
    healthy -= {
        one.pod
        for one in before.counted
        if one.best_state is BestState.HEALTHY or one.existed_before
    }
    names = {pod.name for pod in pods if pod.uid in healthy}
    return sum(failure.count for failure in decision.failures if failure.pod in names)


def _check_stages(old: Rollout, new: Rollout) -> Iterator[str]:
    ended = {one.hook_id: one for one in old.hooks if one.status != HookStatus.AWAITING_ACTION}
    if any(one != ended.get(one.hook_id, one) for one in new.hooks):
        yield "a hook that had ended changed (K1)"
    if old.lifecycle_stage and new.lifecycle_stage:
        stages = list(LifecycleStage)
        if stages.index(new.lifecycle_stage) < stages.index(old.lifecycle_stage):
            yield f"the rollout went from {old.lifecycle_stage} back to {new.lifecycle_stage} (K1)"


def _check_actions(snapshot: Snapshot, decision: Decision) -> Iterator[str]:
    """W1: each action is about an object of the snapshot, in its version."""
    sets = {rs.uid: rs for rs in snapshot.replica_sets}
    ours = {rs.uid for rs in (*snapshot.replica_sets, *snapshot.strays) if rs.owned}
    for action in decision.actions:
        if isinstance(action, CreateReplicaSet):
            record = _find(decision.status, action.revision)
            if record is None or record.replica_set != action.name:
                yield f"{action.name} is created for another revision"
            elif record.digest != snapshot.guarded.spec.template.digest:
                yield f"{action.name} is created from a template that is not its own (B8)"
            if any(rs.name == action.name and not rs.deleting for rs in snapshot.replica_sets):
                yield f"{action.name} is created and is there"
            continue
        found = _find_subject(snapshot, action)
        if found is None or found.resource_version != action.resource_version or found.deleting:
            yield f"{action} is not about what was looked at (W1)"
        if found is None:
            continue
        if isinstance(action, AdoptReplicaSet):
            ours.add(action.uid)
        elif isinstance(found, ReplicaSetView) and action.uid not in ours:
            yield f"{action} is not about one of ours"
        if isinstance(action, ScaleReplicaSet) and (action.size, action.sized_for) == (
            sets[action.uid].size,
            sets[action.uid].sized_for,
        ):
            yield f"{action.name} is scaled to the size it has (W3)"
    sized = [a.name for a in decision.actions if isinstance(a, CreateReplicaSet | ScaleReplicaSet)]
    if len(set(sized)) < len(sized):
        yield f"scaled twice: {sized}"


def _find_subject(
    snapshot: Snapshot, action: Action
) -> ReplicaSetView | PodView | RetainedPod | None:
    assert not isinstance(action, CreateReplicaSet), "it is not there yet"
    found: Iterable[ReplicaSetView | PodView | RetainedPod] = snapshot.replica_sets
    if isinstance(action, ReleaseReplicaSet):
        found = snapshot.strays
    elif isinstance(action, DropPod):
        found = snapshot.retained
    elif isinstance(action, DeletePod | SetAsidePod):
        found = (pod for rs in snapshot.replica_sets for pod in rs.pods)
    return next((one for one in found if one.uid == action.uid), None)


def _check_retention(snapshot: Snapshot, decision: Decision, now: Instant) -> Iterator[str]:
    """Only a failing pod of a failed revision that is being lowered is set aside (failedPodRetention)."""
    sizes = {a.uid: a.size for a in decision.actions if isinstance(a, ScaleReplicaSet)}
    aside = [action for action in decision.actions if isinstance(action, SetAsidePod)]
    if len(aside) > snapshot.guarded.spec.retention.count:
        yield f"{len(aside)} pods are set aside, more than asked for"
    for rs in snapshot.replica_sets:
        taken = [pod for pod in rs.pods if any(action.uid == pod.uid for action in aside)]
        record = next(
            (r for r in decision.status.memory.revisions if r.replica_set == rs.name), None
        )
        failed = record is not None and record.rollout_state is RolloutState.FAILED
        if taken and (not failed or len(taken) > rs.size - sizes.get(rs.uid, rs.size)):
            yield f"pods of {rs.name} are set aside that are not about to go"
        if any(pod.ready_since is not None or not pod.live for pod in taken):
            yield f"pods of {rs.name} are set aside that are not failing"
    early = {pod.uid for pod in snapshot.retained if pod.until > now}
    dropped = [a for a in decision.actions if isinstance(a, DropPod) and a.uid in early]
    left = len([pod for pod in snapshot.retained if not pod.deleting]) - len(dropped)
    if dropped and left + len(aside) < snapshot.guarded.spec.retention.count:
        yield f"{dropped[0].name} is deleted before its time"


def _check_launches(snapshot: Snapshot, decision: Decision, rollout: Rollout) -> Iterator[str]:
    """B3, R7 and F4: who may be given pods, and whose pods may be taken."""
    status = decision.status
    target = _find(status, rollout.revision)
    last = _find(status, status.memory.last_completed_revision)
    current = {rs.name: rs for rs in snapshot.replica_sets}
    late = {entry.pod for entry in status.memory.circuit_breaker.counted if entry.unhealthy}
    stuck = _find_stuck(snapshot, decision)
    held = _is_held(snapshot, rollout)
    for action in decision.actions:
        match action:
            case CreateReplicaSet(name, _, size):
                if held or rollout.status in rollout_states.STALLED:
                    yield f"{name} is created while nothing is launched (B3, R7)"
                elif target is None or target.replica_set != name:
                    yield f"{name} is created with {size} pods and is not the target"
            case ScaleReplicaSet(name, _, _, size) if name in current:
                yield from _check_scaling(snapshot, decision, rollout, current[name], size)
            case DeletePod(name, uid):
                ours = target and current.get(target.replica_set)
                if uid in stuck and not held:
                    continue
                if held or uid not in late or not ours or uid not in {p.uid for p in ours.pods}:
                    yield f"pod {name} is replaced for no reason (F4)"
            case MarkCompleted(name):
                if last is None or last.replica_set != name:
                    yield f"{name} is marked completed and is not (W2)"
            case _:
                continue


def _find_stuck(snapshot: Snapshot, decision: Decision) -> set[str]:
    """D3: pods that wait for a digest which was dropped; they are made again."""
    entries = {r.replica_set: r.container_images for r in decision.status.memory.revisions}
    return {
        pod.uid
        for rs in snapshot.replica_sets
        for pod in find_stuck(rs.pods, entries.get(rs.name, ()))
    }


def _is_held(snapshot: Snapshot, rollout: Rollout) -> bool:
    """R7, K1: whether nothing is launched or removed for a rollout: a pause, or a hook before it."""
    waits = rollout.lifecycle_stage is LifecycleStage.PRE_SCALE_UP
    return rollout.status in rollout_states.OPEN and (snapshot.guarded.spec.paused or waits)


def _check_scaling(
    snapshot: Snapshot, decision: Decision, rollout: Rollout, rs: ReplicaSetView, size: int
) -> Iterator[str]:
    """R4 and R7: what grows and what shrinks, and what it has to do with a change of ``replicas``."""
    replicas = snapshot.guarded.spec.replicas
    record = next((r for r in decision.status.memory.revisions if r.replica_set == rs.name), None)
    is_target = record is not None and record.revision == rollout.revision
    marks = [other.sized_for for other in snapshot.replica_sets]
    was_scaled = any(mark is not None and mark != replicas for mark in marks)
    alone = not any(
        other.size or any(pod.live for pod in other.pods)
        for other in snapshot.replica_sets
        if other.uid != rs.uid
    )
    proven = (
        record is not None
        and record.completed_at is not None
        and record.rollout_state is not RolloutState.FAILED
    )
    before = {one.replica_set: one.size for one in snapshot.guarded.status.memory.storms}
    if rs.name in before and size <= before[rs.name]:
        return  # R8: it gets back what the brake took
    if size < rs.size and any(one.replica_set == rs.name for one in decision.status.memory.storms):
        return  # R8: the brake, which a pause does not hold back
    if _is_held(snapshot, rollout):
        begun = rollout.lifecycle_stage is not LifecycleStage.PRE_SCALE_UP
        may_grow = proven or (is_target and begun and rollout.status in rollout_states.RUNNING)
        if size != rs.size and not (was_scaled or alone):
            yield f"{rs.name} is scaled to {size} while paused (R7)"
        elif size > rs.size and not may_grow:
            yield f"{rs.name} is raised to {size} while paused, and never completed (R7)"
    elif size <= rs.size:
        return
    elif rollout.status in rollout_states.STALLED:
        if is_target or not proven or not was_scaled:
            yield f"{rs.name} is raised to {size} while stalled (B3)"
    elif not is_target and not (proven and was_scaled):
        yield f"{rs.name} is raised to {size} and is not the target"


def _check_lower_bound(snapshot: Snapshot, decision: Decision, now: Instant) -> Iterator[str]:
    """R3, with whichever of the actions getting through."""
    spec = snapshot.guarded.spec
    sizes = {a.uid: a.size for a in decision.actions if isinstance(a, ScaleReplicaSet)}
    before = after = 0
    for rs in snapshot.replica_sets:
        before += compute_kept_healthy(rs, rs.size, spec, now)
        after += compute_kept_healthy(rs, min(rs.size, sizes.get(rs.uid, rs.size)), spec, now)
    rollout = decision.status.memory.rollout
    assert rollout is not None
    lower = compute_bounds(spec.strategy, spec.replicas).lower
    if rollout.status in rollout_states.STALLED or _is_held(snapshot, rollout):
        lower = spec.replicas  # R7: no step of a rollout takes a healthy pod that replicas asks for
    if after < min(lower, before):
        yield f"{after} healthy pods left of {before}, at least {lower} needed (R3)"


def _check_upper_bound(snapshot: Snapshot, decision: Decision) -> Iterator[str]:
    """R3, with none of the lowering done yet."""
    spec = snapshot.guarded.spec
    sizes = {a.uid: a.size for a in decision.actions if isinstance(a, ScaleReplicaSet)}
    made = [a.size for a in decision.actions if isinstance(a, CreateReplicaSet)]
    raised = False
    planned = sum(made)
    for rs in snapshot.replica_sets:
        live = sum(pod.live for pod in rs.pods)
        # One that has as many pods already, and was to lose them, makes none.
        raised = raised or sizes.get(rs.uid, 0) > max(live, rs.size)
        planned += live if rs.deleting else max(live, rs.size, sizes.get(rs.uid, 0))
    upper = compute_bounds(spec.strategy, spec.replicas).upper
    if planned > upper and (raised or any(made)):
        yield f"{planned} pods planned, at most {upper} allowed (R3)"


def _check_pruning(snapshot: Snapshot, decision: Decision) -> Iterator[str]:
    status = decision.status
    assert status.memory.rollout is not None
    numbers = (
        status.memory.rollout.revision,
        status.memory.desired_revision,
        status.memory.last_completed_revision,
    )
    kept = {record.replica_set for record in status.memory.revisions if record.revision in numbers}
    busy = {rs.uid for rs in snapshot.replica_sets if rs.size or any(pod.live for pod in rs.pods)}
    for action in decision.actions:
        if isinstance(action, DeleteReplicaSet) and (action.name in kept or action.uid in busy):
            yield f"{action.name} is pruned and still needed"


def _reachable(status: RolloutStatus) -> set[RolloutStatus]:
    found = {status}
    for (start, _), end in rollout_states.TABLE.items():
        if start is status:
            found |= _reachable(end)
    return found


def _find(status: Status, revision: int | None) -> Revision | None:
    return next((record for record in status.memory.revisions if record.revision == revision), None)
