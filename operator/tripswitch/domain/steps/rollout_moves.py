"""How a rollout begins and ends: in the breaker, in its revision's history and in the rollback target."""

from __future__ import annotations

from dataclasses import replace

from tripswitch.domain.rules import history, rollout_states
from tripswitch.domain.rules.breaker import begin_breaker
from tripswitch.domain.rules.rollout_states import Transition
from tripswitch.domain.steps.draft import Draft
from tripswitch.domain.values.replica_sets import ReplicaSetView
from tripswitch.domain.values.states import Reason, RolloutKind, RolloutState


def start_rollout(
    draft: Draft, revision: int, kind: RolloutKind, *, failed: int | None = None
) -> Draft:
    """Begin a rollout of a revision (B1, C1, C3).

    A revision that is rolled out leaves COMPLETED: until it is COMPLETED again it is nothing
    that could be rolled back to.
    """
    deploy = kind is RolloutKind.DEPLOY
    record = draft.record(revision)
    assert record is not None, "a rollout of a revision that history does not know"
    kept = draft.memory.last_completed_revision if deploy else None
    target, records = draft.replica_set(revision), draft.memory.circuit_breaker.failures
    begun = rollout_states.begin(
        revision,
        kind,
        draft.now,
        pending=deploy and draft.spec.paused,
        failed_revision=failed,
        healthy=draft.counts_of(revision).healthy,
    )
    has_base_line = draft.spec.breaker.enable and not _is_all_new(draft, target)
    breaker = begin_breaker(
        draft.spec,
        target if has_base_line else None,
        draft.now,
        failures=() if deploy else tuple(r for r in records if r.revision != revision),
        experience=history.find_experience(draft.memory.revisions, kept, revision),
    )
    memory = replace(
        draft.memory,
        last_completed_revision=None if kept == revision else kept,
        alarms=None if deploy else draft.memory.alarms,
    )
    return (
        _forget_storms(replace(draft, memory=memory), target)
        .with_memory(rollout=begun, breaker=breaker)
        .with_record(
            replace(record, rollout_state=RolloutState.IN_PROGRESS, finished_at=None, message="")
        )
    )


def _is_all_new(draft: Draft, target: ReplicaSetView | None) -> bool:
    """G2: whether all that a revision's pods show is of the rollout that begins.

    The controller of a guarded workload makes pods before the operator looks. If the operator knew the workload and not
    this revision, they were made for this rollout. With a healthy pod among them it cannot be told which
    failures were before that one and would have been forgotten (H2).
    """
    known = draft.snapshot.guarded.status.memory
    if draft.snapshot.protected is None or known.rollout is None or target is None:
        return False
    seen = any(record.replica_set == target.name for record in known.revisions)
    return not seen and draft.counts[target.name].healthy == 0


def _forget_storms(draft: Draft, target: ReplicaSetView | None) -> Draft:
    """R8: what is not rolled out any more is not raised any more, and has the size that it has."""
    name = "" if target is None else target.name
    kept = tuple(storm for storm in draft.memory.storms if storm.replica_set == name)
    dropped = {storm.replica_set for storm in draft.memory.storms if storm not in kept}
    counts = {
        rs.name: replace(draft.counts[rs.name], size=rs.size)
        for rs in draft.snapshot.replica_sets
        if rs.name in dropped
    }
    memory = replace(draft.memory, storms=kept)
    return replace(draft, memory=memory, counts={**draft.counts, **counts})


def finish_rollout(draft: Draft, cause: Transition, reason: Reason, message: str) -> Draft:
    """End the current rollout, and say so in its revision's history."""
    rollout = rollout_states.move(draft.rollout, cause, reason, message, draft.now)
    record = draft.record(rollout.revision)
    assert record is not None, "a rollout of a revision that history does not know"
    proved = cause is Transition.COMPLETED and draft.spec.replicas > 0
    return draft.with_memory(rollout=rollout).with_record(
        replace(
            record,
            rollout_state=rollout_states.STATE[rollout.status],
            finished_at=draft.now,
            completed_at=draft.now if proved else record.completed_at,
            message="" if cause is Transition.COMPLETED else message,
        )
    )
