"""Rule F9: pulls that fail for everybody are told, and are no failure of the revision."""

from __future__ import annotations

from tripswitch.domain.rules.image_names import find_registry
from tripswitch.domain.rules.registries import describe_outage, excuse_pulls, find_suffered
from tripswitch.domain.steps.draft import Draft
from tripswitch.domain.values.decision import EventReason
from tripswitch.domain.values.workload import PolicyRule

REGISTRY_OUTAGE = "RegistryOutage"
"""The type of the condition."""


def excuse_outages(draft: Draft) -> tuple[PolicyRule, ...]:
    """F8 and F9: the pulls of the current rollout that say nothing about its revision."""
    if draft.target is None:
        return ()
    proved = frozenset(
        find_registry(image)
        for record in draft.memory.revisions
        if record.completed_at is not None
        for image in record.images
    )
    return excuse_pulls(draft.target.pods, draft.snapshot.outages, proved)


def report_outages(draft: Draft) -> Draft:
    """Say once that a registry fails completed revisions, too; the condition has the latest numbers."""
    words = describe_outages(draft)
    told = any(condition.type == REGISTRY_OUTAGE for condition in draft.memory.conditions)
    return draft.say(EventReason.REGISTRY_OUTAGE, words) if words and not told else draft


def describe_outages(draft: Draft) -> str:
    """Return which outages the workload's own pods suffer from; empty if none."""
    pods = [pod for rs in draft.snapshot.replica_sets for pod in rs.pods]
    found = find_suffered(pods, draft.snapshot.outages)
    return "; ".join(describe_outage(outage, own) for outage, own in found)
