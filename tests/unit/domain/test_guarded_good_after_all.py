"""G3: a revision that failed runs well all the same, because its trip left the workload to its own controller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.support.builders import pending_pod
from tests.unit.domain.guarded_world import (
    GuardedWorld,
    completed,
    failing,
    protect,
    ready_many,
    tripped,
)
from tripswitch.domain.values.alarms import Alarms, AlarmSpec, TriggeredAlarm
from tripswitch.domain.values.protection import Mode, WorkloadKind
from tripswitch.domain.values.states import RolloutStatus


def _found_unwhole(kind: WorkloadKind = WorkloadKind.DEPLOYMENT) -> GuardedWorld:
    """Return a workload whose revision 1 failed: for 10 minutes one of its pods waited for a node."""
    world = protect(kind).change(complete=False)
    world.resize(1, *ready_many(1, 3), pending_pod("web-v1-3"))
    world.look()
    world.look(601.0)
    assert world.state() is RolloutStatus.FAILED
    return world


def _mend(world: GuardedWorld, number: int) -> GuardedWorld:
    """All pods of a revision become Ready now, and its controller calls the workload complete."""
    world.resize(number, *ready_many(number, 4, world.now)).change(complete=True)
    return world


@pytest.mark.parametrize("kind", list(WorkloadKind))
def test_g3_a_workload_that_was_not_whole_when_it_was_first_seen_completes_later(
    kind: WorkloadKind,
) -> None:
    """Else its next revision would have nothing to go back to."""
    world = _mend(_found_unwhole(kind), 1)
    assert world.look(599.0).wake_at == world.now + 1
    assert world.state() is RolloutStatus.FAILED
    world.look(1.0)
    assert world.state() is RolloutStatus.SUCCESSFUL
    assert world.status.memory.last_completed_revision == 1
    assert world.done == []


def test_g3_a_trip_that_was_only_reported_is_over_when_the_revision_runs_well() -> None:
    """G7: what mode Enforce goes back to later is what ran last, and not the revision before."""
    world = tripped(Mode.OBSERVE)
    _mend(world.resize(1), 2).look()
    world.look(600.0)
    assert world.state() is RolloutStatus.SUCCESSFUL
    assert world.status.memory.last_completed_revision == 2
    assert world.done == []


def _miss_a_pod(world: GuardedWorld) -> None:
    world.resize(1, *ready_many(1, 3, world.now))


def _incomplete(world: GuardedWorld) -> None:
    world.change(complete=False)


def _pause(world: GuardedWorld) -> None:
    world.change(paused=True, paused_by_others=True, holder="kubectl")


@pytest.mark.parametrize("change", [_miss_a_pod, _incomplete, _pause])
def test_g3_it_stays_failed_while_anything_is_missing(
    change: Callable[[GuardedWorld], None],
) -> None:
    world = _mend(_found_unwhole(), 1)
    change(world)
    world.look(700.0)
    assert world.state() is RolloutStatus.FAILED


def test_g3_a_revision_that_an_alarm_failed_does_not_complete_by_itself() -> None:
    """Nothing asks for the alarm any more, so a person decides."""
    world = _mend(_found_unwhole(), 1).settings(alarms=AlarmSpec(("Errors",)))
    alarms = Alarms(triggered_alarms=(TriggeredAlarm("Errors"),))
    status = replace(world.status, memory=replace(world.status.memory, alarms=alarms))
    world.breaker = replace(world.breaker, status=status)
    world.look(700.0)
    assert world.state() is RolloutStatus.FAILED


def test_g3_a_workload_that_is_held_stays_so() -> None:
    """B4: its pods are as they were at the trip, and a person decides."""
    world = failing(breaker=replace(completed().breaker.protection.breaker, rollback=False))
    world.settle()
    assert world.status.memory.hold is not None
    _mend(world.resize(1), 2).look(700.0)
    assert world.state() is RolloutStatus.FAILED
