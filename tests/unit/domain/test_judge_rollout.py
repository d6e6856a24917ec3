"""Rules B, P, R5, S3: how a rollout goes on or ends, told as stories through ``decide``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.builders import (
    START,
    breaker_spec,
    container,
    crashing_pod,
    failed_pod,
    guarded,
    pending_pod,
    pod,
    ready_pod,
    restarted,
    running,
    stuck_pod,
    template,
    terminating,
    unready_pod,
    waiting,
)
from tests.support.manual_cluster import ManualCluster, completed, started
from tripswitch.domain.rules.health import FIRST_PATIENCE
from tripswitch.domain.values.decision import DeletePod, ScaleReplicaSet
from tripswitch.domain.values.failure import Verdict
from tripswitch.domain.values.failure_cause import FailureKind
from tripswitch.domain.values.pods import ContainerRole, PodView
from tripswitch.domain.values.replica_sets import CreateError
from tripswitch.domain.values.states import (
    BreakerState,
    Reason,
    RolloutKind,
    RolloutState,
    RolloutStatus,
    Stage,
)
from tripswitch.domain.values.workload import BreakerSpec, Percentages, PolicyRule

S = RolloutStatus
ONE_BY_ONE = Percentages(100, 125)


def failing(**fields: Any) -> ManualCluster:
    """Revision 1 completed; revision 2 is rolled out and no pod of it is up."""
    return completed(**fields).apply("v2").settle(1.0)


def breaker(world: ManualCluster, **fields: Any) -> ManualCluster:
    """Change settings of the breaker."""
    return world.want(breaker=replace(world.guarded.spec.breaker, **fields))


# --- ECS's own example, B3 ------------------------------------------------------------------------


def test_b3_ecs_example_the_third_deployment_can_neither_roll_back_nor_launch() -> None:
    # Two of four pods at a time, so that going back takes a while.
    world = completed(version="d1", strategy=Percentages(50, 100))
    assert (world.status.memory.last_completed_revision, world.sizes()) == (1, {"d1": 4})

    # D2 trips, and D1 goes from COMPLETED to IN_PROGRESS.
    world.apply("d2").settle(1.0)
    assert world.sizes() == {"d1": 2, "d2": 2}
    world.crash("d2", runs=2).look(1.0)
    assert world.record(2).rollout_state is RolloutState.FAILED
    assert world.record(1).rollout_state is RolloutState.IN_PROGRESS
    assert (world.rollout.revision, world.state()) == (1, S.ROLLBACK_IN_PROGRESS)

    # D3 is applied before D1 is COMPLETED again.
    world.settle(1.0).apply("d3").settle(1.0)
    assert world.record(1).rollout_state is RolloutState.STOPPED
    assert (world.rollout.revision, world.state()) == (3, S.IN_PROGRESS)
    assert world.sizes() == {"d1": 2, "d3": 2}

    # D3 trips: it cannot roll back, and stalls. Nothing is launched any more.
    world.crash("d3", runs=2).settle(1.0)
    assert (world.rollout.revision, world.state()) == (3, S.FAILED)
    assert world.rollout.reason is Reason.NO_COMPLETED_REVISION
    assert world.sizes() == {"d1": 2}
    world.settle(86_400.0)
    assert world.sizes() == {"d1": 2}
    assert world.events[-2:] == ["CircuitBreakerTriggered", "RolloutStalled"]


def test_b3_had_d1_been_completed_again_d3_could_roll_back_to_it() -> None:
    world = completed(version="d1", strategy=Percentages(50, 100))
    world.apply("d2").settle(1.0).crash("d2", runs=2).settle(1.0)
    world.heal("d1").settle(1.0)
    assert (world.state(), world.status.memory.last_completed_revision) == (
        S.ROLLBACK_SUCCESSFUL,
        1,
    )
    world.apply("d3").settle(1.0).crash("d3", runs=2).settle(1.0)
    assert (world.rollout.revision, world.rollout.kind) == (1, RolloutKind.ROLLBACK)


# --- B --------------------------------------------------------------------------------------------


def test_b1_on_a_trip_the_last_completed_revision_becomes_the_target_of_a_rollback() -> None:
    world = failing()
    world.crash("v2", count=3).look(1.0)
    assert world.record(2).rollout_state is RolloutState.FAILED
    assert world.record(2).finished_at == world.now
    assert world.record(2).message == "3 failures (threshold 3): container web exited 1 (x3)"
    assert world.record(1).rollout_state is RolloutState.IN_PROGRESS
    assert (world.rollout.revision, world.rollout.kind) == (1, RolloutKind.ROLLBACK)
    assert world.state() is S.ROLLBACK_IN_PROGRESS
    assert world.rollout.failed_revision == 2
    assert world.rollout.message == "3 failures (threshold 3): container web exited 1 (x3)"
    assert world.status.memory.last_completed_revision is None
    assert world.events[-2:] == ["CircuitBreakerTriggered", "RollbackStarted"]


def test_b1_the_events_say_what_failed_and_where_it_goes() -> None:
    world = failing()
    *_, tripped, back = world.crash("v2", count=3).look(1.0).events
    assert tripped.message == (
        "revision 2 failed: 3 failures (threshold 3): container web exited 1 (x3)"
    )
    assert back.message == "rolling back from revision 2 to revision 1 (shop:v1)"


def test_b1_a_finished_rollback_makes_its_revision_the_last_completed_one_again() -> None:
    world = failing()
    world.crash("v2", count=3).settle(1.0)
    assert world.state() is S.ROLLBACK_SUCCESSFUL
    assert world.rollout.reason is Reason.ROLLBACK_COMPLETED
    assert world.record(1).rollout_state is RolloutState.COMPLETED
    assert world.record(1).completed_at == world.rollout.finished_at
    assert world.record(1).message == ""
    assert world.status.memory.last_completed_revision == 1


def test_b1_a_finished_rollback_is_told() -> None:
    world = failing()
    world.crash("v2", count=4).look(1.0)
    [done] = world.look(1.0).events
    assert done.message == "rolled back to revision 1: 4 of 4 pods healthy; revision 2 stays failed"


def test_b1_the_failures_that_tripped_can_be_read_during_and_after_the_rollback() -> None:
    world = failing()
    world.crash("v2", count=3).look(1.0)
    during = world.breaker()
    assert (during.failure_count, during.stage) == (0, Stage.HEALTH)
    assert [(r.revision, r.count) for r in during.failures] == [(2, 3)]
    world.settle(1.0)
    assert world.breaker().failures == during.failures
    assert world.record(2).failed_tasks == 3
    assert world.record(1).failed_tasks == 0


def test_b2_with_minimum_healthy_percent_100_no_healthy_pod_is_lost() -> None:
    world = failing(strategy=ONE_BY_ONE)
    world.heal("v2").settle(1.0)
    assert world.sizes() == {"v1": 3, "v2": 2}
    world.crash("v2", runs=3).look(1.0)
    assert world.state() is S.ROLLBACK_IN_PROGRESS
    for _ in range(9):
        assert world.healthy() >= 4
        world.settle(1.0).heal("v1")
    assert world.state() is S.ROLLBACK_SUCCESSFUL
    assert world.sizes() == {"v1": 4}


def test_b2_the_failed_revision_gives_way_only_as_the_other_becomes_healthy() -> None:
    world = failing(strategy=ONE_BY_ONE)
    world.heal("v2").settle(1.0).heal("v2").settle(1.0)
    assert world.sizes() == {"v1": 2, "v2": 3}
    world.crash("v2", runs=3).settle(1.0)
    assert world.sizes() == {"v1": 3, "v2": 2}
    assert world.healthy() == 4
    world.heal("v1").settle(1.0)
    assert world.sizes() == {"v1": 4, "v2": 1}


def test_b2_what_is_still_running_of_the_target_is_kept() -> None:
    world = failing()
    kept = {pod.uid for pod in world.replica_set("v1").pods}
    world.crash("v2").settle(1.0)
    assert {pod.uid for pod in world.replica_set("v1").pods} == kept


def test_b3_a_first_rollout_that_trips_stalls() -> None:
    world = started()
    world.heal("v1", count=1).settle(1.0)
    world.crash("v1").look(1.0)
    assert (world.rollout.revision, world.state()) == (1, S.FAILED)
    assert world.rollout.reason is Reason.NO_COMPLETED_REVISION
    assert world.rollout.message == (
        "3 failures (threshold 3): container web exited 1 (x3); "
        "no completed revision to roll back to, nothing more is launched"
    )
    assert world.sizes() == {"v1": 1}
    assert world.breaker().status is BreakerState.TRIGGERED
    assert world.events[-1] == "RolloutStalled"


def test_b3_a_stalled_revision_is_lowered_further_and_never_raised() -> None:
    world = started()
    world.heal("v1", count=2).settle(1.0).crash("v1", runs=2).settle(1.0)
    assert world.sizes() == {"v1": 2}
    world.want(replicas=9).settle(1.0)
    assert world.sizes() == {"v1": 2}
    world.want(replicas=0).settle(1.0)
    assert world.sizes() == {}


@pytest.mark.parametrize("by_node", [False, True])
def test_b3_a_stalled_revision_keeps_a_pod_that_loses_its_readiness(*, by_node: bool) -> None:
    """A first rollout lacked one pod. For a moment the others are not Ready later, and nothing else serves."""
    world = started()
    world.heal("v1", count=3).settle(1.0).crash("v1", runs=3).settle(1.0)
    assert (world.state(), world.sizes()) == (S.FAILED, {"v1": 3})
    found = world.replica_set("v1")
    lost = [
        replace(one, ready_since=None, unready_since=world.now, unready_by_node=by_node)
        for one in found.pods
    ]
    world.put(replace(found, pods=tuple(lost))).settle(86_400.0)
    assert world.sizes() == {"v1": 3}


def test_b3_a_stalled_revision_loses_a_pod_that_crashes_or_has_to_be_made_anew() -> None:
    """It would be launched once more."""
    world = started()
    world.heal("v1", count=3).settle(1.0).crash("v1", runs=3).settle(1.0)
    found, since = world.replica_set("v1"), world.now
    crashed = replace(crashing_pod(found.pods[0].name), unready_since=since)
    again = pod(found.pods[1].name, restarted(1, since + 1), unready_since=since)
    world.put(replace(found, pods=(crashed, again, found.pods[2]))).look(1.0)
    assert world.sizes() == {"v1": 1}


def test_b4_without_rollback_the_rollout_fails_and_stalls() -> None:
    world = breaker(failing(), rollback=False)
    world.heal("v2", count=1).settle(1.0)
    decision = world.crash("v2").look(1.0)
    assert (world.rollout.revision, world.state()) == (2, S.FAILED)
    assert world.rollout.reason is Reason.CIRCUIT_BREAKER_TRIGGERED
    assert world.rollout.message == (
        "3 failures (threshold 3): container web exited 1 (x3); "
        "rollback is off, nothing more is launched"
    )
    assert decision.events[-1].message == f"revision 2 stalled: {world.rollout.message}"
    assert world.sizes() == {"v1": 3, "v2": 1}
    assert world.status.memory.last_completed_revision == 1


def test_b4_switching_rollback_on_later_changes_nothing_by_itself() -> None:
    world = breaker(failing(), rollback=False)
    world.crash("v2").settle(1.0)
    before = world.rollout
    breaker(world, rollback=True).settle(3600.0)
    assert world.rollout == before


def back_and_failing() -> ManualCluster:
    """Revision 2 tripped; revision 1 is on its way back with two new pods."""
    world = failing(strategy=Percentages(50, 100))
    return world.crash("v2", runs=2).settle(1.0)


def test_b5_a_rollback_is_watched_and_never_starts_another() -> None:
    world = back_and_failing()
    assert world.state() is S.ROLLBACK_IN_PROGRESS
    assert world.breaker().status is BreakerState.MONITORING
    decision = world.crash("v1", runs=2).look(1.0)
    assert (world.rollout.revision, world.state()) == (1, S.ROLLBACK_FAILED)
    assert world.rollout.reason is Reason.ROLLBACK_FAILED
    words = (
        "4 failures (threshold 3): container web exited 1 (x4); "
        "a rollback is never rolled back, nothing more is launched"
    )
    assert world.rollout.message == words
    assert decision.events[-1].reason.value == "RollbackFailed"
    assert decision.events[-1].message == f"rollback to revision 1 failed: {words}"
    assert world.record(1).rollout_state is RolloutState.FAILED
    assert world.breaker().status is BreakerState.TRIGGERED
    assert world.status.memory.last_completed_revision is None
    world.settle(1.0)
    assert world.sizes() == {"v1": 4}, "F10: its pods may get on"


def test_b5_failures_of_the_revision_that_tripped_do_not_count_against_the_rollback() -> None:
    world = failing(strategy=ONE_BY_ONE).heal("v2").settle(1.0)
    world.crash("v2", runs=9).settle(1.0)
    assert world.state() is S.ROLLBACK_IN_PROGRESS
    assert world.breaker().failure_count == 0


def test_b5_a_rollback_that_makes_no_progress_fails_too() -> None:
    world = back_and_failing()
    world.look(600.0)
    assert world.state() is S.ROLLBACK_FAILED
    assert "2 of 4 pods healthy, no progress for 600 s" in world.rollout.message


def test_b7_a_trip_is_never_reported_as_success() -> None:
    world = failing()
    world.crash("v2").settle(1.0)
    shown = {condition.type: condition for condition in world.status.report.conditions}
    assert world.state() is S.ROLLBACK_SUCCESSFUL
    assert world.status.report.rollout_state is RolloutState.FAILED
    assert {kind: condition.status for kind, condition in shown.items()} == {
        "Available": True,
        "Progressing": True,
        "Ready": False,
        "Stalled": True,
    }
    assert shown["Stalled"].message == (
        "revision 2 failed and was rolled back to revision 1: "
        "4 failures (threshold 3): container web exited 1 (x4); next: fix the template, or retry"
    )


def test_b7_ready_never_is_true_between_a_trip_and_the_end_of_the_rollback() -> None:
    world = back_and_failing()
    for _ in range(4):
        ready, stalled = world.condition("Ready"), world.condition("Stalled")
        assert ready is not None
        assert stalled is not None
        assert not ready.status
        assert stalled.status
        world.heal("v1").settle(1.0)
    assert world.state() is S.ROLLBACK_SUCCESSFUL


def test_b8_a_revision_whose_replica_set_was_deleted_is_no_candidate() -> None:
    world = failing().forget_replica_set("v1")
    world.look(1.0)
    assert world.status.memory.last_completed_revision is None
    world.crash("v2").settle(1.0)
    assert (world.state(), world.rollout.reason) == (S.FAILED, Reason.NO_COMPLETED_REVISION)


def test_b8_a_replica_set_that_is_being_deleted_is_no_candidate() -> None:
    world = failing()
    going = world.replica_set("v1")
    world.replica_sets[going.name] = replace(going, deleting=True)
    world.crash("v2").look(1.0)
    assert (world.state(), world.rollout.reason) == (S.FAILED, Reason.NO_COMPLETED_REVISION)


def test_b8_a_replica_set_that_is_deleted_during_the_rollback_ends_it() -> None:
    world = back_and_failing().forget_replica_set("v1")
    world.look(1.0)
    assert (world.rollout.revision, world.state()) == (1, S.ROLLBACK_FAILED)
    assert world.rollout.message == (
        "its ReplicaSet was deleted; a rollback is never rolled back, nothing more is launched"
    )


def test_b8_a_rollback_whose_template_is_in_spec_again_can_make_its_replica_set_anew() -> None:
    world = back_and_failing().apply("v1").settle(1.0).forget_replica_set("v1")
    world.settle(1.0)
    assert world.state() is S.ROLLBACK_IN_PROGRESS
    assert world.sizes() == {"v1": 4}


def test_b8_the_completed_revision_in_spec_is_made_again_when_its_replica_set_is_deleted() -> None:
    world = completed().forget_replica_set("v1").settle(1.0)
    assert world.sizes() == {"v1": 4}
    assert world.status.memory.last_completed_revision == 1
    assert world.state() is S.SUCCESSFUL


def test_b8_the_target_of_a_rollout_is_made_again_when_its_replica_set_is_deleted() -> None:
    world = failing().crash("v2", count=2).settle(1.0).forget_replica_set("v2")
    world.settle(1.0)
    assert world.sizes() == {"v1": 4, "v2": 4}
    assert world.breaker().failure_count == 2


def test_b8_the_template_that_was_rolled_back_to_is_the_one_its_replica_set_holds() -> None:
    world = failing().crash("v2").settle(1.0)
    assert world.guarded.spec.template.digest == "v2"
    assert world.sizes() == {"v1": 4}


# --- S --------------------------------------------------------------------------------------------


def test_s3_the_breaker_watches_only_a_rollout_in_progress() -> None:
    world = started()
    assert world.breaker().status is BreakerState.MONITORING
    world.heal("v1").settle(1.0)
    assert world.breaker().status is BreakerState.MONITORING_COMPLETE
    world.become("v1", lambda name, _: stuck_pod(name)).settle(1.0)
    found = world.replica_set("v1")
    sick = tuple(stuck_pod(p.name) for p in found.pods)
    world.replica_sets[found.name] = replace(found, pods=sick)
    world.settle(3600.0)
    assert world.state() is S.SUCCESSFUL
    assert world.breaker().failure_count == 0
    assert world.breaker().counted == ()


def test_s3_a_disabled_breaker_counts_nothing_and_never_trips() -> None:
    world = started(breaker=breaker_spec(enable=False))
    world.crash("v1", runs=99).settle(3600.0)
    assert world.state() is S.IN_PROGRESS
    assert world.breaker().status is BreakerState.DISABLED
    assert world.breaker().failure_count == 0
    assert world.breaker().counted == ()


def test_s3_a_disabled_breaker_stays_disabled_after_success() -> None:
    world = completed(breaker=breaker_spec(enable=False))
    assert world.state() is S.SUCCESSFUL
    assert world.breaker().status is BreakerState.DISABLED


def test_s3_switched_on_in_the_middle_it_counts_only_what_comes() -> None:
    world = started(breaker=breaker_spec(enable=False))
    world.crash("v1", runs=99).settle(1.0)
    breaker(world, enable=True).settle(1.0)
    assert world.state() is S.IN_PROGRESS
    assert world.breaker().status is BreakerState.MONITORING
    world.crash("v1", runs=100, count=2).settle(1.0)
    assert world.breaker().failure_count == 2


def test_s3_switched_on_in_the_middle_the_pods_that_are_there_do_not_reset_the_count() -> None:
    world = started(breaker=breaker_spec(enable=False), progress_deadline=0)
    found = world.replica_set("v1")
    first, *rest = found.pods
    world.replica_sets[found.name] = replace(found, pods=(stuck_pod(first.name), *rest))
    world.settle(3600.0)
    breaker(world, enable=True).settle(1.0)
    assert world.breaker().failure_count == 0
    found = world.replica_set("v1")
    crashed = tuple(crashing_pod(each.name) for each in rest[:2])
    world.replica_sets[found.name] = replace(found, pods=(found.pods[0], *crashed, rest[2]))
    world.settle(1.0)
    assert world.breaker().failure_count == 2
    world.heal("v1", count=1).settle(1.0)
    assert world.breaker().failure_count == 2


def test_the_pods_of_one_cause_are_told_together() -> None:
    seen = []
    for count in (1, 2, 3):
        world = started(40).crash("v1", count=count)
        [event] = world.look(1.0).events
        seen.append(event.message)
    assert [message.partition(": ")[0] for message in seen] == [
        "pod v1-1",
        "pod v1-1 and 1 more",
        "pod v1-1 and 2 more",
    ]


def test_s3_switched_off_in_the_middle_it_forgets_what_the_pods_showed() -> None:
    world = started().crash("v1", count=2).settle(1.0)
    breaker(world, enable=False).settle(1.0)
    assert world.breaker().counted == ()
    assert world.breaker().status is BreakerState.DISABLED


def test_s1_the_stage_is_written() -> None:
    world = started().hang("v1").settle()
    assert world.breaker().stage is Stage.LAUNCH
    world.settle(5.0)
    assert world.breaker().stage is Stage.HEALTH


# --- F, H through decide --------------------------------------------------------------------------


def test_f4_a_pod_that_misses_its_deadline_counts_and_is_replaced() -> None:
    world = started(replicas=2).hang("v1")
    hanging = [p.uid for p in world.replica_set("v1").pods]
    world.settle(1.0)
    decision = world.look(FIRST_PATIENCE)
    assert [a.uid for a in decision.actions if isinstance(a, DeletePod)] == hanging
    assert world.breaker().failure_count == 2
    assert all(p.uid not in hanging for p in world.replica_set("v1").pods)
    assert [f.cause.kind for f in decision.failures] == [FailureKind.HEALTH] * 2
    assert world.events[-1] == "PodHealthCheckFailed"


def test_f5_the_replica_set_that_cannot_create_pods_counts_nothing_and_shows_at_once() -> None:
    world = started()
    found = world.replica_set("v1")
    quota = 'pods "shop" is forbidden: exceeded quota'
    world.replica_sets[found.name] = replace(found, pods=(), create_error=quota)
    world.look(1.0)
    assert world.breaker().failure_count == 0
    progressing = world.condition("Progressing")
    assert progressing is not None
    assert not progressing.status
    assert progressing.reason is Reason.REPLICA_SET_CREATE_ERROR
    assert progressing.message == quota
    world.look(600.0)
    assert world.state() is S.FAILED
    assert quota in world.rollout.message


def test_f5_a_pod_that_a_node_took_does_not_trip() -> None:
    world = started(breaker=breaker_spec(1))
    world.become("v1", lambda name, _: failed_pod(name, "NodeLost")).look(1.0)
    assert world.state() is S.IN_PROGRESS
    assert world.events == ["RolloutStarted"]


def test_f6_fail_now_trips_at_the_first_failure() -> None:
    fatal = PolicyRule(Verdict.FAIL_NOW, exit_codes=frozenset({1}))
    world = started(breaker=breaker_spec(100, policy=(fatal,)))
    world.crash("v1", count=1).look(1.0)
    assert world.state() is S.FAILED
    assert world.rollout.message.startswith("failurePolicy says FailNow: container web exited 1 in")


def test_f7_a_restart_between_any_two_looks_neither_loses_nor_doubles() -> None:
    # The status is all that a restart leaves, and every look starts from nothing else.
    world = started(breaker=breaker_spec(100))
    seen = []
    for runs in (1, 1, 2, 5):
        world.crash("v1", runs=runs).look(1.0)
        seen.append(world.breaker().failure_count)
    assert seen == [4, 4, 8, 20]
    assert world.record(1).failed_tasks == 20


def test_h2_a_healthy_pod_resets_the_count_and_not_the_failed_tasks() -> None:
    world = started().crash("v1", count=2).settle(1.0)
    assert world.breaker().failure_count == 2
    world.become("v1", ready_pod, count=1).settle(1.0)
    assert world.breaker().failure_count == 0
    assert world.record(1).failed_tasks == 2


def test_h3_a_flapping_fleet_never_trips_and_ends_by_the_progress_deadline() -> None:
    world = failing()
    for _ in range(20):
        world.crash("v2", runs=1, count=2).look(10.0)
        found = world.replica_set("v2")
        # One pod becomes healthy and dies; its successor does the same.
        world.replica_sets[found.name] = replace(
            found, pods=(ready_pod(f"flash-{world.now:.0f}", world.now), *found.pods[1:])
        )
        world.look(10.0)
        assert world.breaker().failure_count < 3
        fresh = tuple(pending_pod(f"{p.name}-{world.now:.0f}") for p in found.pods)
        world.replica_sets[found.name] = replace(found, pods=fresh)
        world.look(10.0)
    assert world.state() is S.IN_PROGRESS
    assert world.rollout.healthy_high_water == 1
    world.look(600.0 - 580.0)
    assert world.record(2).rollout_state is RolloutState.FAILED
    assert world.record(2).message.startswith(
        "0 of 4 pods healthy (at most 1 at once), no progress for 600 s"
    )


# --- P --------------------------------------------------------------------------------------------


def test_p1_a_rollout_without_progress_fails_as_if_tripped() -> None:
    world = failing()
    decision = world.look(599.0)
    assert world.state() is S.IN_PROGRESS
    assert decision.wake_at == world.now + 1.0
    world.look(1.0)
    assert world.record(2).rollout_state is RolloutState.FAILED
    assert world.record(2).message == (
        "0 of 4 pods healthy, no progress for 600 s: container web ContainerCreating (x4)"
    )
    assert (world.rollout.revision, world.rollout.kind) == (1, RolloutKind.ROLLBACK)
    assert "CircuitBreakerTriggered" in world.events


def test_p1_a_first_rollout_without_progress_stalls_with_its_reason() -> None:
    world = breaker(started(), rollback=False)
    world.look(600.0)
    assert world.state() is S.FAILED
    assert world.rollout.reason is Reason.PROGRESS_DEADLINE_EXCEEDED


def _lose_pod(world: ManualCluster, counted: int) -> ManualCluster:
    """Have a node evict the last pod of v2, which is not replaced; its controller has found so many live pods."""
    world.heal("v2", 3).settle(1.0)
    found, words = world.replica_set("v2"), "The node was low on resource: memory"
    pods = [
        pod if pod.ready_since else failed_pod(pod.name, "Evicted", words, disrupted=True)
        for pod in found.pods
    ]
    return world.put(replace(found, pods=tuple(pods), counted=counted))


def test_p1_the_clock_stands_still_until_the_controller_has_seen_that_a_pod_failed() -> None:
    """V: a controller manager is away, and a node evicts a pod meanwhile."""
    world = _lose_pod(completed().apply("v2").settle(1.0), counted=4)
    for _ in range(200):
        world.look(5.0)
    assert world.state() is S.IN_PROGRESS
    world.put(replace(world.replica_set("v2"), counted=3)).settle().look(590.0)
    assert world.state() is S.IN_PROGRESS
    world.look(5.0)
    assert world.state() is S.ROLLBACK_IN_PROGRESS, "it makes none in its place"


def _drain(world: ManualCluster, seconds: float) -> None:
    """Have one Ready pod of v2 after the other be drained, one a minute; the next takes 150 s to be Ready."""
    for _ in range(int(seconds // 30)):
        found = world.replica_set("v2")
        pods = [
            ready_pod(one.name, world.now, created_at=one.created_at)
            if one.live and one.ready_since is None and world.now - one.created_at >= 150
            else one
            for one in found.pods
        ]
        if int(world.now) % 60 < 30:
            pods.remove(next(one for one in pods if one.ready_since is not None))
            pods.append(pending_pod(f"v2-at-{world.now:.0f}", created_at=world.now))
        world.put(replace(found, pods=tuple(pods))).look(30.0)


def test_p1_pods_in_the_place_of_drained_ones_have_the_whole_deadline() -> None:
    """F5: nodes are replaced for half an hour, and never all pods of a good revision are healthy at once."""
    world = replace(completed(8), dated=True).apply("v2").settle(1.0)
    world.heal("v2", 7).settle(1.0)
    _drain(world, 1800.0)
    assert (world.state(), world.rollout.healthy_high_water) == (S.IN_PROGRESS, 7)
    started = max(one.created_at for one in world.replica_set("v2").pods)
    while world.state() is S.IN_PROGRESS:
        world.look(10.0)
    assert world.now - started < 700, "a pod that does not become healthy is late all the same"


@pytest.mark.parametrize("failure", ["a pod that failed as a whole", "a failure that was counted"])
def test_p1_a_revision_that_has_shown_a_failure_has_no_more_time(failure: str) -> None:
    world = replace(completed(8), dated=True).apply("v2").settle(1.0)
    world.heal("v2", 7).settle(1.0)
    if failure.startswith("a pod"):
        found, evicted = world.replica_set("v2"), failed_pod("gone", "Evicted", disrupted=True)
        world.put(replace(found, pods=(*found.pods, evicted)))
    else:
        world.crash("v2", count=1).settle(1.0)
    _drain(world, 540.0)
    assert world.state() is S.IN_PROGRESS
    _drain(world, 120.0)
    assert world.state() is not S.IN_PROGRESS


def test_p1_only_a_new_high_water_mark_is_progress() -> None:
    world = started()
    world.look(500.0)
    world.heal("v1", count=1).look(50.0)
    assert (world.rollout.healthy_high_water, world.rollout.progressed_at) == (1, world.now)
    marked = world.now
    found = world.replica_set("v1")
    world.replica_sets[found.name] = replace(found, pods=(pending_pod("x"), *found.pods[1:]))
    world.look(300.0)
    assert world.rollout.healthy_high_water == 1
    world.heal("v1", count=1).look(200.0)  # as many as before: no progress
    assert world.rollout.progressed_at == marked
    assert world.state() is S.IN_PROGRESS
    world.look(100.0)
    assert world.state() is S.FAILED


def test_p1_it_does_not_end_a_rollout_whose_pods_are_all_ready_but_not_yet_for_long() -> None:
    """Slow pods, or minReadySeconds that was raised: to a Deployment they are progress as soon as they are Ready."""
    world = completed(4).apply("v2").settle(1.0)
    world.heal("v2", 3).settle(1.0).want(min_ready_seconds=500).settle(300.0)
    assert world.rollout.healthy_high_water == 3
    ready = world.heal("v2").now
    while world.now < ready + 499:
        world.look(1.0)
        assert world.state() is S.IN_PROGRESS
    assert world.settle(1.0).state() is S.SUCCESSFUL


def test_p1_a_pod_that_is_ready_and_not_again_is_late_as_soon_as_it_is_not() -> None:
    world = started(1, min_ready_seconds=300).settle(450.0).heal("v1").settle(200.0)
    assert world.state() is S.IN_PROGRESS
    world.put(
        replace(world.replica_set("v1"), pods=(unready_pod("v1-1", unready_since=world.now),))
    )
    assert world.settle(1.0).state() is S.FAILED


def test_p1_each_new_healthy_pod_starts_the_clock_again() -> None:
    world = started()
    for healthy in (1, 2, 3):
        world.heal("v1", count=1).look(599.0)
        assert (world.state(), world.rollout.healthy_high_water) == (S.IN_PROGRESS, healthy)


def test_p1_pods_that_were_healthy_before_the_rollout_are_no_progress() -> None:
    world = back_and_failing()
    assert world.rollout.healthy_high_water == 2
    assert world.rollout.progressed_at == world.rollout.started_at


def test_p1_zero_means_never() -> None:
    world = started(progress_deadline=0)
    decision = world.look(1e9)
    assert world.state() is S.IN_PROGRESS
    assert decision.wake_at is None


def test_p1_with_the_breaker_disabled_it_only_shows_in_the_conditions() -> None:
    world = started(breaker=breaker_spec(enable=False))
    world.look(599.0)
    before = world.condition("Progressing")
    assert before is not None
    assert before.status
    world.look(1.0)
    assert world.state() is S.IN_PROGRESS
    late = world.condition("Progressing")
    assert late is not None
    assert (late.status, late.reason) == (False, Reason.PROGRESS_DEADLINE_EXCEEDED)
    assert late.message.startswith("0 of 4 pods healthy, no progress for 600 s")
    world.heal("v1").settle(1.0)
    assert world.state() is S.SUCCESSFUL


def test_p1_the_deadline_may_be_changed_in_the_middle() -> None:
    world = started().settle(100.0).want(progress_deadline=100)
    world.look()
    assert world.state() is S.FAILED


def test_a_failure_counted_at_the_deadline_is_the_reason() -> None:
    world = failing().crash("v2")
    world.look(600.0)
    assert world.record(2).message.startswith("4 failures (threshold 3)")


def test_a_rollout_that_completes_at_the_deadline_has_completed() -> None:
    world = started().heal("v1")
    world.look(600.0)
    assert world.state() is S.SUCCESSFUL


SCHEDULER = "Unschedulable: 0/3 nodes are available"


@pytest.mark.parametrize(
    ("pods", "words"),
    [
        pytest.param([pod("a", waiting_for=SCHEDULER)], f": {SCHEDULER}", id="the scheduler's"),
        pytest.param(
            [pod("a", waiting("ContainerCreating"), waiting_for="volume not found")],
            ": container web volume not found",
            id="a volume's",
        ),
        pytest.param(
            [pod("a", waiting("ErrImagePull", message="no such image"))],
            ": container web ErrImagePull: no such image",
            id="a container's",
        ),
        pytest.param(
            [pod("a", waiting("PodInitializing"), waiting("ErrImagePull", "setup"))],
            ": container setup ErrImagePull",
            id="not of one that waits for another",
        ),
        pytest.param([pod("a", waiting("PodInitializing"))], ": not started", id="nothing is up"),
        pytest.param([pod("a", container())], ": not started", id="nothing is known"),
        pytest.param([pod("a", waiting(""))], ": not started", id="it waits without a reason"),
        pytest.param([unready_pod("a", START + 600)], ": running, not Ready", id="it is up"),
        pytest.param(
            [pod("a", running(START + 600, role=ContainerRole.INIT))],
            ": not started",
            id="an init container is up",
        ),
        pytest.param(
            [ready_pod("a", START + 599), ready_pod("b", START + 599), pending_pod("c")],
            ": Ready, but not yet for minReadySeconds (x2); container web ContainerCreating",
            id="two of them are Ready",
        ),
        pytest.param(
            [terminating(pending_pod("a")), pending_pod("b")],
            ": container web ContainerCreating",
            id="one that is going does not matter",
        ),
        pytest.param([failed_pod("a", "NodeLost")], "", id="neither does one that is gone"),
        pytest.param(
            [pending_pod("a"), pod("b", waiting_for=SCHEDULER), pod("c", waiting_for=SCHEDULER)],
            f": {SCHEDULER} (x2); container web ContainerCreating",
            id="the most frequent first",
        ),
        pytest.param(
            [pod(name, waiting_for=name) for name in "dbca"], ": a; b; c", id="three at most"
        ),
        pytest.param(
            [pod("a", waiting_for="x" * 900)],
            f": {'x' * 80} ... {'x' * 115}",
            id="not too many words",
        ),
        pytest.param(
            [pod("a", waiting("X", message="y" * 900))],
            f": container web X: {'y' * 63} ... {'y' * 115}",
            id="of a container neither",
        ),
    ],
)
def test_p1_the_message_says_what_the_pods_wait_for(pods: list[PodView], words: str) -> None:
    world = started(min_ready_seconds=40)
    found = world.replica_set("v1")
    world.replica_sets[found.name] = replace(found, pods=tuple(pods))
    world.look(600.0)
    assert world.record(1).message == f"0 of 4 pods healthy, no progress for 600 s{words}"


def test_p1_the_message_says_why_the_replica_set_cannot_create_pods() -> None:
    world = started()
    found = world.replica_set("v1")
    world.replica_sets[found.name] = replace(
        found, pods=(pending_pod("a"), pending_pod("b")), create_error="quota " * 50
    )
    world.look(600.0)
    words = f"{('quota ' * 50)[:80]} ... {('quota ' * 50)[-115:]}"
    assert world.record(1).message == (
        f"0 of 4 pods healthy, no progress for 600 s: {words} (x4); "
        "container web ContainerCreating (x2)"
    )


@pytest.mark.parametrize(
    ("error", "words"),
    [
        pytest.param(CreateError("v1", "n", "spec is invalid"), ": spec is invalid", id="refused"),
        pytest.param(CreateError("v1", "n"), "", id="wordless"),
    ],
)
def test_p1_the_message_says_why_the_replica_set_itself_is_refused(
    error: CreateError, words: str
) -> None:
    world = started().forget_replica_set("v1")
    world.create_error = error
    world.look(600.0)
    assert world.record(1).message == f"0 of 4 pods healthy, no progress for 600 s{words}"


# --- R5, R6 ---------------------------------------------------------------------------------------


def test_r5_the_revision_becomes_the_last_completed_one_and_the_one_before_stops_being_it() -> None:
    world = completed().roll_out("v2")
    assert world.state() is S.SUCCESSFUL
    assert world.rollout.finished_at == world.record(2).completed_at
    assert world.status.memory.last_completed_revision == 2
    assert world.record(2).rollout_state is RolloutState.COMPLETED
    assert world.record(1).rollout_state is RolloutState.COMPLETED
    assert world.rollout.message == ""


def test_r5_completion_is_told_with_its_proof() -> None:
    world = started().heal("v1")
    [event] = world.look(1.0).events
    assert event.message == "revision 1 completed: 4 of 4 pods healthy"
    [*_, none] = ManualCluster(guarded=guarded(0)).look().events
    assert none.message == "revision 1 completed: 0 replicas, so nothing was verified"


def test_r5_old_pods_that_are_terminating_do_not_hold_it_up() -> None:
    world = failing().heal("v2")
    world.look(1.0)
    old = world.replica_set("v1")
    leaving = tuple(terminating(ready_pod(f"old-{number}")) for number in range(4))
    world.replica_sets[old.name] = replace(old, size=0, pods=leaving)
    world.look(1.0)
    assert (world.rollout.revision, world.state()) == (2, S.SUCCESSFUL)


def test_r5_a_rollout_without_its_replica_set_is_not_complete() -> None:
    world = started().forget_replica_set("v1")
    world.create_error = CreateError("v1", "n", "refused")
    world.look(1.0)
    assert world.state() is S.IN_PROGRESS


def test_r5_a_revision_that_trips_in_the_very_look_is_not_completed() -> None:
    world = started(breaker=breaker_spec(1)).heal("v1")
    found = world.replica_set("v1")
    world.replica_sets[found.name] = replace(
        found, pods=(*found.pods, failed_pod("gone", "DeadlineExceeded"))
    )
    world.look(1.0)
    assert world.state() is S.FAILED


def test_r6_a_rollback_with_nothing_to_run_completes_and_proves_nothing() -> None:
    world = back_and_failing().want(replicas=0)
    world.look(1.0)
    [event] = world.look(1.0).events
    assert event.message == (
        "rolled back to revision 1: 0 replicas, so nothing was verified; revision 2 stays failed"
    )
    assert world.record(1).completed_at != world.now


# --- events and metrics ---------------------------------------------------------------------------


def test_one_event_for_each_cause_however_many_pods() -> None:
    world = started(breaker=breaker_spec(100)).crash("v1", runs=2)
    found = world.replica_set("v1")
    world.replica_sets[found.name] = replace(found, pods=(*found.pods[1:], stuck_pod("z")))
    assert [event.message for event in world.look(1.0).events] == [
        "pod v1-2 and 2 more: container web exited 1 (7/100)",
        "pod z: container web cannot start: ImagePullBackOff (7/100)",
    ]


def test_pods_of_one_cause_are_one_event_also_if_the_kubelets_words_differ() -> None:
    """Two pods miss their deadline by different times: one cause, so one event and one topic."""
    world = started(replicas=2, breaker=breaker_spec(100))
    late = {
        p.name: START - 300 * number for number, p in enumerate(world.replica_set("v1").pods, 1)
    }
    world.become("v1", lambda name, _: unready_pod(name, late[name]), count=2)
    decision = world.look(1.0)
    assert len({failure.message for failure in decision.failures}) == 2
    [event] = decision.events
    assert event.message.startswith(f"pod {min(late)} and 1 more: NotReadyInTime: not Ready ")
    assert event.topic == "1/HEALTH/NotReadyInTime///"


def test_launch_and_health_failures_are_told_apart() -> None:
    world = started(replicas=2, breaker=breaker_spec(100))
    names = [p.name for p in world.replica_set("v1").pods]
    world.become("v1", lambda name, _: unready_pod(name, START - 300), count=1)
    found = world.replica_set("v1")
    world.replica_sets[found.name] = replace(found, pods=(found.pods[0], stuck_pod(names[1])))
    decision = world.look(1.0)
    assert [event.reason.value for event in decision.events] == [
        "PodHealthCheckFailed",
        "PodLaunchFailed",
    ]
    assert [(f.cause.kind, f.pod) for f in decision.failures] == [
        (FailureKind.HEALTH, names[0]),
        (FailureKind.LAUNCH, names[1]),
    ]


def test_a_look_after_the_trip_finds_nothing_more_to_do_but_to_lower() -> None:
    world = failing()
    decision = world.crash("v2").look(1.0)
    lowered = [a for a in decision.actions if isinstance(a, ScaleReplicaSet)]
    assert [(a.name, a.size) for a in lowered] == [(world.replica_set("v2").name, 0)]


def test_the_breaker_settings_of_the_moment_count() -> None:
    world = failing()
    strict: BreakerSpec = breaker_spec(2)
    world.crash("v2", count=2).look(1.0)
    assert world.state() is S.IN_PROGRESS
    world.want(breaker=strict).look(1.0)
    assert world.state() is S.ROLLBACK_IN_PROGRESS


def test_a_template_is_known_by_its_digest() -> None:
    world = completed()
    world.want(template=replace(template("v1"), images=("other:tag",))).settle(1.0)
    assert world.rollout.revision == 1


def test_t4_the_threshold_comes_down_to_the_count_while_the_replica_set_is_gone() -> None:
    """T5: what was counted stays counted without its ReplicaSet (world 10000329)."""
    world = completed(8)
    world.apply("v2").settle(1.0)
    world.crash("v2", count=3).look(1.0)
    assert (world.breaker().failure_count, world.breaker().threshold) == (3, 4)
    world.forget_replica_set("v2").want(replicas=4).look(1.0)
    assert world.rollout.kind is RolloutKind.ROLLBACK
    assert "3 failures (threshold 3)" in world.rollout.message
