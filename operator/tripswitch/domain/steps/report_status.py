"""The status of a finished draft: the memory, and the numbers, states and sentences that follow from it."""

from __future__ import annotations

from dataclasses import replace

from tripswitch.domain.rules import conditions, history, rollout_states
from tripswitch.domain.rules.bounds import compute_needed
from tripswitch.domain.rules.breaker import BREAKER_STATES
from tripswitch.domain.rules.counted_pods import forget
from tripswitch.domain.rules.evidence import describe_latest
from tripswitch.domain.rules.hooks import describe_hook, find_waiting
from tripswitch.domain.rules.storm import describe_storm
from tripswitch.domain.steps.complete_rollout import describe_rest
from tripswitch.domain.steps.crash_loops import describe_crash_loops
from tripswitch.domain.steps.draft import Draft
from tripswitch.domain.steps.ordered_pods import describe_ordered_wait
from tripswitch.domain.steps.pin_images import describe_gone_images
from tripswitch.domain.steps.progress_clock import compute_late_at
from tripswitch.domain.steps.registry_outage import describe_outages
from tripswitch.domain.steps.rollback_risk import describe_risk, describe_workload_risk
from tripswitch.domain.steps.waiting_words import compute_waiting_words, describe_lateness
from tripswitch.domain.steps.watch_alarms import (
    describe_bake,
    describe_ignored,
    describe_unavailable,
    settle_alarms,
)
from tripswitch.domain.values.decision import EventReason
from tripswitch.domain.values.memory import Breaker, Revision
from tripswitch.domain.values.report import Report, RevisionReport
from tripswitch.domain.values.states import (
    BreakerState,
    Reason,
    RolloutKind,
    RolloutState,
    RolloutStatus,
)
from tripswitch.domain.values.status import Status

NEXT = "next: fix the template, or retry"
"""What a person can do about a rollout that failed (rules B6 and C1)."""


def report_status(draft: Draft, frozen: str = "") -> Status:
    """Return the memory of a finished draft, and what the status tells of it.

    ``frozen`` says why the size does not follow ``replicas``; empty if it does (R7).
    """
    report = _report(draft, frozen)
    memory = replace(
        draft.memory,
        observed_generation=draft.snapshot.guarded.generation,
        circuit_breaker=_settle_breaker(draft),
        alarms=settle_alarms(draft),
        revisions=draft.remembered,
        conditions=tuple(condition.state for condition in report.conditions),
    )
    return Status(memory, report)


def _settle_breaker(draft: Draft) -> Breaker:
    """Return the breaker with its state (S3); single pods are forgotten once nothing is watched."""
    breaker, rollout = draft.memory.circuit_breaker, draft.rollout
    kept = breaker if rollout.status in rollout_states.OPEN else forget(breaker)
    enabled = draft.spec.breaker.enable
    state = BREAKER_STATES[rollout.status] if enabled else BreakerState.DISABLED
    return replace(kept, status=state)


def _report(draft: Draft, frozen: str) -> Report:
    """Return numbers, states and sentences for people and tools."""
    all_counts = draft.counts.values()
    desired = draft.record(draft.memory.desired_revision)
    assert desired is not None, "the spec was not followed"
    running = draft.rollout.status in rollout_states.OPEN
    explanation = _explain(draft) + (f"; {frozen}" if frozen else "")
    return Report(
        replicas=sum(counts.live for counts in all_counts),
        updated_replicas=draft.counts_of(desired.revision).live,
        ready_replicas=sum(counts.ready for counts in all_counts),
        available_replicas=draft.healthy,
        selector=draft.spec.selector,
        rollout_state=(
            rollout_states.STATE[draft.rollout.status] if running else desired.rollout_state
        ),
        rollout_state_reason=explanation,
        revisions=tuple(_report_revision(draft, record) for record in draft.remembered),
        conditions=conditions.compute_conditions(
            _gather_facts(draft, desired.rollout_state, explanation, frozen),
            draft.memory.conditions,
            draft.now,
        ),
    )


def report_refusal(draft: Draft) -> Draft:
    """Say that the API server refuses the ReplicaSet, once: the condition has the latest words."""
    told = any(
        condition.type == "Stalled" and condition.reason is Reason.REPLICA_SET_CREATE_ERROR
        for condition in draft.memory.conditions
    )
    if not draft.refusal or told or draft.rollout.status not in rollout_states.OPEN:
        return draft
    return draft.say(
        EventReason.REPLICA_SET_CREATE_ERROR,
        f"revision {draft.rollout.revision}: the API server refuses its ReplicaSet, which is tried "
        f"again: {draft.refusal}",
    )


def _report_revision(draft: Draft, record: Revision) -> RevisionReport:
    rs = draft.replica_set(record.revision)
    counts = None if rs is None else draft.counts[rs.name]
    return history.report_pods(
        record, rs, counts, primary=record.revision == draft.rollout.revision
    )


