"""What must hold of what a status says is missing for a rollback (rule B9), judged by what was listed."""

from __future__ import annotations

from collections.abc import Sequence

from tests.sim.guard_people import is_of
from tests.sim.operator import Look
from tripswitch.domain.values.memory import Memory, Revision
from tripswitch.domain.values.references import NO_REFERENCES, MissingReferences, References
from tripswitch.domain.values.states import RolloutKind
from tripswitch.domain.values.workload import Template

Names = frozenset[tuple[str, str]]
"""Kinds and names."""


class ReferenceLaws:
    """Knows what each template names."""

    def __init__(self, templates: Sequence[Template]) -> None:
        self._templates = templates

    def find_named(self, candidate: Revision | None) -> References:
        """Return what the template of a revision names."""
        if candidate is None:
            return NO_REFERENCES
        found = (one.references for one in self._templates if is_of(candidate, one))
        return next(found, NO_REFERENCES)

    def check_look(self, look: Look) -> list[str]:
        """B9: the status tells what the lists did not have of what the candidate names, and nothing else."""
        memory, question = look.decision.status.memory, look.decision.references
        told, candidate = memory.missing_references, find_candidate(memory)
        named = self.find_named(candidate)
        asked = NO_REFERENCES if question is None else question.references
        there = candidate is not None and any(
            rs.name == candidate.replica_set and not rs.deleting
            for rs in look.snapshot.replica_sets
        )
        if asked != named and (there or asked != NO_REFERENCES):
            return [f"{asked} are asked for, and {candidate} names {named} (B9)"]
        if told is not None and (candidate is None or told.revision != candidate.revision):
            return [f"{told} is told, and a rollback goes back to {candidate} (B9)"]
        if not list_names(told) <= list_names(asked):
            return [f"{told} is told, and what was asked for is {asked} (B9)"]
        if look.lookup is not None and look.lookup.asked == asked:
            missing = look.lookup.find_missing()
            if list_names(missing) != list_names(told):
                return [f"{missing} is missing by the lists, and the status says {told} (B9)"]
        elif not list_names(told) <= list_names(
            look.snapshot.guarded.status.memory.missing_references
        ):
            return [f"{told} is told, and nothing was listed for it (B9)"]
        return []


def find_candidate(memory: Memory) -> Revision | None:
    """Return the revision that a rollback would go back to, or goes back to."""
    rollout, number = memory.rollout, memory.last_completed_revision
    if number is None and rollout is not None and rollout.kind is RolloutKind.ROLLBACK:
        number = rollout.revision
    return next((one for one in memory.revisions if one.revision == number), None)


def list_names(told: References | MissingReferences | None) -> Names:
    """Return kinds and names of what is told to be missing."""
    if told is None:
        return frozenset()
    maps = {("ConfigMap", name) for name in told.config_maps}
    return frozenset(maps | {("ServiceAccount", name) for name in told.service_accounts})
