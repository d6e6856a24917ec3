"""Rules S, P, R5 and B: whether a running rollout trips, completes, is late or continues."""

from __future__ import annotations

from dataclasses import replace

from tripswitch.domain.rules import rollout_states
from tripswitch.domain.rules.bake import describe_clock
from tripswitch.domain.rules.evidence import describe_latest
from tripswitch.domain.rules.health import STEADY_SECONDS
from tripswitch.domain.rules.hooks import find_waiting
from tripswitch.domain.rules.rollout_states import Transition
from tripswitch.domain.rules.threshold import compute_threshold
from tripswitch.domain.steps.complete_rollout import (
    complete,
    is_scaled_up,
    is_whole,
    pass_last_stages,
    pass_post_scale_up,
)
from tripswitch.domain.steps.draft import Draft
from tripswitch.domain.steps.progress_clock import (
    compute_late_at,
    find_awaited,
    hold_clock,
    mark_progress,
    progress,
    run_clock,
)
from tripswitch.domain.steps.roll_back import roll_back
from tripswitch.domain.steps.rollout_moves import finish_rollout, start_rollout
from tripswitch.domain.steps.run_hooks import pass_pre_scale_up, time_out_hooks
from tripswitch.domain.steps.waiting_words import describe_lateness
from tripswitch.domain.steps.watch_alarms import advance_bake, watch_alarms
from tripswitch.domain.steps.watch_rollout import watch_rollout
from tripswitch.domain.values.decision import EventReason
from tripswitch.domain.values.sight import NEVER
from tripswitch.domain.values.states import Reason, RolloutKind, RolloutStatus
from tripswitch.domain.values.time import Instant
from tripswitch.domain.values.workload import Spec


def judge_rollout(draft: Draft) -> Draft:
    """Count, then judge: trip, complete, run late, or go on.

    A rollback that starts here is judged in the same look, so that a second look at the same snapshot
    finds nothing more. This recursion ends: a rollback never starts another rollout (B5).
    """
    draft = _mark_threshold(draft)
    if draft.rollout.status not in rollout_states.RUNNING:
        return _recover(draft)
    if draft.spec.paused:
        return hold_clock(draft)
    running = draft.rollout.status
    draft = pass_pre_scale_up(time_out_hooks(draft))
    if draft.rollout.status is not running:
        return judge_rollout(draft)
    return draft if rollout_states.awaits_launch(draft.rollout) else _judge_launched(draft)


def _judge_launched(draft: Draft) -> Draft:
    """Judge a rollout whose pods are launched and watched."""
    running, scaled_up = draft.rollout.status, is_scaled_up(draft)
    if scaled_up:
        draft = pass_post_scale_up(draft)
    passed = scaled_up and not find_waiting(draft.rollout.hooks)
    draft = run_clock(advance_bake(mark_progress(draft), whole=passed))
    if draft.rollout.kind is RolloutKind.ROLLBACK and _is_lost(draft):
        return trip(draft, Reason.ROLLBACK_FAILED, "its ReplicaSet was deleted")  # B8
    draft, cause = watch_rollout(draft)
    if cause is not None:
        return trip(draft, Reason.CIRCUIT_BREAKER_TRIGGERED, cause)
    draft, alarm = watch_alarms(draft)
    if alarm:
        return trip(draft, Reason.ALARM_TRIGGERED, alarm)
    if passed:
        draft = pass_last_stages(draft)
        if draft.rollout.status is not running:
            return draft
    late_at = compute_late_at(draft)
    if late_at is None or late_at > draft.now:
        return draft.wake(late_at)
    return _judge_lateness(draft, late_at) if draft.spec.breaker.enable else draft


def trip(draft: Draft, reason: Reason, cause: str) -> Draft:
    """B1 to B5: the rollout has failed; go back, or stall."""
    failed = draft.rollout
    draft = finish_rollout(draft, Transition.TRIPPED, reason, cause)
    if failed.kind is RolloutKind.ROLLBACK:
        message = f"{cause}; a rollback is never rolled back, nothing more is launched"  # B5
        return draft.with_memory(
            rollout=replace(draft.rollout, reason=Reason.ROLLBACK_FAILED, message=message)
        ).say(
            EventReason.ROLLBACK_FAILED, f"rollback to revision {failed.revision} failed: {message}"
        )
    found = describe_latest(draft.memory.circuit_breaker.failures, failed.revision)
    words = f"{cause}; {found}" if found else cause
    draft = _tell_trip(draft, reason, f"revision {failed.revision}", words)
    if _rolls_back(draft.spec, reason) or draft.only_reports:
        return judge_rollout(roll_back(draft, cause))
    message = f"{cause}; rollback is off, nothing more is launched"  # B4
    return draft.with_memory(rollout=replace(draft.rollout, message=message)).say(
        EventReason.ROLLOUT_STALLED, f"revision {failed.revision} stalled: {message}"
    )


def _rolls_back(spec: Spec, reason: Reason) -> bool:
    """A1: an alarm has a ``rollback`` of its own."""
    if reason is Reason.ALARM_TRIGGERED and spec.alarms is not None:
        return spec.alarms.rollback
    return spec.breaker.rollback


