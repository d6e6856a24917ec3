"""What must hold of any decision about any snapshot, asked by asking ``decide`` again.

``tests.support.invariants`` judges one decision on its own. These laws compare decisions: the same
snapshot again, in another order, a little later, in a world full of disruptions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tests.sim.operator import Decide
from tripswitch.domain.values.decision import Decision
from tripswitch.domain.values.pods import PodView
from tripswitch.domain.values.snapshot import Snapshot
from tripswitch.domain.values.time import Instant

A_DAY = 86_400.0


def check_laws(decide: Decide, snapshot: Snapshot, decision: Decision, now: Instant) -> list[str]:
    """Return the laws that a decision breaks, in words; none when all is well."""
    return [
        *_settles(decide, snapshot, decision, now),
        *_knows_no_order(decide, snapshot, decision, now),
        *_sleeps(decide, snapshot, decision, now),
        *_counts_no_disruption(decide, snapshot, now),
    ]


def _settles(decide: Decide, snapshot: Snapshot, decision: Decision, now: Instant) -> Iterator[str]:
    """W1, W3: the same snapshot again, with what was written, finds nothing more."""
    again = decide(_written(snapshot, decision), now)
    if again.status != decision.status:
        yield "a second look at the same snapshot writes another status (W3)"
    if again.actions != decision.actions:
        yield "a second look at the same snapshot acts differently (W1)"
    if again.events or again.failures:
        yield f"a second look tells more: {again.events} {again.failures} (F7)"


def _knows_no_order(
    decide: Decide, snapshot: Snapshot, decision: Decision, now: Instant
) -> Iterator[str]:
    """F7: pods and ReplicaSets come in any order, from a list or a watch."""
    turned = tuple(
        replace(rs, pods=tuple(reversed(rs.pods))) for rs in reversed(snapshot.replica_sets)
    )
    other = decide(replace(snapshot, replica_sets=turned), now)
    if other.status != decision.status or other.wake_at != decision.wake_at:
        yield "another order of pods gives another status"
    if set(other.actions) != set(decision.actions):
        yield "another order of pods gives other actions"
    if other.events != decision.events or other.failures != decision.failures:
        yield "another order of pods tells something else"


def _sleeps(decide: Decide, snapshot: Snapshot, decision: Decision, now: Instant) -> Iterator[str]:
    """Until ``wake_at`` time alone changes nothing: whoever sleeps until then misses nothing."""
    end = now + A_DAY if decision.wake_at is None else decision.wake_at - 0.001
    # Ahead of a clock that was just set back are outages that it has seen already.
    ahead = [one.began - 0.001 for one in snapshot.sight.standstills if one.began > now]
    end = min(end, *ahead, end)
    written = _written(snapshot, decision)
    for moment in {round(now + (end - now) / 2, 3), round(end, 3)}:
        if moment <= now:
            continue
        later = decide(written, moment)
        if later.status != decision.status or later.actions != decision.actions:
            yield f"{moment - now:.3f} s later it decides differently, and was not to be woken"


def _counts_no_disruption(decide: Decide, snapshot: Snapshot, now: Instant) -> Iterator[str]:
    """F5: what pods show that are being taken away is never counted."""
    for words, changes in (("disrupted", {"disrupted": True}), ("deleted", {"deleting": True})):
        struck = tuple(
            replace(rs, pods=tuple(_strike(pod, changes) for pod in rs.pods))
            for rs in snapshot.replica_sets
        )
        if decide(replace(snapshot, replica_sets=struck), now).failures:
            yield f"failures of {words} pods are counted (F5)"


def _strike(pod: PodView, changes: dict[str, bool]) -> PodView:
    return replace(pod, **changes)  # type: ignore[arg-type]


def _written(snapshot: Snapshot, decision: Decision) -> Snapshot:
    """The snapshot of the next look, if nothing but the status has changed."""
    guarded, protected = replace(snapshot.guarded, status=decision.status), snapshot.protected
    if protected is not None:
        # It is known by the memory that is stored whether the workload was made again.
        protected = replace(protected, made_anew=False)
    return replace(snapshot, guarded=guarded, protected=protected)
