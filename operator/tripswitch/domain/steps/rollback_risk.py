"""Rule B9: what the revision that a rollback would go back to needs, and what of it is missing.

A rollback starts pods from an old template. What that template names may have been deleted since: a tool that
prunes deletes the ConfigMap of the old revision when the new one is applied. A condition says so before a rollback
needs it. Nothing is ever decided by it.
"""

from __future__ import annotations

from dataclasses import replace

from tripswitch.domain.rules import rollout_states
from tripswitch.domain.rules.references import describe_missing, find_gone_images
from tripswitch.domain.rules.workloads import find_risk
from tripswitch.domain.steps.draft import Draft
from tripswitch.domain.steps.pin_images import describe_gone_images
from tripswitch.domain.values.decision import EventReason
from tripswitch.domain.values.memory import Revision
from tripswitch.domain.values.references import (
    NO_REFERENCES,
    MissingReferences,
    ReferenceQuestion,
    References,
)
from tripswitch.domain.values.states import Reason, RolloutKind

ROLLBACK_AT_RISK = "RollbackAtRisk"
"""The condition's type. It is there only while it is True."""

MOST_NAMES = 20
"""No more ConfigMaps than this are written down; the others come when these are there again."""


def watch_references(draft: Draft) -> Draft:
    """Write down what is missing, and say so once.

    What was written down stays until there is a reading of the same references: after a restart there is none yet.
    """
    candidate = _find_candidate(draft)
    missing = None if candidate is None else _find_missing(draft, candidate)
    draft = replace(draft, memory=replace(draft.memory, missing_references=missing))
    words = describe_risk(draft)
    told = any(
        condition.type == ROLLBACK_AT_RISK and condition.reason is Reason.REVISION_INCOMPLETE
        for condition in draft.memory.conditions
    )
    return draft.say(EventReason.ROLLBACK_AT_RISK, words) if words and not told else draft


def ask_references(draft: Draft) -> ReferenceQuestion | None:
    """Return what has to be looked up; None if there is nothing that a rollback would need."""
    candidate = _find_candidate(draft)
    wanted = NO_REFERENCES if candidate is None else _find_references(draft, candidate)
    if wanted == NO_REFERENCES:
        return None
    return ReferenceQuestion(
        wanted,
        urgent=draft.rollout.status in rollout_states.OPEN,
        told=draft.memory.missing_references is not None,
    )


def describe_risk(draft: Draft) -> str:
    """Return why new pods of the rollback's revision would not start; empty if nothing speaks for it."""
    candidate = _find_candidate(draft)
    if candidate is None:
        return ""
    missing, number = draft.memory.missing_references, candidate.revision
    told = [] if missing is None else [describe_missing(missing)]
    replica_set = draft.replica_set(number)
    waited = () if replica_set is None else find_gone_images(replica_set.pods)
    if gone := describe_gone_images(draft, number):
        told.append(gone)
    elif waited:
        told.append(f"the registry no longer has {', '.join(waited)}: push that image again")
    head = f"new pods of revision {number}, which a rollback goes back to, cannot start"
    return f"{head}: {'; '.join(told)}" if told else ""


def describe_workload_risk(draft: Draft) -> str:
    """Return why the workload's own controller may thwart a rollback (rules G); empty without a breaker."""
    if draft.snapshot.protected is None:
        return ""
    return find_risk(draft.workload, draft.spec, _count_newer(draft))


def _count_newer(draft: Draft) -> int:
    """Return how many old ReplicaSets are newer than the one that a rollback goes back to."""
    candidate, target = _find_candidate(draft), draft.counts_of(draft.rollout.revision).name
    if candidate is None:
        return 0
    others = (rs for rs in draft.snapshot.replica_sets if rs.name != target and not rs.deleting)
    return sum(rs.revision > candidate.revision for rs in others)


def _find_candidate(draft: Draft) -> Revision | None:
    """Return the revision that a rollback would go back to, or goes back to."""
    completed = draft.record(draft.memory.last_completed_revision)
    if completed is None and draft.rollout.kind is RolloutKind.ROLLBACK:
        return draft.record(draft.rollout.revision)
    return completed


def _find_references(draft: Draft, candidate: Revision) -> References:
    """Return what a revision names; one without a ReplicaSet would be made from the spec's template (B8)."""
    replica_set = draft.replica_set(candidate.revision)
    if replica_set is not None:
        return replica_set.template.references
    template = draft.spec.template
    return template.references if template.digest == candidate.digest else NO_REFERENCES


def _find_missing(draft: Draft, candidate: Revision) -> MissingReferences | None:
    wanted, reading = _find_references(draft, candidate), draft.snapshot.references
    if wanted == NO_REFERENCES:
        return None
    if reading is None or reading.asked != wanted:
        before = draft.memory.missing_references
        return before if before is not None and before.revision == candidate.revision else None
    if reading.missing == NO_REFERENCES:
        return None
    found = reading.missing
    names = found.config_maps[:MOST_NAMES]
    return MissingReferences(candidate.revision, names, found.service_accounts)
