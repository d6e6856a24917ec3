"""Rules F and G2: which failures of a guarded workload's revision are older than its rollout, and which are not."""

from __future__ import annotations

import pytest

from tests.support.builders import (
    crashing_pod,
    pending_pod,
    pod,
    ready_pod,
    restarted,
    stuck_pod,
)
from tests.unit.domain.guarded_world import completed, protect
from tripswitch.domain.values.hold_actions import HoldWorkload
from tripswitch.domain.values.protection import WorkloadKind
from tripswitch.domain.values.states import RolloutStatus

KINDS = list(WorkloadKind)


@pytest.mark.parametrize("kind", KINDS)
def test_g2_a_failure_of_a_new_revision_counts_although_it_came_before_the_first_look(
    kind: WorkloadKind,
) -> None:
    """Its pods were made for this rollout: nothing that they show is older (found by the soak)."""
    world = completed(kind, 6)
    world.roll(2, *(stuck_pod(f"web-v2-{n}", "CreateContainerConfigError") for n in range(3)))
    world.look()
    assert world.status.memory.circuit_breaker.failures[0].count == 3
    assert any(isinstance(one, HoldWorkload) for one in world.done)


def test_g2_a_new_revision_that_is_healthy_in_part_begins_with_a_base_line() -> None:
    """An operator that was away cannot tell which failures were before the last healthy pod (H2)."""
    world = completed(WorkloadKind.DEPLOYMENT, 6)
    ready = [ready_pod(f"web-v2-{n}", world.now) for n in range(3)]
    world.roll(2, *ready, *(crashing_pod(f"web-v2-{n}", 2) for n in range(3, 6)))
    world.look()
    assert world.status.memory.circuit_breaker.failure_count == 0
    assert world.done == []


def test_h2_a_good_rollout_in_which_each_pod_crashed_once_outlives_an_operator_that_was_away() -> (
    None
):
    """One after the other they crashed and became healthy: no more than one failure counted at a time."""
    world = completed(WorkloadKind.DEPLOYMENT, 6)
    world.roll(2, pending_pod("web-v2-0")).look()
    since = world.now + 20
    again = [pod(f"web-v2-{n}", restarted(1, since), ready_since=since) for n in range(6)]
    world.resize(1).resize(2, *again).change(complete=True).look(300.0)
    assert world.state() is RolloutStatus.SUCCESSFUL
    assert world.done == []


def test_g2_failures_of_a_revision_that_was_known_before_are_a_base_line() -> None:
    """Revision 1 is applied again while pods of it that crashed before are still there."""
    world = completed(WorkloadKind.DEPLOYMENT, 6)
    world.roll(2, ready_pod("web-v2-0", world.now)).look()
    world.roll(1, *(crashing_pod(f"web-v1-{n}", 2) for n in range(6))).look()
    assert world.status.memory.circuit_breaker.failure_count == 0


def test_g2_failures_before_the_workload_was_ever_seen_are_a_base_line() -> None:
    """G2: a breaker that is made in the middle of a rollout cannot tell when each failure was."""
    world = protect(WorkloadKind.DEPLOYMENT, 6)
    world.roll(2, *(crashing_pod(f"web-v2-{n}", 2) for n in range(3)))
    world.look()
    assert world.status.memory.circuit_breaker.failure_count == 0
