"""Rules R5, R6, E1 and K1: the last stages of a rollout, and its end."""

from __future__ import annotations

from dataclasses import replace

from tripswitch.domain.rules import early_success
from tripswitch.domain.rules.pod_counts import PodCounts
from tripswitch.domain.rules.rollout_states import Transition
from tripswitch.domain.steps.draft import Draft
from tripswitch.domain.steps.rollout_moves import finish_rollout
from tripswitch.domain.steps.run_hooks import begin_hooks
from tripswitch.domain.steps.watch_alarms import is_baked
from tripswitch.domain.values.decision import EventReason
from tripswitch.domain.values.hooks import LifecycleStage
from tripswitch.domain.values.states import Reason, RolloutKind

_LAUNCHING = (None, LifecycleStage.PRE_SCALE_UP, LifecycleStage.SCALE_UP)
"""Stages before the hooks of POST_SCALE_UP; None: the rollout is one of a version without stages."""


def is_scaled_up(draft: Draft) -> bool:
    """Return whether a rollout has the pods that it needs: all of R5's, or those of E1."""
    if not _is_settled(draft):
        return False
    target, others = _split(draft)
    return early_success.is_scaled_up(draft.spec.early_success, target, others, draft.spec.replicas)


def is_whole(draft: Draft) -> bool:
    """Return whether a rollout has all that it needs, and nothing is left that its end waits for."""
    _, others = _split(draft)
    return is_scaled_up(draft) and early_success.is_cleaned_up(draft.spec.early_success, others)


def pass_post_scale_up(draft: Draft) -> Draft:
    """Begin the hooks of a rollout that has just been scaled up (K1)."""
    if draft.rollout.lifecycle_stage in _LAUNCHING:
        return begin_hooks(draft, LifecycleStage.POST_SCALE_UP)
    return draft


def pass_last_stages(draft: Draft) -> Draft:
    """Take a rollout that is scaled up, and waits at no hook, through its last stages, as far as it gets."""
    if not is_baked(draft):
        return _enter(draft, LifecycleStage.BAKE_TIME)
    return complete(draft) if is_whole(draft) else _enter(draft, LifecycleStage.CLEAN_UP)


def _enter(draft: Draft, stage: LifecycleStage) -> Draft:
    """Enter a stage; a rollout never goes back to an earlier one."""
    order, before = list(LifecycleStage), draft.rollout.lifecycle_stage
    if before is not None and order.index(before) >= order.index(stage):
        return draft
    return draft.with_memory(rollout=replace(draft.rollout, lifecycle_stage=stage))


def complete(draft: Draft) -> Draft:
    """R5, and R6: with no replicas nothing was proved."""
    rollout, replicas = draft.rollout, draft.spec.replicas
    rollback = rollout.kind is RolloutKind.ROLLBACK
    proved = Reason.ROLLOUT_COMPLETED if replicas > 0 else Reason.SCALED_TO_ZERO
    reason = Reason.ROLLBACK_COMPLETED if rollback else proved
    draft = finish_rollout(draft, Transition.COMPLETED, reason, rollout.message)
    if replicas > 0:
        draft = replace(
            draft, memory=replace(draft.memory, last_completed_revision=rollout.revision)
        )
    proof = _describe_proof(draft)
    if rollback:
        return draft.say(
            EventReason.ROLLBACK_COMPLETED,
            f"rolled back to revision {rollout.revision}: {proof}; "
            f"revision {rollout.failed_revision} stays failed",
        )
    return draft.say(
        EventReason.ROLLOUT_COMPLETED, f"revision {rollout.revision} completed: {proof}"
    )


def describe_rest(draft: Draft) -> str:
    """Return what is left to do of a rollout that completed early (E1); empty if nothing is."""
    if draft.spec.early_success is None:
        return ""
    target, others = _split(draft)
    rest = early_success.describe_rest(target, others, draft.spec.replicas)
    return f"; {rest}, not watched by the breaker" if rest else ""


def _describe_proof(draft: Draft) -> str:
    replicas, early = draft.spec.replicas, draft.spec.early_success
    if replicas == 0:
        return "0 replicas, so nothing was verified"
    healthy = draft.counts_of(draft.rollout.revision).healthy
    proof = f"{healthy} of {replicas} pods healthy"
    if early is None or not describe_rest(draft):
        return proof
    enough = f"are enough (healthyPercent {early.healthy_percent})"
    return f"{proof} {enough}; what is left to do is not watched by the breaker"


def _split(draft: Draft) -> tuple[PodCounts, list[PodCounts]]:
    """Return the pods of the rollout's revision, and those of all others."""
    target = draft.counts_of(draft.rollout.revision)
    return target, [counts for name, counts in draft.counts.items() if name != target.name]


def _is_settled(draft: Draft) -> bool:
    """G3: a guarded workload's own controller takes the rollout for complete, too.

    While the workload is held its controller does not roll anything out, and has no say.
    """
    if draft.snapshot.protected is None or draft.rollout.kind is RolloutKind.ROLLBACK:
        return True
    return draft.workload.complete
