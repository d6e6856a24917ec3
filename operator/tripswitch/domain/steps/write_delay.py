"""Rule W3: which decisions may be written a little later, together with others, and how much later.

What only the report tells is computed again at every look. Of the memory, the same holds for what the pods
show: a failure still stands in its pod (F7), and a pod that is healthy is so a moment later. A rollout of
ten pods changes such values twenty times in two seconds, and ten pods that crash do so within a tenth of a
second; each of these bursts is one write.

Anything else is written at once: a restart could lose it, or a person or a tool waits for it.
"""

from __future__ import annotations

from dataclasses import replace

from tripswitch.domain.values.decision import Decision, EventReason, ScaleReplicaSet
from tripswitch.domain.values.memory import Breaker, Counted, Memory
from tripswitch.domain.values.states import BestState
from tripswitch.domain.values.status import Status

FAILURES = frozenset({EventReason.POD_LAUNCH_FAILED, EventReason.POD_HEALTH_CHECK_FAILED})


def is_mere_progress(before: Status, decision: Decision) -> bool:
    """Whether a decision only brings numbers and sizes forward.

    Nothing is told, nothing failed, nothing is created, adopted, marked or deleted, and the memory is the
    same but for how far the pods have come.
    """
    after = decision.status.memory
    return (
        not decision.events
        and not decision.failures
        and _only_scales(decision)
        and _without_progress(before.memory) == _without_progress(after)
    )


def is_mere_failure(before: Status, decision: Decision) -> bool:
    """Whether a decision only counts failures, or tells what was found out about some.

    Never if the count falls: the pod that was healthy (rule H2) may not be so a moment later.
    """
    memory, after = before.memory, decision.status.memory
    return (
        after.circuit_breaker.failure_count >= memory.circuit_breaker.failure_count
        and all(event.reason in FAILURES for event in decision.events)
        and _only_scales(decision)
        and _without_failures(memory) == _without_failures(after)
    )


def _only_scales(decision: Decision) -> bool:
    return all(isinstance(action, ScaleReplicaSet) for action in decision.actions)


def _without_progress(memory: Memory) -> Memory:
    """Return the memory without how far pods have come: the clock of P1, their best states, their times."""
    rollout, breaker = memory.rollout, memory.circuit_breaker
    return replace(
        memory,
        rollout=rollout and replace(rollout, healthy_high_water=0, progressed_at=0.0, held_at=None),
        circuit_breaker=replace(breaker, counted=_find_marks(breaker), unlisted=None),
        revisions=tuple(replace(one, ready_seconds=None) for one in memory.revisions),
    )


def _without_failures(memory: Memory) -> Memory:
    """Return the memory without how far pods have come and which of their failures were counted."""
    plain = _without_progress(memory)
    return replace(
        plain,
        circuit_breaker=replace(plain.circuit_breaker, failure_count=0, counted=(), failures=()),
        revisions=tuple(replace(one, failed_tasks=0) for one in plain.revisions),
    )


def _find_marks(breaker: Breaker) -> tuple[Counted, ...]:
    """Return what was counted of pods; an entry that tells only what its pod was at best is left out."""
    plain = (replace(entry, best_state=BestState.NONE) for entry in breaker.counted)
    return tuple(entry for entry in plain if not entry.blank)
