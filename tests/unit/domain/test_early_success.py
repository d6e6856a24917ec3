"""Rule E1: a rollout that completes early, told as stories through ``decide``."""

from __future__ import annotations

from typing import Any

from tests.support.builders import breaker_spec
from tests.support.manual_cluster import ManualCluster, completed, started
from tripswitch.domain.values.hooks import EarlySuccess, HookSpec, HookStatus, LifecycleStage
from tripswitch.domain.values.states import BreakerState, RolloutState, RolloutStatus
from tripswitch.domain.values.workload import Amount, Percentages, Recreate, RollingUpdate

S = RolloutStatus
ROOM = Percentages(50, 150)
BLOCKING, DEFERRED = EarlySuccess(75), EarlySuccess(75, blocking=False)


def rolling(early: EarlySuccess | None, **fields: Any) -> ManualCluster:
    """Revision 1 completed with 4 pods; revision 2 is rolled out and no pod of it is up."""
    world = completed(**{"strategy": ROOM, **fields})
    return world.want(early_success=early).apply("v2").settle(1.0)


def grow(world: ManualCluster, healthy: int, version: str = "v2") -> ManualCluster:
    """Let pods of a revision become healthy one after the other until so many are."""
    for _ in range(20):
        found = world.replica_set(version)
        if sum(pod.ready_since is not None for pod in found.pods) >= healthy:
            return world
        world.heal(version, 1).settle(1.0)
    raise AssertionError(f"no {healthy} pods of {version}")


def test_e1_a_rollout_completes_at_the_percentage_and_not_before() -> None:
    world = grow(rolling(BLOCKING), 2)
    assert world.state() is S.IN_PROGRESS
    grow(world, 3)
    assert world.state() is S.SUCCESSFUL
    assert world.status.memory.last_completed_revision == 2
    assert world.sizes() == {"v2": 4}
    ready = world.condition("Ready")
    assert ready is not None
    assert ready.status


def test_r5_without_early_success_it_waits_for_the_last_pod() -> None:
    world = grow(rolling(None), 3)
    assert world.state() is S.IN_PROGRESS


def test_e1_what_is_left_is_said_and_then_no_more() -> None:
    world = grow(rolling(BLOCKING), 3)
    assert world.status.report.rollout_state_reason == (
        "revision 2 completed; 3 of 4 pods healthy, not watched by the breaker"
    )
    assert world.status.memory.circuit_breaker.status is BreakerState.MONITORING_COMPLETE
    grow(world, 4)
    assert world.status.report.rollout_state_reason == "revision 2 completed"


def test_e1_failures_after_an_early_success_do_not_trip() -> None:
    world = grow(rolling(BLOCKING, breaker=breaker_spec(1)), 3)
    world.crash("v2", runs=5).settle(1.0)
    assert world.state() is S.SUCCESSFUL
    assert world.breaker().failure_count == 0


def test_e1_failures_before_it_trip_as_ever() -> None:
    world = grow(rolling(BLOCKING, breaker=breaker_spec(1)), 2)
    world.crash("v2", runs=5, count=1).look(1.0)
    assert world.record(2).rollout_state is RolloutState.FAILED


SURGE = RollingUpdate(Amount(4), Amount(0))


def test_e1_deferred_completes_while_old_pods_are_there_and_they_go_afterwards() -> None:
    early = EarlySuccess(50, blocking=False)
    world = grow(rolling(early, strategy=SURGE), 2)
    assert world.state() is S.SUCCESSFUL
    assert world.sizes() == {"v1": 2, "v2": 4}
    assert world.status.report.rollout_state_reason == (
        "revision 2 completed; 2 of 4 pods healthy, 2 of older revisions still to go, "
        "not watched by the breaker"
    )
    assert world.status.report.available_replicas == 4
    grow(world, 4)
    assert world.sizes() == {"v2": 4}


def test_e1_blocking_waits_for_old_pods_in_the_stage_clean_up() -> None:
    world = grow(rolling(EarlySuccess(50), strategy=SURGE), 2)
    assert world.state() is S.IN_PROGRESS
    assert world.rollout.lifecycle_stage is LifecycleStage.CLEAN_UP
    grow(world, 4)
    assert world.state() is S.SUCCESSFUL
    assert world.rollout.lifecycle_stage is None