def _tell_trip(draft: Draft, reason: Reason, revision: str, words: str) -> Draft:
    """Say that a revision has failed, or that its breaker would have tripped (G7)."""
    if draft.only_reports:
        at = describe_clock(draft.now)
        told = f"{revision} would have tripped at {at}: {words}"
        return draft.say(EventReason.CIRCUIT_BREAKER_WOULD_TRIGGER, told)
    by_alarm = reason is Reason.ALARM_TRIGGERED
    event = EventReason.ALARM_TRIGGERED if by_alarm else EventReason.CIRCUIT_BREAKER_TRIGGERED
    return draft.say(event, f"{revision} failed: {words}")


def _recover(draft: Draft) -> Draft:
    """F10: a failed rollback is completed or tried again when more of its pods become healthy.

    Its pods may have waited for something outside of them (a ConfigMap, a registry, a node). One more healthy
    pod than the rollback ever had shows that it is there now. Therefore a rollback is tried again at most
    once for each pod.
    """
    failed = draft.rollout
    if failed.status is RolloutStatus.FAILED:
        return _take_for_good(draft)
    if (
        failed.status is not RolloutStatus.ROLLBACK_FAILED
        or draft.spec.paused
        or draft.spec.replicas == 0
        or draft.target is None
    ):
        return draft
    record = draft.record(failed.failed_revision)
    cause = "" if record is None else record.message
    if is_whole(draft):
        return complete(draft.with_memory(rollout=replace(failed, message=cause)))
    if draft.counts_of(failed.revision).healthy <= failed.healthy_high_water:
        return draft
    draft = start_rollout(
        draft, failed.revision, RolloutKind.ROLLBACK, failed=failed.failed_revision
    )
    mark = max(failed.healthy_high_water, draft.rollout.healthy_high_water)
    rollout = replace(draft.rollout, message=cause, healthy_high_water=mark)
    return judge_rollout(draft.with_memory(rollout=rollout)).say(
        EventReason.ROLLBACK_STARTED,
        f"trying again to roll back to revision {failed.revision}: one more pod is healthy",
    )


def _take_for_good(draft: Draft) -> Draft:
    """G3: complete a guarded workload's failed revision that has run well all the same.

    A trip that changed nothing (no revision to go back to, mode Observe) does not stop the workload's own
    controller. When the workload is whole and none of its pods was other than Ready for 10 minutes, what
    made the rollout fail is over, and the next rollout can go back to this revision. A person decides about
    one that an alarm failed.
    """
    if not _may_be_good(draft) or not is_whole(draft):
        return draft
    revision = draft.rollout.revision
    pods = () if draft.target is None else draft.target.pods
    since = max((pod.ready_since for pod in pods if pod.live and pod.ready_since), default=NEVER)
    if since + STEADY_SECONDS > draft.now:
        return draft.wake(since + STEADY_SECONDS)
    return judge_rollout(start_rollout(draft, revision, RolloutKind.DEPLOY))


def _may_be_good(draft: Draft) -> bool:
    """Return whether a failed revision is one that its trip has left to the workload's own controller."""
    memory, alarms = draft.memory, draft.memory.alarms
    left = draft.snapshot.protected is not None and memory.hold is None
    by_alarm = alarms is not None and bool(alarms.triggered_alarms)
    return left and not by_alarm and not draft.spec.paused and draft.spec.replicas > 0


def _judge_lateness(draft: Draft, late_at: Instant) -> Draft:
    """P1 and rules V: trip if a pod that had become healthy by now would be known."""
    awaited = find_awaited(draft)
    sight, nodes = draft.sight, [pod.node for pod in awaited] or [""]
    refused = draft.target is None  # by the API server itself, which needs no proof
    if refused or any(sight.confirms(late_at, node) for node in nodes):
        return trip(draft, Reason.PROGRESS_DEADLINE_EXCEEDED, describe_lateness(draft))
    if all(sight.has_lost(node, late_at) for node in nodes):
        # V3: the time until now says nothing about the revision. Pods that take the place of these
        # have all of the deadline.
        rollout = progress(draft.rollout, draft.now)
        return draft.with_memory(rollout=rollout).wake(draft.now + draft.progress_deadline)
    for due, need in (sight.find_need(late_at, node) for node in dict.fromkeys(nodes)):
        draft = draft.wake(due) if due > draft.now else draft.need(need)
    return draft


def _mark_threshold(draft: Draft) -> Draft:
    """T4, S3: compute the threshold at every look, also while nothing is watched; a column shows it."""
    breaker = draft.memory.circuit_breaker
    threshold = compute_threshold(draft.spec.breaker, draft.spec.replicas)
    return draft.with_memory(breaker=replace(breaker, threshold=threshold))


def _is_lost(draft: Draft) -> bool:
    wanted = draft.record(draft.rollout.revision)
    can_be_made = wanted is not None and wanted.digest == draft.spec.template.digest
    return draft.target is None and not can_be_made
