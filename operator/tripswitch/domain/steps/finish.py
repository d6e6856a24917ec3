"""What every decision ends with, whichever kind of workload it is about."""

from __future__ import annotations

from dataclasses import replace

from tripswitch.domain.rules.sight import merge_needs
from tripswitch.domain.steps.draft import Draft
from tripswitch.domain.values.sight import Check


def drop_lost_rollback_target(draft: Draft) -> Draft:
    """B8: a completed revision whose ReplicaSet is gone, and cannot be made again, is no candidate."""
    last = draft.record(draft.memory.last_completed_revision)
    lost = last is None or (
        draft.replica_set(last.revision) is None and last.digest != draft.spec.template.digest
    )
    if draft.memory.last_completed_revision is None or not lost:
        return draft
    return replace(draft, memory=replace(draft.memory, last_completed_revision=None))


def find_check(draft: Draft) -> Check | None:
    """Rules V: what has to be read anew before a verdict by time."""
    target, need = draft.target, merge_needs(draft.needs)
    if target is None or need is None:
        return None
    pods = need.pods or need.events
    return Check(target.name, target.uid, need.nodes, need.events, pods)
