"""The core's only entry: ``decide(snapshot, now)`` runs the steps in order.

1. ``follow_spec``: what the spec and the commands ask for, and which rollout follows from it;
2. ``use_evidence``: findings about failures go into their records; ``judge_rollout``: count failures
   and progress, and let the rollout trip, complete or go on;
3. ``plan_sizes``: the next step of the rolling update, as actions; ``brake_storms`` cuts it down;
4. ``report_status``: the numbers, conditions and messages of the status.

It is level-triggered: called twice with the same snapshot, the second call decides nothing new.
"""

from __future__ import annotations

from tripswitch.domain.decide_guarded import decide_guarded
from tripswitch.domain.rules import history, rollout_states
from tripswitch.domain.rules.health import Expectations, health_deadline
from tripswitch.domain.steps.apply_commands import apply_commands
from tripswitch.domain.steps.brake_storms import brake_storms
from tripswitch.domain.steps.crash_loops import report_crash_loops
from tripswitch.domain.steps.draft import Draft, begin_draft
from tripswitch.domain.steps.finish import drop_lost_rollback_target, find_check
from tripswitch.domain.steps.follow_spec import follow_spec
from tripswitch.domain.steps.judge_rollout import judge_rollout
from tripswitch.domain.steps.pin_images import (
    find_first_pinning,
    pin_images,
    replace_stuck_pods,
    settle_images,
)
from tripswitch.domain.steps.plan_sizes import Plan, plan_sizes
from tripswitch.domain.steps.registry_outage import report_outages
from tripswitch.domain.steps.report_status import report_refusal, report_status
from tripswitch.domain.steps.restore_history import rename_on_collision, restore_history
from tripswitch.domain.steps.resume import resume
from tripswitch.domain.steps.retain_pods import retain_pods
from tripswitch.domain.steps.rollback_risk import ask_references, watch_references
from tripswitch.domain.steps.run_hooks import apply_answers
from tripswitch.domain.steps.use_evidence import ask_evidence, use_evidence
from tripswitch.domain.steps.watch_alarms import ask_alarms
from tripswitch.domain.values.decision import (
    Action,
    AdoptReplicaSet,
    CreateReplicaSet,
    Decision,
    DeletePod,
    DeleteReplicaSet,
    MarkCompleted,
    ReleaseReplicaSet,
    ScaleReplicaSet,
)
from tripswitch.domain.values.memory import Revision
from tripswitch.domain.values.pods import PodView
from tripswitch.domain.values.replica_sets import ReplicaSetView
from tripswitch.domain.values.snapshot import Snapshot
from tripswitch.domain.values.states import RolloutStatus
from tripswitch.domain.values.time import Instant


def decide(snapshot: Snapshot, now: Instant) -> Decision:
    """Return the next status, the actions, the events, and when to look again.

    ``now`` is rounded to milliseconds, as the status will hold it. Pure: the same snapshot and
    moment give the same decision, independent of earlier ones.
    """
    if snapshot.protected is not None:
        return decide_guarded(snapshot, snapshot.protected, now)
    draft = begin_draft(snapshot, now)
    steps = (
        restore_history,
        rename_on_collision,
        follow_spec,
        apply_commands,
        apply_answers,
        resume,
        settle_images,
        use_evidence,
        judge_rollout,
        report_crash_loops,
        report_outages,
        drop_lost_rollback_target,
        watch_references,
        report_refusal,
    )
    for step in steps:
        draft = step(draft)
    draft, plan = brake_storms(draft, plan_sizes(draft))
    for counts in draft.counts.values():
        draft = draft.wake(counts.next_healthy_at)
        if draft.rollout.status is RolloutStatus.IN_PROGRESS:
            draft = draft.wake(counts.next_late_at)  # R3: old pods, no longer capacity to come
    draft, inquiries = ask_evidence(draft)
    draft, retention = retain_pods(draft, plan.sizes)
    return Decision(
        status=report_status(draft, plan.frozen),
        actions=(
            *_release(draft),
            *_adopt(draft),
            *pin_images(draft),  # before a ReplicaSet is raised
            *retention,  # before the ReplicaSet is lowered, and chooses
            *_resize(draft, plan),
            *_replace_pods(draft),
            *replace_stuck_pods(draft),
            *_mark_completed(draft),
            *_prune(draft),
        ),
        events=draft.events,
        failures=draft.failures,
        inquiries=inquiries,
        check=find_check(draft),
        alarms=ask_alarms(draft),
        references=ask_references(draft),
        wake_at=min(draft.wakes, default=None),
    )


