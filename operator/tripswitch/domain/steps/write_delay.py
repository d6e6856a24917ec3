"""Which news can wait: numbers a second, failures that trip nothing yet a quarter of one.

A rollout of ten pods changes the counters of its status twenty times in two seconds. All of that is
computed again at every look, so it may be written a little later, in one go (rule W3: no more writes
than are of use). Ten pods that crash do so within a tenth of a second; each of those failures still
stands in its pod (rule F7), so they may be counted in one write, too. News that a restart could lose,
and news that a person or a tool waits for, are never held back: a trip, a new state, a command, an answer to a
changed ``spec``, a pod to be replaced.
"""

from __future__ import annotations

from dataclasses import replace

from tripswitch.domain.values.decision import Decision, EventReason, ScaleReplicaSet
from tripswitch.domain.values.status import Counted, Revision, Seen, Status

FAILURES = frozenset({EventReason.POD_LAUNCH_FAILED, EventReason.POD_HEALTH_CHECK_FAILED})


def is_mere_progress(before: Status, decision: Decision) -> bool:
    """Whether a decision only brings numbers and sizes forward.

    Nothing is told, nothing failed, nothing is created, adopted, marked or deleted, and the status
    differs in counters, in sentences and in the best that pods have been so far.
    """
    return (
        not decision.events
        and not decision.failures
        and all(isinstance(action, ScaleReplicaSet) for action in decision.actions)
        and _without_numbers(before) == _without_numbers(decision.status)
    )


def is_mere_failure(before: Status, decision: Decision) -> bool:
    """Whether a decision only counts failures, or tells what was found out about some.

    Never if the count falls: the pod that was healthy (rule H2) may not be so a moment later.
    """
    count, counted = before.circuit_breaker.failure_count, decision.status.circuit_breaker
    return (
        counted.failure_count >= count
        and all(event.reason in FAILURES for event in decision.events)
        and all(isinstance(action, ScaleReplicaSet) for action in decision.actions)
        and _without_failures(before) == _without_failures(decision.status)
    )


def _without_failures(status: Status) -> Status:
    plain = _without_numbers(status)
    breaker = replace(plain.circuit_breaker, failure_count=0, counted=(), failures=())
    return replace(
        plain,
        circuit_breaker=breaker,
        revisions=tuple(replace(one, failed_tasks=0) for one in plain.revisions),
    )


def _without_numbers(status: Status) -> Status:
    rollout, breaker = status.rollout, status.circuit_breaker
    return replace(
        status,
        replicas=0,
        updated_replicas=0,
        ready_replicas=0,
        available_replicas=0,
        rollout_state_reason="",
        rollout=rollout and replace(rollout, healthy_high_water=0, progressed_at=0.0, held_at=None),
        circuit_breaker=replace(breaker, counted=_without_bests(breaker.counted), unlisted=None),
        revisions=tuple(_without_counts(one) for one in status.revisions),
        conditions=tuple(replace(one, message="") for one in status.conditions),
    )


def _without_counts(record: Revision) -> Revision:
    return replace(record, desired=0, running=0, healthy=0, ready_seconds=None)


def _without_bests(counted: tuple[Counted, ...]) -> tuple[Counted, ...]:
    """Without what pods have been at best; an entry that says nothing else is left out."""
    plain = (replace(entry, seen=Seen.NONE) for entry in counted)
    return tuple(entry for entry in plain if not entry.blank)
