"""G2: revisions of a guarded workload have the numbers that ``kubectl rollout history`` shows.

The controller of a Deployment or StatefulSet gives a revision that is applied again a new, higher number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tripswitch.domain.rules import history
from tripswitch.domain.steps.draft import Draft
from tripswitch.domain.values.memory import Memory


def renumber(draft: Draft) -> Draft:
    """Follow numbers that have changed, everywhere in the memory."""
    numbers = {rs.name: rs.revision for rs in draft.snapshot.replica_sets}
    taken = {record.revision for record in draft.memory.revisions}
    changed = {
        record.revision: numbers[record.replica_set]
        for record in draft.memory.revisions
        if numbers.get(record.replica_set, 0) > record.revision
        and numbers[record.replica_set] not in taken
    }
    if not changed:
        return draft
    return replace(draft, memory=_rename(draft.memory, changed))


def _rename(memory: Memory, changed: Mapping[int, int]) -> Memory:
    rollout = memory.rollout
    breaker = memory.circuit_breaker
    missing = memory.missing_references
    failures = tuple(
        replace(one, revision=changed.get(one.revision, one.revision)) for one in breaker.failures
    )
    return replace(
        memory,
        rollout=rollout
        and replace(
            rollout,
            revision=changed.get(rollout.revision, rollout.revision),
            failed_revision=_follow(rollout.failed_revision, changed),
        ),
        desired_revision=_follow(memory.desired_revision, changed),
        last_completed_revision=_follow(memory.last_completed_revision, changed),
        circuit_breaker=replace(breaker, failures=failures),
        missing_references=missing
        and replace(missing, revision=changed.get(missing.revision, missing.revision)),
        revisions=history.newest_first(
            replace(one, revision=changed.get(one.revision, one.revision))
            for one in memory.revisions
        ),
    )


def _follow(number: int | None, changed: Mapping[int, int]) -> int | None:
    return None if number is None else changed.get(number, number)