def test_e1_the_event_says_how_many_pods_were_enough() -> None:
    world = grow(rolling(DEFERRED), 2)
    world.heal("v2", 1)
    decision = world.look(1.0)
    (event,) = decision.events
    assert event.message == (
        "revision 2 completed: 3 of 4 pods healthy are enough (healthyPercent 75); what is left to do is "
        "not watched by the breaker"
    )


def test_r4_scaling_after_an_early_success_applies_at_once() -> None:
    early = EarlySuccess(50, blocking=False)
    world = grow(rolling(early, strategy=SURGE), 2)
    world.want(replicas=6).settle(1.0)
    assert world.state() is S.SUCCESSFUL
    grow(world, 6)
    assert world.sizes() == {"v2": 6}
    world.want(replicas=3).settle(1.0)
    assert world.sizes() == {"v2": 3}


def test_r7_a_pause_holds_what_an_early_success_left_to_do() -> None:
    early = EarlySuccess(50, blocking=False)
    world = grow(rolling(early, strategy=SURGE), 2)
    world.want(paused=True).settle(1.0)
    world.heal("v2").settle(1.0)
    assert world.sizes() == {"v1": 2, "v2": 4}
    world.want(replicas=8).settle(1.0)
    assert sum(world.sizes().values()) >= 8
    world.want(replicas=4).settle(1.0)
    world.want(paused=False).settle(1.0)
    for _ in range(8):
        world.heal("v2").settle(1.0)
    assert world.sizes() == {"v2": 4}


def test_c3_a_new_template_after_an_early_success_goes_back_to_that_revision() -> None:
    early = EarlySuccess(50, blocking=False)
    world = grow(rolling(early, strategy=SURGE, breaker=breaker_spec(1)), 2)
    world.apply("v3").settle(1.0)
    assert world.status.memory.last_completed_revision == 2
    world.crash("v3").settle(1.0)
    assert (world.rollout.revision, world.rollout.failed_revision) == (2, 3)
    for _ in range(8):
        world.heal("v2").settle(1.0)
    assert world.state() is S.ROLLBACK_SUCCESSFUL
    assert world.sizes() == {"v2": 4}


def test_e1_a_rollback_may_complete_early_too() -> None:
    world = rolling(DEFERRED, strategy=Percentages(50, 100), breaker=breaker_spec(1))
    world.crash("v2").settle(1.0)
    assert world.state() is S.ROLLBACK_IN_PROGRESS
    grow(world, 3, "v1")
    assert world.state() is S.ROLLBACK_SUCCESSFUL
    assert world.status.report.rollout_state_reason.endswith(
        "3 of 4 pods healthy, not watched by the breaker; next: fix the template, or retry"
    )
    grow(world, 4, "v1")
    assert "not watched" not in world.status.report.rollout_state_reason


def test_e1_one_pod_is_always_needed() -> None:
    world = started(early_success=EarlySuccess(0), strategy=Percentages(0, 200))
    assert world.state() is S.IN_PROGRESS
    world.heal("v1", 1).settle(1.0)
    assert world.state() is S.SUCCESSFUL


def test_r6_without_replicas_nothing_is_proved() -> None:
    world = started(0, early_success=EarlySuccess(0))
    assert world.state() is S.SUCCESSFUL
    assert world.status.memory.last_completed_revision is None


def test_e1_with_recreate_the_old_pods_are_gone_before() -> None:
    world = completed(strategy=Recreate()).want(early_success=DEFERRED).apply("v2").settle(1.0)
    world.settle(1.0)
    grow(world, 3)
    assert world.state() is S.SUCCESSFUL
    assert world.sizes() == {"v2": 4}


def test_e1_a_hook_of_post_scale_up_waits_at_the_percentage() -> None:
    hook = HookSpec((LifecycleStage.POST_SCALE_UP,))
    world = grow(rolling(BLOCKING).want(hooks=(hook,)), 3)
    assert world.state() is S.IN_PROGRESS
    (waiting,) = world.rollout.hooks
    assert waiting.status is HookStatus.AWAITING_ACTION
    world.command(answers=f"{waiting.hook_id}/CONTINUE").settle(1.0)
    assert world.state() is S.SUCCESSFUL


def test_w2_an_operator_that_begins_anew_goes_on_with_what_is_left() -> None:
    early = EarlySuccess(50, blocking=False)
    world = grow(rolling(early, strategy=SURGE), 2)
    assert world.sizes() == {"v1": 2, "v2": 4}
    before = world.status
    world.look(100.0)
    assert world.status == before
    grow(world, 4)
    assert world.sizes() == {"v2": 4}
