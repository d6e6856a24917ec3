"""Rule W3: which decisions may be written a little later, together with others.

What only the report tells is computed again at every look. Of the memory, the same holds for what the pods
show: a failure still stands in its pod (F7), and a pod that is healthy is so a moment later. The declarations
of such fields say so (:mod:`tripswitch.domain.values.write_delay`). A rollout of ten pods changes such values
twenty times in two seconds, and ten pods that crash do so within a tenth of a second; each of these bursts is
one write. A guarded workload itself shows whether a hold is placed on it, and whether anything is left of one.

Anything else is written at once: a restart could lose it, or a person or a tool waits for it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import fields, is_dataclass, replace

from tripswitch.domain.values.decision import Decision, EventReason, PinImages, ScaleReplicaSet
from tripswitch.domain.values.memory import Counted
from tripswitch.domain.values.protection import Hold, HoldState
from tripswitch.domain.values.status import Status
from tripswitch.domain.values.write_delay import WRITE_DELAY, WriteDelay

FAILURES = frozenset({EventReason.POD_LAUNCH_FAILED, EventReason.POD_HEALTH_CHECK_FAILED})


def is_mere_progress(before: Status, decision: Decision) -> bool:
    """Whether a decision only brings numbers and sizes forward, or pins images to what pods run.

    Nothing is told, nothing failed, nothing is created, adopted, marked or deleted, and the memory is the
    same but for how far the pods have come.
    """
    return (
        not decision.events
        and not decision.failures
        and _only_resizes(decision)
        and _is_same(before.memory, decision.status.memory, {WriteDelay.PROGRESS})
    )


def is_mere_failure(before: Status, decision: Decision) -> bool:
    """Whether a decision only counts failures, or tells what was found out about some.

    Never if the count falls: the pod that was healthy (rule H2) may not be so a moment later.
    """
    memory, after = before.memory, decision.status.memory
    return (
        after.circuit_breaker.failure_count >= memory.circuit_breaker.failure_count
        and all(event.reason in FAILURES for event in decision.events)
        and _only_resizes(decision)
        and _is_same(memory, after, {WriteDelay.PROGRESS, WriteDelay.FAILURES})
    )


def has_step(decision: Decision) -> bool:
    """Whether a decision changes the size of a ReplicaSet."""
    return any(isinstance(action, ScaleReplicaSet) for action in decision.actions)


def _only_resizes(decision: Decision) -> bool:
    """Whether nothing is done but resizing, and pinning, which is done again with the next step (D1)."""
    return all(isinstance(action, ScaleReplicaSet | PinImages) for action in decision.actions)


def _is_same(before: object, after: object, may_wait: Collection[WriteDelay]) -> bool:
    """Return whether two values of the memory differ at most in fields that may wait."""
    before, after = _leave_out_sight(before), _leave_out_sight(after)
    if before == after:
        return True
    if isinstance(before, tuple) and isinstance(after, tuple):
        known, found = _leave_out_unmarked(before), _leave_out_unmarked(after)
        return len(known) == len(found) and all(
            _is_same(one, other, may_wait) for one, other in zip(known, found, strict=True)
        )
    if not is_dataclass(before) or type(before) is not type(after):
        return False
    return all(
        _is_same(getattr(before, field.name), getattr(after, field.name), may_wait)
        for field in fields(before)
        if field.metadata.get(WRITE_DELAY) not in may_wait
    )


def _leave_out_sight(value: object) -> object:
    """Leave out what the workload shows of a hold: a placed one counts as wanted, one that is released as none."""
    if not isinstance(value, Hold):
        return value
    if value.state is HoldState.RELEASING:
        return None
    return replace(value, state=HoldState.WANTED) if value.state is HoldState.PLACED else value


def _leave_out_unmarked(entries: Sequence[object]) -> list[object]:
    """Leave out the entries of pods that tell only what the pod was at best: they may come and go."""
    return [one for one in entries if not isinstance(one, Counted) or one.marked]
