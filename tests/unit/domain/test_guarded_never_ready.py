"""ADR 19: pods of a guarded workload that never become Ready count once each (F4), and P1 ends their rollout."""

from __future__ import annotations

import pytest

from tests.support.builders import ready_pod, unready_pod
from tests.unit.domain.guarded_world import GuardedWorld, completed, ready_many
from tripswitch.domain.values.decision import DeletePod
from tripswitch.domain.values.hold_actions import HoldWorkload
from tripswitch.domain.values.protection import WorkloadKind
from tripswitch.domain.values.states import RolloutStatus
from tripswitch.domain.values.time import Instant

KINDS = list(WorkloadKind)


def _roll_never_ready(kind: WorkloadKind, replicas: int, **settings: int) -> GuardedWorld:
    """Return a workload of which the first pod of revision 2 runs and does not become Ready."""
    world = completed(kind, replicas, **settings)
    kept = replicas if kind is WorkloadKind.DEPLOYMENT else replicas - 1
    world.roll(2, unready_pod(f"web-v2-{replicas - 1}", world.now))
    world.resize(1, *ready_many(1, kept)).look()
    return world


def _find_trip(world: GuardedWorld, seconds: int, step: int = 20) -> Instant | None:
    """Look again and again; return after how many seconds the workload was held, None if it was not."""
    began = world.now
    while world.now < began + seconds:
        actions = world.look(step).actions
        if any(isinstance(one, HoldWorkload) for one in actions):
            return world.now - began
        assert not any(isinstance(one, DeletePod) for one in actions), "a pod that is not ours"
    return None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("replicas", [1, 2, 3, 4])
def test_a_revision_that_is_never_ready_trips_at_its_progress_deadline(
    kind: WorkloadKind, replicas: int
) -> None:
    """One new pod at a time counts once, which is below any threshold."""
    world = _roll_never_ready(kind, replicas)
    assert _find_trip(world, 900) == pytest.approx(600, abs=20)
    world.resize(2).resize(1, *ready_many(1, replicas)).settle(later=20.0)
    assert world.state() is RolloutStatus.ROLLBACK_SUCCESSFUL
    counted = [one for one in world.status.memory.circuit_breaker.failures if one.revision == 2]
    assert [(one.cause.reason, one.count) for one in counted] == [("NotReadyInTime", 1)]


def test_a_shorter_deadline_of_the_breaker_ends_it_sooner() -> None:
    world = _roll_never_ready(WorkloadKind.DEPLOYMENT, 2, progress_deadline=120)
    assert _find_trip(world, 900) == pytest.approx(120, abs=20)


@pytest.mark.parametrize("kind", KINDS)
def test_a_good_rollout_whose_pods_are_slow_completes(kind: WorkloadKind) -> None:
    """Each pod takes 500 s, far longer than any before; the deadline begins again with each of them."""
    world = _roll_never_ready(kind, 3)
    for ready in (1, 2, 3):
        assert _find_trip(world, 500) is None
        pods = [ready_pod(f"web-v2-{3 - n}", world.now) for n in range(1, ready + 1)]
        starting = [unready_pod(f"web-v2-{2 - ready}", world.now)] if ready < 3 else []
        world.resize(2, *pods, *starting).resize(1, *ready_many(1, 3 - ready))
        world.look()
    world.change(complete=True).settle(later=20.0)
    assert world.state() is RolloutStatus.SUCCESSFUL
    assert world.done == []


def test_a_pod_that_has_to_stay_ready_for_long_has_the_deadline_that_its_deployment_gives_it() -> (
    None
):
    """P1: a Deployment takes Ready for progress, and minReadySeconds may follow its whole deadline."""
    deadline, min_ready, ready_after = 600, 300, 500
    world = completed(WorkloadKind.DEPLOYMENT, 1)
    world.change(progress_deadline=deadline, min_ready_seconds=min_ready)
    world.roll(2, unready_pod("web-v2-0", world.now)).look()
    assert _find_trip(world, ready_after) is None
    world.resize(2, ready_pod("web-v2-0", world.now))
    assert _find_trip(world, min_ready) is None
    world.resize(1).change(complete=True).look()
    assert world.state() is RolloutStatus.SUCCESSFUL


def test_a_deadline_of_the_breaker_is_taken_as_it_is() -> None:
    world = completed(WorkloadKind.DEPLOYMENT, 1, progress_deadline=120)
    world.change(progress_deadline=600, min_ready_seconds=60)
    world.roll(2, unready_pod("web-v2-0", world.now)).look()
    assert _find_trip(world, 900) == pytest.approx(120, abs=20)


def test_without_a_progress_deadline_the_risk_is_told_at_once() -> None:
    """The Deployment or its breaker says that there is none; it is not made up."""
    world = _roll_never_ready(WorkloadKind.DEPLOYMENT, 2, progress_deadline=0)
    risk = world.condition("RollbackAtRisk")
    assert risk is not None
    assert "no progress deadline" in risk.message
    assert _find_trip(world, 3600, step=300) is None
    assert world.status.memory.circuit_breaker.failure_count == 1
