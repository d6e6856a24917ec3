"""Rule P1: the clock of a rollout's progress, and when it stands still."""

from __future__ import annotations

from dataclasses import replace

from tripswitch.domain.rules.bake import hold_bake, is_baking
from tripswitch.domain.rules.hooks import find_waiting
from tripswitch.domain.rules.rollout_states import awaits_launch
from tripswitch.domain.rules.sight import compute_due
from tripswitch.domain.steps.draft import Draft
from tripswitch.domain.values.memory import Rollout
from tripswitch.domain.values.pods import OVER, PodView
from tripswitch.domain.values.time import Instant


def compute_late_at(draft: Draft) -> Instant | None:
    """P1: when the rollout is late; None when it never is, and while its clock stands still."""
    rollout, deadline = draft.rollout, draft.progress_deadline
    if deadline == 0 or rollout.paused_at or rollout.held_at or awaits_launch(rollout):
        return None
    began = max(rollout.progressed_at, _find_first_wait(draft))
    late_at = compute_due(began, deadline, draft.sight.standstills)  # V2
    return max(late_at, _find_next_healthy(draft))


def _find_next_healthy(draft: Draft) -> Instant:
    """Return when the next awaited pod is healthy, if all of them are Ready; a Ready pod is progress to a Deployment."""
    if any(pod.ready_since is None for pod in find_awaited(draft)):
        return 0.0
    return draft.counts_of(draft.rollout.revision).next_healthy_at or 0.0


def _find_first_wait(draft: Draft) -> Instant:
    """F5: since when the first of the awaited pods is there, if nothing of the revision has ever failed.

    While nodes are drained healthy pods are taken away all the time, and the mark of progress does not rise for as
    long as that takes. Pods in their place have the whole deadline. Pods that failed as a whole are evidence:
    they are replaced, too, by a revision that its nodes reject or evict.
    """
    target, record = draft.target, draft.record(draft.rollout.revision)
    if target is None or record is None or record.failed_tasks:
        return 0.0
    if any(pod.phase in OVER for pod in target.pods):
        return 0.0
    return min((pod.created_at for pod in find_awaited(draft)), default=0.0)


def mark_progress(draft: Draft) -> Draft:
    """P1, H3: only a new high-water mark of healthy pods is progress; it never falls by flapping."""
    healthy = draft.counts_of(draft.rollout.revision).healthy
    if healthy <= draft.rollout.healthy_high_water:
        return draft
    return draft.with_memory(
        rollout=replace(progress(draft.rollout, draft.now), healthy_high_water=healthy)
    )


def run_clock(draft: Draft) -> Draft:
    """P1: run the clock only while pods of the target could become healthy and are not.

    It stands still while old pods of a ``Recreate`` end, while everything that was launched is healthy
    and the next step is ours, while the ReplicaSet controller or the scheduler has not looked yet, and in a
    bake (A3) or a hook (K1).
    """
    rollout, now = draft.rollout, draft.now
    watched = is_baking(rollout.bake, now) or find_waiting(rollout.hooks)
    if _is_anything_awaited(draft) and not watched:
        rollout = _release(rollout, now)
    elif rollout.held_at is None:
        counts = draft.counts_of(rollout.revision)
        # All that could become healthy until now is: what is launched next has the whole deadline.
        done = 0 < counts.live == counts.healthy and not _lacks_pods(draft)
        rollout = replace(progress(rollout, now) if done else rollout, held_at=now)
    return draft.with_memory(rollout=rollout)


def _is_anything_awaited(draft: Draft) -> bool:
    """Whether the rollout waits for something that could show the revision to be bad (P1)."""
    error, target = draft.snapshot.create_error, draft.target
    if target is None:
        digest = draft.spec.template.digest
        return error is not None and error.digest == digest and not error.name_taken
    # A controller that has not looked at the latest size, or at the pod that failed, makes no pod in its place.
    unnoticed = target.counted is not None and target.counted > draft.counts[target.name].live
    replaced = target.observed and not unnoticed and _lacks_pods(draft)
    return replaced or bool(target.create_error) or bool(find_awaited(draft))


def _lacks_pods(draft: Draft) -> bool:
    """Whether pods of the target have failed as a whole, and none is there in their place."""
    counts = draft.counts_of(draft.rollout.revision)
    size = min(counts.size, draft.spec.replicas)  # one that a storm holds (R8) may have been larger
    pods = () if draft.target is None else draft.target.pods
    return counts.live < size and any(pod.phase in OVER for pod in pods)


def find_awaited(draft: Draft) -> list[PodView]:
    """Return the target's pods that could become healthy and are not."""
    target = draft.target
    if target is None:
        return []
    return [pod for pod in draft.counts[target.name].unhealthy if pod.scheduled]


def hold_clock(draft: Draft) -> Draft:
    """R7: nothing is counted and the clock of P stands still."""
    rollout, now = draft.rollout, draft.now
    if rollout.paused_at is not None:
        return draft
    return draft.with_memory(
        rollout=replace(_release(rollout, now), paused_at=now, bake=hold_bake(rollout.bake, now))
    )


def progress(rollout: Rollout, at: Instant) -> Rollout:
    """Move the mark of progress, which never falls: also not when the clock was set back (V4)."""
    return replace(rollout, progressed_at=max(at, rollout.progressed_at))


def _release(rollout: Rollout, now: Instant) -> Rollout:
    """Let the clock go on: only what it had run before it was held has passed."""
    if rollout.held_at is None:
        return rollout
    ran = max(0.0, rollout.held_at - rollout.progressed_at)  # below 0: progress while it was held
    return replace(progress(rollout, round(now - ran, 3)), held_at=None)
