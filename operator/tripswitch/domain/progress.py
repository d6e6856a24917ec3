"""Which news can wait a second: numbers that move on by themselves and that nobody decides from.

A rollout of ten pods changes the counters of its status twenty times in two seconds. All of that is
computed again at every look, so it may be written a little later, in one go (rule W3: no more writes
than are of use). Whatever a restart could lose, and whatever somebody waits for, is never held back:
a failure, a trip, a new state, a command, an answer to a changed ``spec``.
"""

from __future__ import annotations

from dataclasses import replace

from tripswitch.domain.decision import Decision, ScaleReplicaSet
from tripswitch.domain.status import Counted, Seen, Status


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


def _without_numbers(status: Status) -> Status:
    rollout, breaker = status.rollout, status.circuit_breaker
    return replace(
        status,
        replicas=0,
        updated_replicas=0,
        ready_replicas=0,
        available_replicas=0,
        rollout_state_reason="",
        rollout=rollout and replace(rollout, healthy_high_water=0, progressed_at=0.0),
        circuit_breaker=replace(breaker, counted=_without_bests(breaker.counted)),
        revisions=tuple(replace(one, desired=0, running=0, healthy=0) for one in status.revisions),
        conditions=tuple(replace(one, message="") for one in status.conditions),
    )


def _without_bests(counted: tuple[Counted, ...]) -> tuple[Counted, ...]:
    """Without what pods have been at best; an entry that says nothing else is left out."""
    plain = (replace(entry, seen=Seen.NONE) for entry in counted)
    return tuple(entry for entry in plain if not entry.blank)
