"""How events name a revision, and the event about a rollout that begins."""

from __future__ import annotations

from tripswitch.domain.steps.draft import Draft
from tripswitch.domain.values.decision import EventReason
from tripswitch.domain.values.memory import Rollout
from tripswitch.domain.values.states import RolloutStatus


def announce_rollout(draft: Draft) -> Draft:
    """Say that the current rollout has begun, and what would trip it."""
    spec, rollout = draft.spec, draft.rollout
    held = ", paused" if rollout.status is RolloutStatus.PENDING else ""
    threshold = draft.memory.circuit_breaker.threshold
    breaker = f"trips at {threshold} failures" if spec.breaker.enable else "disabled"
    return draft.say(
        EventReason.ROLLOUT_STARTED,
        f"rollout of {name_revision(draft, rollout)} to {spec.replicas} replicas started{held}; "
        f"circuit breaker {breaker}",
    )


def name_revision(draft: Draft, rollout: Rollout) -> str:
    """Return a rollout's revision and its images, as in ``revision 2 (web:1.4)``."""
    records = (r for r in draft.memory.revisions if r.revision == rollout.revision)
    images = ", ".join(image for record in records for image in record.images)
    return f"revision {rollout.revision}" + (f" ({images})" if images else "")
