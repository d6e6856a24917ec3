"""A rollout without a cluster, moment after moment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from tripswitch.domain.rules import rollout_states
from tripswitch.domain.rules.bounds import Bounds, compute_bounds
from tripswitch.domain.rules.threshold import compute_threshold
from tripswitch.domain.values.decision import Event
from tripswitch.domain.values.snapshot import Guarded
from tripswitch.domain.values.status import Status
from tripswitch.simulation.cluster import Look, SimulatedCluster
from tripswitch.simulation.script import Script


@dataclass(frozen=True, slots=True)
class Size:
    """A revision at one moment."""

    revision: int
    pods: int
    healthy: int


@dataclass(frozen=True, slots=True)
class Step:
    """One moment at which something happened; ``at`` is in seconds after the rollout began."""

    at: float
    rollout: str
    stage: str
    count: int
    threshold: int
    sizes: tuple[Size, ...]
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class SimulatedRollout:
    """A whole simulated rollout. ``looks`` lists every call of ``decide``, for checks of the rules."""

    threshold: int
    bounds: Bounds
    steps: tuple[Step, ...]
    reason: str
    completed: bool
    ended: bool
    looks: tuple[Look, ...] = field(default=(), repr=False)


def simulate_rollout(
    guarded: Guarded, script: Script, *, first: bool, seconds: float
) -> SimulatedRollout:
    """Play a rollout.

    Args:
        guarded: The object as it would be applied.
        script: What happens to its pods.
        first: It is the very first rollout; otherwise an earlier revision runs and has completed.
        seconds: When to give up.
    """
    template = guarded.spec.template
    cluster = SimulatedCluster(replace(guarded, status=Status(), generation=0))
    if not first:
        before = replace(template, digest="the revision before", images=("before",))
        cluster.apply(before, Script())
        for _ in _run(cluster, seconds):
            pass
        cluster.now += 60.0
        cluster.looks.clear()
    cluster.apply(template, script)
    if script.node_lost_at is not None:
        cluster.lose_first_node(cluster.now + script.node_lost_at)
    steps = tuple(_leave_out_unchanged(_run(cluster, seconds)))
    rollout = str(steps[-1].rollout)
    return SimulatedRollout(
        threshold=compute_threshold(guarded.spec.breaker, guarded.spec.replicas),
        bounds=compute_bounds(guarded.spec.strategy, guarded.spec.replicas),
        steps=steps,
        reason=cluster.guarded.status.report.rollout_state_reason,
        completed=rollout == "SUCCESSFUL",
        ended=rollout not in rollout_states.OPEN,
        looks=tuple(cluster.looks),
    )


def _run(cluster: SimulatedCluster, seconds: float) -> Iterator[Step]:
    """Yield each moment at which something happens, until the rollout is no longer open."""
    began, until = cluster.now, cluster.now + seconds
    while True:
        events = cluster.settle()
        yield _describe(cluster, cluster.now - began, events)
        following = cluster.find_next_moment()
        if following is None or following > until:
            return
        cluster.advance(following)


def _describe(cluster: SimulatedCluster, at: float, events: tuple[Event, ...]) -> Step:
    memory, report = cluster.guarded.status.memory, cluster.guarded.status.report
    assert memory.rollout is not None
    pods, healthy = cluster.count_pods(), {one.revision: one.healthy for one in report.revisions}
    return Step(
        at=round(at, 3),
        rollout=str(memory.rollout.status),
        stage=str(memory.circuit_breaker.stage),
        count=memory.circuit_breaker.failure_count,
        threshold=memory.circuit_breaker.threshold,
        sizes=tuple(
            Size(record.revision, pods.get(record.revision, 0), healthy[record.revision])
            for record in sorted(memory.revisions, key=lambda record: record.revision)
        ),
        events=events,
    )


def _leave_out_unchanged(steps: Iterator[Step]) -> Iterator[Step]:
    """Leave out moments at which nothing that is shown changed."""
    last: Step | None = None
    for step in steps:
        if last is None or step.events or replace(step, at=last.at, events=last.events) != last:
            yield step
            last = step
