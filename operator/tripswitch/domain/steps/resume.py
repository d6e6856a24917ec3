"""Rule R7: the end of a pause."""

from __future__ import annotations

from dataclasses import replace

from tripswitch.domain.rules import rollout_states
from tripswitch.domain.rules.breaker import take_base_line
from tripswitch.domain.rules.hooks import put_off
from tripswitch.domain.rules.rollout_states import Transition
from tripswitch.domain.steps.draft import Draft
from tripswitch.domain.values.states import Reason, RolloutStatus


def resume(draft: Draft) -> Draft:
    """R7: end a pause. Failures during the pause are not counted, and the progress clock runs again."""
    rollout, paused_at = draft.rollout, draft.rollout.paused_at
    if draft.spec.paused or rollout.status not in rollout_states.OPEN or paused_at is None:
        return draft
    if rollout.status is RolloutStatus.PENDING:
        rollout = rollout_states.move(
            rollout, Transition.LAUNCHED, Reason.ROLLOUT_IN_PROGRESS, rollout.message, draft.now
        )
    stood_still = max(0.0, draft.now - paused_at)
    rollout = replace(
        rollout,
        paused_at=None,
        progressed_at=round(rollout.progressed_at + stood_still, 3),
        hooks=put_off(rollout.hooks, stood_still),
    )
    breaker = draft.memory.circuit_breaker
    if draft.spec.breaker.enable:
        breaker = take_base_line(breaker, draft.target, draft.spec, draft.now, draft.experience)
    return draft.with_memory(rollout=rollout, breaker=breaker)