def _gather_facts(
    draft: Draft, desired_state: RolloutState, explanation: str, frozen: str
) -> conditions.Facts:
    spec, target = draft.spec, draft.target
    back = (
        draft.rollout.kind is RolloutKind.ROLLBACK
    )  # its conditions say above all why it goes back
    late_at = compute_late_at(draft)
    late = late_at is not None and late_at <= draft.now and not spec.breaker.enable
    return conditions.Facts(
        rollout=draft.rollout,
        desired_state=desired_state,
        healthy=draft.healthy,
        replicas=spec.replicas,
        needed=compute_needed(spec.strategy, spec.replicas),
        paused=spec.paused,
        refused=draft.refusal,
        blocked="" if target is None else target.create_error,
        waits="" if back else describe_ordered_wait(draft),
        late=describe_lateness(draft) if late else "",
        explanation=explanation,
        crash_loops=describe_crash_loops(draft),
        incomplete=describe_risk(draft),
        at_risk=describe_workload_risk(draft),
        frozen=frozen,
        outage=describe_outages(draft),
        alarms_ignored=describe_ignored(draft),
        alarms_unavailable=describe_unavailable(draft),
        storm="; ".join(describe_storm(storm) for storm in draft.memory.storms),
    )


def _explain(draft: Draft) -> str:
    """Return the state of the rollout as one sentence that says what comes next."""
    rollout = draft.rollout
    match rollout.status:
        case RolloutStatus.PENDING:
            return f"revision {rollout.revision} waits for the end of the pause"
        case RolloutStatus.IN_PROGRESS:
            return _explain_progress(draft)
        case RolloutStatus.ROLLBACK_IN_PROGRESS:
            return (
                f"rolling back to revision {rollout.revision}: {rollout.message}"
                f"{_evidence(draft, rollout.failed_revision)}; {_progress(draft)}{_blocked(draft)}; a new "
                f"template cannot be rolled back before revision {rollout.revision} has completed"
            )
        case RolloutStatus.SUCCESSFUL:
            if rollout.reason is Reason.SCALED_TO_ZERO:
                return f"revision {rollout.revision} is scaled to zero and not yet proved"
            return f"revision {rollout.revision} completed{describe_rest(draft)}"
        case RolloutStatus.ROLLBACK_SUCCESSFUL:
            if draft.memory.desired_revision == rollout.revision:
                return f"revision {rollout.revision} completed{describe_rest(draft)}"
            return (
                f"revision {rollout.failed_revision} failed and was rolled back to revision "
                f"{rollout.revision}: {rollout.message}"
                f"{_evidence(draft, rollout.failed_revision)}{describe_rest(draft)}; {NEXT}"
            )
        case RolloutStatus.FAILED | RolloutStatus.STOPPED:
            head = f"revision {rollout.revision} stalled"
        case RolloutStatus.ROLLBACK_FAILED:  # the last case
            head = f"rollback to revision {rollout.revision} failed"
    return f"{head}: {rollout.message}{_evidence(draft, rollout.revision)}; {NEXT}"


def _blocked(draft: Draft) -> str:
    """What a rollback waits for in vain (D4, or a pod of a StatefulSet), as the next clause of a sentence."""
    words = describe_gone_images(draft, draft.rollout.revision) or describe_ordered_wait(draft)
    return f"; {words}" if words else ""


def _explain_progress(draft: Draft) -> str:
    told = f"rolling out revision {draft.rollout.revision}: {_progress(draft)}"
    breaker = draft.memory.circuit_breaker
    if breaker.failure_count:
        told += f", {breaker.failure_count} of {breaker.threshold} failures"
    hooks = "".join(f"; {describe_hook(hook)}" for hook in find_waiting(draft.rollout.hooks))
    if draft.spec.paused:
        return f"{told} (paused){hooks}"
    if hooks:
        return f"{told}{hooks}{_evidence(draft, draft.rollout.revision)}"
    told += describe_bake(draft)
    words = compute_waiting_words(draft)
    held = f"; waiting: {words}" if words else ""
    return f"{told}{held}{_evidence(draft, draft.rollout.revision)}"


def _progress(draft: Draft) -> str:
    """Return how many pods are healthy, and that more were: the revision flaps (H3)."""
    healthy, most = (
        draft.counts_of(draft.rollout.revision).healthy,
        draft.rollout.healthy_high_water,
    )
    flaps = f" (at most {most} at once)" if healthy < most else ""
    return f"{healthy} of {draft.spec.replicas} pods healthy{flaps}"


def _evidence(draft: Draft, revision: int | None) -> str:
    """What was found out about the failures, as the next clause of a sentence."""
    words = describe_latest(draft.memory.circuit_breaker.failures, revision)
    return f"; {words}" if words else ""
