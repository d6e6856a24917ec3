"""Evidence in a decision: take what was found, and say what is still to be found out."""

from __future__ import annotations

from dataclasses import replace

from tripswitch.domain.rules import rollout_states
from tripswitch.domain.rules.evidence import (
    compute_topic,
    describe_evidence,
    find_inquiry,
    take_findings,
    waiting_topic,
)
from tripswitch.domain.rules.failure_words import describe_failure
from tripswitch.domain.steps.draft import Draft
from tripswitch.domain.values.decision import EventReason
from tripswitch.domain.values.failure import Failure
from tripswitch.domain.values.failure_cause import FailureKind
from tripswitch.domain.values.inquiry import Inquiry
from tripswitch.domain.values.memory import FailureRecord
from tripswitch.domain.values.pods import ContainerRole

SET_UP_SECONDS = 20.0
"""Seconds without progress after which the events of a pod that is being set up (volumes, network) are read."""
AGAIN_SECONDS = 60.0
"""Interval at which they are read again, in seconds."""

REASONS = {
    FailureKind.LAUNCH: EventReason.POD_LAUNCH_FAILED,
    FailureKind.HEALTH: EventReason.POD_HEALTH_CHECK_FAILED,
}


def use_evidence(draft: Draft) -> Draft:
    """Put what was found into the records, and tell each finding once."""
    before = draft.memory.circuit_breaker.failures
    draft = take(draft)
    for record in draft.memory.circuit_breaker.failures:
        if record.evidence is not None and record not in before:
            draft = _tell(draft, record, record.evidence.pod)
    return draft


def take(draft: Draft) -> Draft:
    """Put what was found into the records."""
    breaker = draft.memory.circuit_breaker
    records = take_findings(breaker.failures, draft.snapshot.findings)
    if records == breaker.failures:
        return draft
    return draft.with_memory(breaker=replace(breaker, failures=records))


def _tell(draft: Draft, record: FailureRecord, pod: str) -> Draft:
    words = describe_evidence(record.evidence, record.message)
    if not words:
        return draft
    if record.revision == draft.rollout.revision:
        return tell_failure(draft, record, f"pod {pod}")
    return draft.say(REASONS[record.cause.kind], f"pod {pod}: {describe_failure(record)}; {words}")


def tell_failure(draft: Draft, failure: Failure | FailureRecord, named: str) -> Draft:
    """Say that pods fail for a cause, how often anything failed so far, and what is known of it.

    However often it is said, it is one event for each cause in a revision.
    """
    revision, breaker = draft.rollout.revision, draft.memory.circuit_breaker
    cause = failure.cause
    evidence = (
        describe_evidence(record.evidence, record.message)
        for record in breaker.failures
        if (record.revision, record.cause) == (revision, cause)
    )
    words = next((f"; {found}" for found in evidence if found), "")
    message = f"{named}: {describe_failure(failure)} ({breaker.summary}){words}"
    return draft.say(REASONS[cause.kind], message, topic=compute_topic(revision, cause))


def ask_evidence(draft: Draft) -> tuple[Draft, tuple[Inquiry, ...]]:
    """Return what is still to be found out, and wake when there will be more to ask."""
    asked = [
        _name_container(draft, inquiry)
        for record in draft.memory.circuit_breaker.failures
        if (inquiry := find_inquiry(record, draft.now)) is not None
    ]
    pod = _find_creating(draft)
    if pod is None:
        return draft, tuple(asked)
    due = draft.rollout.progressed_at + SET_UP_SECONDS
    if due <= draft.now:
        asked.append(Inquiry(waiting_topic(draft.rollout.revision), pod, lasting=True))
        due += AGAIN_SECONDS * ((draft.now - due) // AGAIN_SECONDS + 1)
    return draft.wake(due), tuple(asked)


def _name_container(draft: Draft, inquiry: Inquiry) -> Inquiry:
    """Return the inquiry with the container, where the pod has only one and no event is needed to name it."""
    if inquiry.container is not None or not inquiry.log:
        return inquiry
    for rs in draft.snapshot.replica_sets:
        for pod in rs.pods:
            if pod.name == inquiry.pod:
                names = [c.name for c in pod.containers if c.role is ContainerRole.APP]
                return replace(inquiry, container=names[0]) if len(names) == 1 else inquiry
    return inquiry


def _find_creating(draft: Draft) -> str | None:
    """Return a pod of the target that is being set up. Its status does not say what is missing; its events do."""
    target = draft.target
    if target is None or draft.rollout.status not in rollout_states.RUNNING or draft.spec.paused:
        return None
    names = (pod.name for pod in target.pods if pod.being_set_up and pod.live)
    return min(names, default=None)
