"""Rules B1, B3 and B8: go back to the last completed revision, or stall where there is none."""

from __future__ import annotations

from dataclasses import replace

from tripswitch.domain.steps.announce import name_revision
from tripswitch.domain.steps.draft import Draft
from tripswitch.domain.steps.rollout_moves import start_rollout
from tripswitch.domain.values.decision import EventReason
from tripswitch.domain.values.protection import Mode
from tripswitch.domain.values.states import Reason, RolloutKind


def roll_back(draft: Draft, why: str) -> Draft:
    """B1: go back to the last completed revision; B3: stall where there is none (B8)."""
    failed = draft.rollout.revision
    candidate = draft.memory.last_completed_revision
    if candidate is None or draft.replica_set(candidate) is None:
        message = f"{why}; no completed revision to roll back to, {_tell_stall(draft)}"
        return draft.with_memory(
            rollout=replace(draft.rollout, reason=Reason.NO_COMPLETED_REVISION, message=message)
        ).say(EventReason.ROLLOUT_STALLED, f"revision {failed} stalled: {message}")
    if draft.only_reports:
        message = f"{why}; it would be rolled back to revision {candidate}, {_tell_stall(draft)}"
        return draft.with_memory(rollout=replace(draft.rollout, message=message))
    draft = start_rollout(draft, candidate, RolloutKind.ROLLBACK, failed=failed)
    return draft.with_memory(rollout=replace(draft.rollout, message=why)).say(
        EventReason.ROLLBACK_STARTED,
        f"rolling back from revision {failed} to {name_revision(draft, draft.rollout)}",
    )


def _tell_stall(draft: Draft) -> str:
    """Return what a trip without a rollback means: a guarded workload's own controller goes on (G1)."""
    if draft.snapshot.protected is None:
        return "nothing more is launched"
    observes = draft.snapshot.protected.protection.mode is Mode.OBSERVE
    return "nothing was changed" + (" (mode Observe)" if observes else "")