def _release(draft: Draft) -> list[Action]:
    """W5: a ReplicaSet that somebody took out of the selector is no longer ours."""
    return [
        ReleaseReplicaSet(rs.name, rs.uid, rs.resource_version)
        for rs in draft.snapshot.strays
        if not rs.deleting
    ]


def _adopt(draft: Draft) -> list[Action]:
    return [
        AdoptReplicaSet(rs.name, rs.uid, rs.resource_version)
        for rs in draft.snapshot.replica_sets
        if not rs.owned and not rs.deleting
    ]


def _resize(draft: Draft, plan: Plan) -> list[Action]:
    return [*_create(draft, plan), *_scale(draft, plan)]


def _create(draft: Draft, plan: Plan) -> list[Action]:
    record = draft.record(draft.rollout.revision)
    if record is None or not _is_to_be_created(draft, record, plan):
        return []
    size = plan.sizes[record.replica_set]
    pinning, replicas = find_first_pinning(draft, record), draft.spec.replicas
    return [CreateReplicaSet(record.replica_set, record.revision, size, replicas, pinning)]


def _is_to_be_created(draft: Draft, record: Revision, plan: Plan) -> bool:
    """Return whether a revision is launched that has no ReplicaSet yet.

    One that is being deleted has the name until it is gone. It can be made from ``spec.template`` only, and
    not for a rollout that has failed (B3) or has not begun to launch (R7, K1).
    """
    if any(rs.name == record.replica_set for rs in draft.snapshot.replica_sets):
        return False
    if draft.rollout.status in rollout_states.STALLED:
        return False
    if rollout_states.awaits_launch(draft.rollout):
        return False
    return record.digest == draft.spec.template.digest and record.replica_set in plan.sizes


def _scale(draft: Draft, plan: Plan) -> list[Action]:
    """Sizes, and what they were decided for (R7): also where only that has changed."""
    ours = [rs for rs in draft.snapshot.replica_sets if rs.owned and not rs.deleting]
    raised = [rs for rs in ours if plan.sizes[rs.name] > rs.size]
    lowered = [rs for rs in ours if plan.sizes[rs.name] < rs.size]
    kept = [
        rs for rs in ours if plan.sizes[rs.name] == rs.size and _is_to_be_marked(draft, rs, plan)
    ]
    return [
        ScaleReplicaSet(
            rs.name,
            rs.uid,
            rs.resource_version,
            plan.sizes[rs.name],
            plan.compute_mark(rs.sized_for, draft.spec.replicas),
        )
        for rs in raised + lowered + kept  # capacity comes first (R3)
    ]


def _is_to_be_marked(draft: Draft, rs: ReplicaSetView, plan: Plan) -> bool:
    """Whether a ReplicaSet whose size stays is to remember other ``replicas``.

    One that an earlier version of the operator sized will remember when it is scaled.
    """
    is_target = draft.target is not None and rs.name == draft.target.name
    mark = plan.compute_mark(rs.sized_for, draft.spec.replicas)
    return rs.sized_for not in (None, mark) and (rs.size > 0 or is_target)


def _replace_pods(draft: Draft) -> list[Action]:
    """F4: pods counted as missing their health deadline, and still missing it, are replaced."""
    target = draft.target
    watched = draft.rollout.status in rollout_states.RUNNING and not draft.spec.paused
    if target is None or not watched or rollout_states.awaits_launch(draft.rollout):
        return []
    counted = {entry.pod for entry in draft.memory.circuit_breaker.counted if entry.unhealthy}
    expected = draft.expect(target)
    return [
        DeletePod(pod.name, pod.uid, pod.resource_version)
        for pod in target.pods
        if pod.uid in counted and not pod.disrupted and _is_late(draft, pod, expected)
    ]


def _is_late(draft: Draft, pod: PodView, expected: Expectations) -> bool:
    """Return whether a pod's health deadline has passed, and it would be known if it was met (V1)."""
    deadline = health_deadline(pod, expected)
    if deadline is None or deadline > draft.now:
        return False
    return draft.sight.confirms(deadline, pod.node)


def _mark_completed(draft: Draft) -> list[Action]:
    """W2: the completion also stands on the ReplicaSet."""
    record = draft.record(draft.memory.last_completed_revision)
    rs = draft.replica_set(draft.memory.last_completed_revision)
    if record is None or rs is None or record.completed_at in (None, rs.completed_at):
        return []
    assert record.completed_at is not None
    return [MarkCompleted(rs.name, rs.uid, rs.resource_version, record.completed_at)]


def _prune(draft: Draft) -> list[Action]:
    limit = draft.spec.revision_history_limit
    prunable = history.select_prunable(draft.snapshot.replica_sets, draft.kept_names, limit)
    return [DeleteReplicaSet(rs.name, rs.uid, rs.resource_version) for rs in prunable]
