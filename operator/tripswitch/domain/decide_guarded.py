"""Rules G: ``decide`` for a Deployment or StatefulSet that is guarded in place.

The steps are those of :mod:`tripswitch.domain.decide`, on the snapshot that
:func:`tripswitch.domain.rules.workloads.adapt` makes. The workload's own controller moves the sizes of a
rollout; the actions are those of a trip only (ADR 16).
"""

from __future__ import annotations

from dataclasses import replace

from tripswitch.domain.rules.conditions import compute_problem_conditions
from tripswitch.domain.rules.workloads import bears_hold, is_stopped, remember_target
from tripswitch.domain.steps.apply_commands import apply_commands
from tripswitch.domain.steps.crash_loops import report_crash_loops
from tripswitch.domain.steps.draft import Draft, begin_draft
from tripswitch.domain.steps.finish import drop_lost_rollback_target, find_check
from tripswitch.domain.steps.follow_spec import follow_spec
from tripswitch.domain.steps.hold_workload import heed_workload, settle_hold
from tripswitch.domain.steps.judge_rollout import judge_rollout
from tripswitch.domain.steps.ordered_pods import await_ordered_pods
from tripswitch.domain.steps.plan_hold import plan_hold, release
from tripswitch.domain.steps.registry_outage import report_outages
from tripswitch.domain.steps.renumber import renumber
from tripswitch.domain.steps.report_status import report_status
from tripswitch.domain.steps.restore_history import restore_history
from tripswitch.domain.steps.resume import resume
from tripswitch.domain.steps.rollback_risk import ask_references, watch_references
from tripswitch.domain.steps.use_evidence import ask_evidence, use_evidence
from tripswitch.domain.steps.watch_alarms import ask_alarms
from tripswitch.domain.values.decision import Action, Decision, Event, EventReason
from tripswitch.domain.values.protection import HoldState, Mode, Protected
from tripswitch.domain.values.snapshot import Snapshot
from tripswitch.domain.values.states import Reason
from tripswitch.domain.values.status import Status
from tripswitch.domain.values.time import Instant

STEPS = (
    renumber,
    restore_history,
    follow_spec,
    heed_workload,
    apply_commands,
    resume,
    use_evidence,
    judge_rollout,
    settle_hold,
    await_ordered_pods,
    report_crash_loops,
    report_outages,
    drop_lost_rollback_target,
    watch_references,
)


def decide_guarded(snapshot: Snapshot, protected: Protected, now: Instant) -> Decision:
    """Return the next status, the actions of a trip, the events, and when to look again."""
    if protected.workload is not None:
        guarded = snapshot.guarded
        status = remember_target(guarded.status, protected.workload, protected.current)
        snapshot = replace(snapshot, guarded=replace(guarded, status=status))
    problem = find_problem(snapshot, protected)
    if problem is not None:
        decision = _report_problem(snapshot, *problem, now)
        return replace(
            decision, actions=_let_go(protected, problem[0]), events=_tell_made_anew(protected)
        )
    draft = replace(begin_draft(snapshot, now), events=_tell_made_anew(protected))
    for step in STEPS:
        draft = step(draft)
    for counts in draft.counts.values():
        draft = draft.wake(counts.next_healthy_at)
    draft, inquiries = ask_evidence(draft)
    return Decision(
        status=report_status(draft, _describe_left(draft, protected)),
        actions=tuple(plan_hold(draft)),
        events=draft.events,
        failures=draft.failures,
        inquiries=inquiries,
        check=find_check(draft),
        alarms=ask_alarms(draft),
        references=ask_references(draft),
        wake_at=min(draft.wakes, default=None),
    )


def _let_go(protected: Protected, problem: Reason) -> tuple[Action, ...]:
    """Return how a hold that is not remembered ends with a template that has no revision yet (G5)."""
    workload = protected.workload
    waits = problem is Reason.WAITING_FOR_CONTROLLER
    if workload is None or not waits or protected.protection.mode is Mode.OBSERVE:
        return ()
    return tuple(release(workload, resume=True)) if bears_hold(workload) else ()


def _tell_made_anew(protected: Protected) -> tuple[Event, ...]:
    if not protected.made_anew:
        return ()
    one = f"{protected.protection.kind} {protected.protection.target}"
    words = "its history starts empty, and no rollback is possible until a revision completes"
    return (Event(EventReason.WORKLOAD_MADE_ANEW, f"{one} was deleted and created again: {words}"),)


def _describe_left(draft: Draft, protected: Protected) -> str:
    """Return which hold stays on a workload although nothing of this breaker keeps it (G7, G9)."""
    one = f"{protected.protection.kind} {protected.protection.target}"
    hold = draft.memory.hold
    if hold is not None and hold.state is HoldState.YIELDED:
        return f"{one} is paused by a person; resuming it retries the failed {hold.failed}"
    if hold is not None:
        observes = protected.protection.mode is Mode.OBSERVE
        words = "a trip, and in mode Observe the operator does not release it"
        return f"{one} is still held by {words}: resume it by hand" if observes else ""
    if draft.workload.mark is None or not is_stopped(draft.workload):
        return ""
    words = "a trip that this DeploymentCircuitBreaker does not know"
    return f"{one} is still held by {words}: resume it by hand"


def find_problem(snapshot: Snapshot, protected: Protected) -> tuple[Reason, str] | None:
    """Return why nothing can be watched (G1), and None if it can."""
    asked, workload = protected.protection, protected.workload
    target = f"{asked.kind} {asked.target}"
    if workload is None:
        return Reason.TARGET_NOT_FOUND, f"{target} does not exist"
    if protected.rival:
        words = (
            "already, which takes precedence (it is older, or it was created by a person and this one for "
            "a label): delete one of the two"
        )
        return Reason.TARGET_TAKEN, f"{target} is guarded by {protected.rival} {words}"
    if workload.on_delete:
        words = (
            "has the update strategy OnDelete, so there is no rollout to watch; use RollingUpdate"
        )
        return Reason.NO_ROLLOUT, f"{target} {words}"
    known = snapshot.guarded.status.memory.desired_revision is not None or protected.current
    if not known:
        return (
            Reason.WAITING_FOR_CONTROLLER,
            f"the controller of {target} has not created a revision yet",
        )
    return None


def _report_problem(snapshot: Snapshot, reason: Reason, message: str, now: Instant) -> Decision:
    """Say why, and keep everything else as it is."""
    memory, report = snapshot.guarded.status.memory, snapshot.guarded.status.report
    shown = compute_problem_conditions(reason, message, memory.conditions, now)
    return Decision(
        Status(
            replace(
                memory,
                observed_generation=snapshot.guarded.generation,
                conditions=tuple(condition.state for condition in shown),
            ),
            replace(report, rollout_state_reason=message, conditions=shown),
        )
    )
