"""Rule W2: history that only the ReplicaSets know, and names of ReplicaSets that something else has."""

from __future__ import annotations

from dataclasses import replace

from tripswitch.domain.rules import history
from tripswitch.domain.steps.draft import Draft
from tripswitch.domain.values.memory import Revision, Rollout
from tripswitch.domain.values.states import Reason, RolloutKind, RolloutStatus, Stage


def restore_history(draft: Draft) -> Draft:
    """W2: an object whose status was lost finds its history on its ReplicaSets.

    Also one that began anew before its orphans could be seen: they are history, too.
    """
    revisions = history.restore(draft.memory.revisions, draft.snapshot.replica_sets)
    if draft.memory.rollout is None:
        return _restore_lost_status(draft, revisions)
    return _add_late_orphans(draft, revisions)


def _add_late_orphans(draft: Draft, revisions: tuple[Revision, ...]) -> Draft:
    """Add revisions found after a rollout had begun, and what it may roll back to."""
    known = draft.memory.revisions
    draft = draft.with_memory(revisions=revisions)
    proved_before = any(record.completed_at is not None for record in known)
    if draft.rollout.kind is RolloutKind.ROLLBACK or proved_before:
        return draft
    found = history.select_last_completed(r for r in revisions if r not in known)
    if found is None or found.revision == draft.rollout.revision:
        return draft
    return replace(draft, memory=replace(draft.memory, last_completed_revision=found.revision))


def _restore_lost_status(draft: Draft, revisions: tuple[Revision, ...]) -> Draft:
    """Begin from the ReplicaSets alone; if the wanted revision completed, it is what runs."""
    last = history.select_last_completed(revisions)
    memory = replace(
        draft.memory,
        revisions=revisions,
        last_completed_revision=None if last is None else last.revision,
    )
    if last is not None and last.digest == draft.spec.template.digest:
        finished = history.restored_at(last)
        running = Rollout(
            revision=last.revision,
            kind=RolloutKind.DEPLOY,
            status=RolloutStatus.SUCCESSFUL,
            started_at=finished,
            finished_at=finished,
            reason=Reason.ROLLOUT_COMPLETED,
            message="history was found again on the ReplicaSets",
            progressed_at=finished,
        )
        # S1: it ran before, also if that part of the status was lost.
        breaker = replace(memory.circuit_breaker, stage=Stage.HEALTH)
        memory = replace(
            memory,
            rollout=running,
            desired_revision=last.revision,
            circuit_breaker=breaker,
        )
    return replace(draft, memory=memory)


def rename_on_collision(draft: Draft) -> Draft:
    """Give the desired revision another name where something else already has it."""
    error = draft.snapshot.create_error
    record = history.find_wanted(
        draft.memory.revisions, draft.spec.template.digest, draft.memory.desired_revision
    )
    if (
        error is None
        or not error.name_taken
        or record is None
        or error.replica_set != record.replica_set
    ):
        return draft
    taken = {other.replica_set for other in draft.memory.revisions}
    collisions, name = draft.memory.collision_count, record.replica_set
    while name in taken:
        collisions += 1
        name = history.compute_replica_set_name(
            draft.snapshot.guarded.name, record.digest, collisions
        )
    memory = replace(draft.memory, collision_count=collisions)
    return replace(draft, memory=memory).with_record(replace(record, replica_set=name))
