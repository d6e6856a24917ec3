"""Rules B6, C, R6, R7 and W2: what the spec and a person's commands ask for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.builders import (
    START,
    guarded,
    ready_pods,
    replica_set,
    replica_set_name,
    stuck_pod,
    template,
)
from tests.support.manual_cluster import ManualCluster, completed, started
from tripswitch.domain.values.decision import CreateReplicaSet
from tripswitch.domain.values.replica_sets import CreateError
from tripswitch.domain.values.states import (
    BreakerState,
    Reason,
    RolloutKind,
    RolloutState,
    RolloutStatus,
    Stage,
)
from tripswitch.domain.values.status import Status
from tripswitch.domain.values.workload import Percentages

S = RolloutStatus


def failing() -> ManualCluster:
    """Revision 1 completed; revision 2 is rolled out and no pod of it is up."""
    return completed().apply("v2").settle(1.0)


def rolling_back() -> ManualCluster:
    """Revision 2 has tripped; revision 1 is on its way back: two of its four pods were replaced."""
    world = completed(strategy=Percentages(50, 100)).apply("v2").settle(1.0)
    world.crash("v2", runs=3).look(1.0)
    assert world.state() is S.ROLLBACK_IN_PROGRESS
    return world


def rolled_back() -> ManualCluster:
    """Revision 2 has tripped, revision 1 is COMPLETED again."""
    world = failing()
    world.crash("v2").settle(1.0)
    assert world.state() is S.ROLLBACK_SUCCESSFUL
    return world


def target(world: ManualCluster) -> int | None:
    """Return the revision that a rollback may go to."""
    return world.status.memory.last_completed_revision


# --- C3 -------------------------------------------------------------------------------------------


def test_the_first_template_is_revision_1() -> None:
    world = started()
    assert (world.rollout.revision, world.rollout.kind) == (1, RolloutKind.DEPLOY)
    assert world.status.memory.desired_revision == 1
    assert world.record(1).replica_set == replica_set_name(template("v1"))
    assert world.record(1).images == ("shop:v1",)
    assert world.record(1).created_at == START
    assert world.sizes() == {"v1": 4}


def test_c3_a_template_change_wins_over_a_rollout_in_progress() -> None:
    world = failing()
    world.crash("v2", count=2).look(1.0)
    assert world.breaker().failure_count == 2
    world.apply("v3").look(1.0)
    assert world.record(2).rollout_state is RolloutState.STOPPED
    assert world.record(2).finished_at == world.now
    assert world.record(2).message == "stopped: revision 3 was applied"
    assert (world.rollout.revision, world.state()) == (3, S.IN_PROGRESS)
    assert world.breaker().failure_count == 0
    assert world.breaker().failures == ()
    assert world.events[-2:] == ["RolloutStopped", "RolloutStarted"]


def test_c3_a_template_change_during_a_rollback_leaves_no_rollback_target() -> None:
    world = rolling_back().apply("v3")
    world.look(1.0)
    assert world.record(1).rollout_state is RolloutState.STOPPED
    assert (world.rollout.revision, world.rollout.kind) == (3, RolloutKind.DEPLOY)
    assert world.status.memory.last_completed_revision is None


def test_c3_an_equal_template_starts_nothing() -> None:
    world = completed()
    before = world.status
    world.want(template=template("v1")).look(1.0)
    assert (
        replace(world.status.memory, observed_generation=before.memory.observed_generation)
        == before.memory
    )
    assert world.status.report == before.report


def test_c3_a_change_of_anything_else_starts_no_rollout() -> None:
    world = completed()
    finished = world.rollout
    world.want(replicas=6, progress_deadline=1, health_check_grace_period=9).settle(1.0)
    assert world.rollout == finished
    assert world.sizes() == {"v1": 6}


def test_the_start_is_announced_with_what_would_trip_it() -> None:
    [event] = ManualCluster().look().events
    assert event.message == (
        "rollout of revision 1 (shop:v1) to 4 replicas started; circuit breaker trips at 3 failures"
    )


def test_the_start_is_announced_as_paused_or_unwatched() -> None:
    world = ManualCluster(guarded=guarded(1, replace(template("v1"), images=()), paused=True))
    [event] = world.look().events
    assert event.message == (
        "rollout of revision 1 to 1 replicas started, paused; circuit breaker trips at 3 failures"
    )
    off = replace(world.guarded.spec.breaker, enable=False)
    [event] = ManualCluster(guarded=guarded(1, breaker=off)).look().events
    assert event.message.endswith("; circuit breaker disabled")


def test_the_start_is_announced_with_every_image() -> None:
    images = ("shop:v1", "proxy:7")
    [event] = (
        ManualCluster(guarded=guarded(1, replace(template("v1"), images=images))).look().events
    )
    assert event.message.startswith("rollout of revision 1 (shop:v1, proxy:7) to 1 replicas")


def test_the_stop_is_told_with_both_revisions() -> None:
    events = failing().apply("v3").look(1.0).events
    assert events[0].message == "revision 2 (shop:v2) stopped: revision 3 was applied"


# --- B6 -------------------------------------------------------------------------------------------


def test_b6_the_failed_template_stays_in_spec_and_is_not_tried_again() -> None:
    world = rolled_back()
    assert world.guarded.spec.template.digest == "v2"
    world.settle(86_400.0)
    world.want(replicas=6).settle(1.0)
    assert world.sizes() == {"v1": 6}
    assert world.rollout.revision == 1
    assert world.status.memory.desired_revision == 2


def test_b6_another_template_starts_a_new_rollout_that_may_roll_back_again() -> None:
    world = rolled_back().apply("v3").settle(1.0)
    assert (world.rollout.revision, world.state()) == (3, S.IN_PROGRESS)
    assert world.status.memory.last_completed_revision == 1
    world.crash("v3").settle(1.0)
    assert (world.rollout.revision, world.state()) == (1, S.ROLLBACK_SUCCESSFUL)


def test_b6_the_old_template_put_back_after_a_rollback_is_what_runs() -> None:
    world = rolled_back()
    finished, events = world.rollout, list(world.events)
    world.apply("v1").settle(1.0)
    assert world.rollout == finished
    assert world.events == events
    assert world.status.memory.desired_revision == 1
    assert world.status.report.rollout_state is RolloutState.COMPLETED
    assert [c.type for c in world.status.report.conditions] == ["Available", "Progressing", "Ready"]
    assert all(c.status for c in world.status.report.conditions)


def test_b6_the_old_template_put_back_during_a_rollback_lets_it_finish() -> None:
    world = rolling_back()
    begun = world.rollout
    world.apply("v1").settle(1.0)
    assert (world.rollout.started_at, world.state()) == (begun.started_at, S.ROLLBACK_IN_PROGRESS)
    assert world.condition("Stalled") is None
    world.heal("v1").settle(1.0)
    world.heal("v1").settle(1.0)
    assert world.state() is S.ROLLBACK_SUCCESSFUL
    assert world.status.report.rollout_state is RolloutState.COMPLETED
    assert world.status.report.rollout_state_reason == "revision 1 completed"
    ready = world.condition("Ready")
    assert ready is not None
    assert ready.status


def test_b6_the_old_template_put_back_during_a_rollout_is_a_rollout_of_its_own() -> None:
    world = failing().apply("v1").settle(1.0)
    assert world.record(2).rollout_state is RolloutState.STOPPED
    assert (world.rollout.revision, world.rollout.kind) == (1, RolloutKind.DEPLOY)
    assert world.state() is S.SUCCESSFUL
    assert world.status.memory.last_completed_revision == 1
    assert world.sizes() == {"v1": 4}


def test_b6_a_template_that_was_stopped_comes_back_with_its_number() -> None:
    world = failing().apply("v3").settle(1.0).apply("v2").settle(1.0)
    assert (world.rollout.revision, world.status.memory.desired_revision) == (2, 2)
    assert world.record(2).rollout_state is RolloutState.IN_PROGRESS
    assert world.record(2).message == ""
    assert world.record(2).finished_at is None


def test_b6_the_failed_template_put_back_later_is_a_new_rollout() -> None:
    world = rolled_back().roll_out("v3")
    world.apply("v2").settle(1.0)
    assert (world.rollout.revision, world.state()) == (2, S.IN_PROGRESS)
    assert world.status.memory.last_completed_revision == 3


def test_b6_the_old_template_put_back_after_a_failed_rollback_is_tried_again() -> None:
    world = rolling_back().settle(1.0)
    world.crash("v1", runs=3).settle(1.0)
    assert (world.rollout.revision, world.state()) == (1, S.ROLLBACK_FAILED)
    world.apply("v1").look(1.0)
    assert (world.rollout.revision, world.rollout.kind) == (1, RolloutKind.DEPLOY)
    assert world.state() is S.IN_PROGRESS


# --- C1 -------------------------------------------------------------------------------------------


def test_c1_a_new_value_retries_the_failed_revision() -> None:
    world = rolled_back().command(retry="now")
    world.look(1.0)
    assert (world.rollout.revision, world.rollout.kind) == (2, RolloutKind.DEPLOY)
    assert world.state() is S.IN_PROGRESS
    assert world.breaker().failure_count == 0
    assert world.status.memory.last_completed_revision == 1
    assert world.events[-1] == "RolloutStarted"


def test_c1_a_value_seen_before_does_nothing() -> None:
    world = rolled_back().command(retry="now").settle(1.0)
    world.crash("v2").settle(1.0)
    assert world.state() is S.ROLLBACK_SUCCESSFUL
    world.settle(3600.0)
    assert world.rollout.revision == 1
    world.command(retry="again").settle(1.0)
    assert world.rollout.revision == 2


def test_c1_a_value_is_seen_also_when_there_is_nothing_to_retry() -> None:
    world = completed().command(retry="early").settle(1.0)
    assert world.status.memory.observed_retry == "early"
    assert world.rollout.revision == 1
    world.apply("v2").settle(1.0).crash("v2").settle(1.0)
    assert world.state() is S.ROLLBACK_SUCCESSFUL


def test_w2_a_completed_revision_that_is_found_again_is_past_its_launch() -> None:
    world = completed()
    world.guarded = replace(world.guarded, status=Status())
    world.settle(1.0)
    assert world.state() is S.SUCCESSFUL
    assert world.breaker().stage is Stage.HEALTH


def test_c1_an_annotation_that_is_removed_is_no_retry() -> None:
    world = rolled_back().command(retry="now").settle(1.0)
    world.crash("v2").settle(1.0)
    world.command(retry=None).settle(1.0)
    assert world.state() is S.ROLLBACK_SUCCESSFUL


def test_c1_an_annotation_that_is_removed_and_put_back_is_no_retry() -> None:
    """A GitOps tool, or a manifest that is restored, does that; the value is the last one seen."""
    world = rolled_back().command(retry="now").settle(1.0)
    world.crash("v2").settle(1.0)
    world.command(retry=None).settle(1.0).command(retry="now").settle(1.0)
    assert world.state() is S.ROLLBACK_SUCCESSFUL
    world.command(retry="again").settle(1.0)
    assert world.state() is S.IN_PROGRESS


def test_c1_a_retry_of_a_rollout_in_progress_or_completed_does_nothing() -> None:
    for world in (failing(), completed()):
        before = world.rollout
        world.command(retry="now").settle(1.0)
        assert world.rollout == before


def test_c1_a_retry_during_a_rollback_stops_it_and_leaves_no_rollback_target() -> None:
    world = rolling_back().command(retry="now")
    world.look(1.0)
    assert (world.rollout.revision, world.state()) == (2, S.IN_PROGRESS)
    assert world.record(1).rollout_state is RolloutState.STOPPED
    assert world.record(1).message == "stopped: a retry of revision 2 was asked for"
    assert world.status.memory.last_completed_revision is None
    world.crash("v2", runs=9).look(1.0)
    assert world.rollout.reason is Reason.NO_COMPLETED_REVISION


def test_c1_a_retry_of_what_was_stopped_or_stalled() -> None:
    stopped = failing().command(stop="2/ABORT").settle(1.0)
    stalled = started().crash("v1", runs=3).settle(1.0)
    for world, number in ((stopped, 2), (stalled, 1)):
        assert world.state() in {S.STOPPED, S.FAILED}
        world.command(retry="now").settle(1.0)
        assert (world.rollout.revision, world.state()) == (number, S.IN_PROGRESS)
        assert world.condition("Stalled") is None


def test_c1_what_the_pods_showed_before_a_retry_is_not_counted_again() -> None:
    world = started().crash("v1", count=4)
    world.look(1.0)  # FAILED; nothing has been scaled down yet when the retry comes
    world.command(retry="now").look(1.0)
    assert world.state() is S.IN_PROGRESS
    assert world.breaker().failure_count == 0


def test_c1_a_retry_with_a_new_template_is_one_rollout() -> None:
    world = rolled_back().apply("v3").command(retry="now")
    decision = world.look(1.0)
    assert [event.reason.value for event in decision.events] == ["RolloutStarted"]
    assert world.rollout.revision == 3
    assert world.status.memory.observed_retry == "now"


def test_c1_a_retry_while_paused_waits() -> None:
    world = rolled_back().want(paused=True).command(retry="now").settle(1.0)
    assert (world.rollout.revision, world.state()) == (2, S.PENDING)
    world.want(paused=False).settle(1.0)
    assert world.state() is S.IN_PROGRESS


# --- C2 -------------------------------------------------------------------------------------------


def test_c2_stop_with_rollback_goes_back_as_after_a_trip() -> None:
    world = failing().command(stop="2/ROLLBACK")
    decision = world.look(1.0)
    assert [event.reason.value for event in decision.events][:2] == [
        "RolloutStopped",
        "RollbackStarted",
    ]
    assert decision.events[0].message == "revision 2 (shop:v2) was stopped by a person (ROLLBACK)"
    assert world.record(2).rollout_state is RolloutState.STOPPED
    assert (world.rollout.revision, world.rollout.kind) == (1, RolloutKind.ROLLBACK)
    assert world.rollout.failed_revision == 2
    assert world.rollout.message == "stopped by a person"
    world.settle(1.0)
    assert world.sizes() == {"v1": 4}
    assert world.status.report.rollout_state is RolloutState.STOPPED


def test_c2_stop_with_rollback_works_with_automatic_rollback_off() -> None:
    world = failing()
    off = replace(world.guarded.spec.breaker, rollback=False)
    world.want(breaker=off).command(stop="2/ROLLBACK").look(1.0)
    assert world.rollout.kind is RolloutKind.ROLLBACK


def test_c2_stop_with_rollback_stalls_where_there_is_nothing_to_go_back_to() -> None:
    world = started().command(stop="1/ROLLBACK")
    decision = world.look(1.0)
    assert (world.state(), world.rollout.reason) == (S.STOPPED, Reason.NO_COMPLETED_REVISION)
    assert decision.events[-1].message == (
        "revision 1 stalled: stopped by a person; "
        "no completed revision to roll back to, nothing more is launched"
    )
    assert world.events[-2:] == ["RolloutStopped", "RolloutStalled"]
    assert world.sizes() == {}


def test_c2_abort_stalls() -> None:
    world = failing()
    world.heal("v2", count=1).look(1.0)
    decision = world.command(stop="2/ABORT").look(1.0)
    assert decision.events[0].message.endswith("was stopped by a person (ABORT)")
    assert (world.rollout.revision, world.state()) == (2, S.STOPPED)
    assert world.rollout.reason is Reason.ROLLOUT_STOPPED
    assert world.rollout.message == "stopped by a person"
    assert world.sizes() == {"v1": 3, "v2": 1}
    assert world.breaker().status is BreakerState.MONITORING_COMPLETE


@pytest.mark.parametrize(
    "command",
    [
        pytest.param("1/ROLLBACK", id="another revision"),
        pytest.param("3/ABORT", id="a revision that does not exist yet"),
        pytest.param("2/PAUSE", id="an unknown kind"),
        pytest.param("2", id="no kind"),
        pytest.param("2/", id="an empty kind"),
        pytest.param("/ABORT", id="no revision"),
        pytest.param("", id="nothing"),
        pytest.param("2/ABORT/now", id="too much"),
        pytest.param("02/ABORT", id="not how we write numbers"),
        pytest.param("2/abort", id="not how we write kinds"),
    ],
)
def test_c2_a_command_that_means_something_else_does_nothing(command: str) -> None:
    world = failing()
    before = world.rollout
    world.command(stop=command).settle(1.0)
    assert world.rollout == before
    assert world.status.memory.observed_stop == command


def test_c2_a_command_for_a_later_revision_does_not_act_later() -> None:
    world = failing().command(stop="3/ABORT").settle(1.0)
    world.apply("v3").settle(1.0)
    assert (world.rollout.revision, world.state()) == (3, S.IN_PROGRESS)


def test_c2_a_value_seen_before_does_not_hit_a_later_rollout_of_the_revision() -> None:
    world = failing().command(stop="2/ROLLBACK").settle(1.0)
    assert world.state() is S.ROLLBACK_SUCCESSFUL
    world.command(retry="now").settle(1.0)
    assert (world.rollout.revision, world.state()) == (2, S.IN_PROGRESS)


def test_c2_a_command_that_is_written_before_the_first_look_does_nothing() -> None:
    world = ManualCluster(guarded=guarded(stop="1/ABORT")).settle()
    assert world.state() is S.IN_PROGRESS
    assert world.status.memory.observed_stop == "1/ABORT"


@pytest.mark.parametrize("state", [S.SUCCESSFUL, S.FAILED])
def test_c2_a_finished_rollout_cannot_be_stopped(state: RolloutStatus) -> None:
    world = completed() if state is S.SUCCESSFUL else started().crash("v1").settle(1.0)
    assert world.state() is state
    before = world.rollout
    world.command(stop="1/ABORT").settle(1.0)
    assert world.rollout == before


@pytest.mark.parametrize("kind", ["ROLLBACK", "ABORT"])
def test_c2_a_stopped_rollback_stalls_and_never_starts_another(kind: str) -> None:
    world = rolling_back().command(stop=f"1/{kind}")
    world.look(1.0)
    assert (world.rollout.revision, world.state()) == (1, S.STOPPED)
    assert world.rollout.reason is Reason.ROLLOUT_STOPPED
    assert world.status.memory.last_completed_revision is None


def test_c2_a_rollback_is_not_stopped_by_the_number_of_the_revision_that_failed() -> None:
    world = rolling_back().command(stop="2/ABORT")
    world.look(1.0)
    assert world.state() is S.ROLLBACK_IN_PROGRESS


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        pytest.param("ABORT", S.STOPPED, id="ABORT"),
        pytest.param("ROLLBACK", S.ROLLBACK_IN_PROGRESS, id="ROLLBACK"),
    ],
)
def test_c2_a_rollout_can_be_stopped_while_paused(kind: str, state: RolloutStatus) -> None:
    world = completed().want(paused=True).apply("v2").settle(1.0)
    assert world.state() is S.PENDING
    world.command(stop=f"2/{kind}").settle(1.0)
    assert world.state() is state
    assert world.sizes() == {"v1": 4}
    if state is S.ROLLBACK_IN_PROGRESS:
        world.want(paused=False).settle(1.0)
        assert world.state() is S.ROLLBACK_SUCCESSFUL


def test_c1_and_c2_together_stop_and_try_again() -> None:
    world = failing().command(stop="2/ABORT", retry="now")
    world.look(1.0)
    assert (world.rollout.revision, world.state()) == (2, S.IN_PROGRESS)
    assert world.rollout.started_at == world.now


def test_c1_and_c2_with_a_rollback_still_obey_both_in_their_order() -> None:
    world = failing().command(stop="2/ROLLBACK", retry="now")
    world.look(1.0)
    assert (world.rollout.revision, world.rollout.kind) == (2, RolloutKind.DEPLOY)
    told = ["RolloutStopped", "RollbackStarted", "RolloutStopped", "RolloutStarted"]
    assert world.events[-4:] == told


# --- R6 -------------------------------------------------------------------------------------------


def test_r6_with_no_replicas_a_rollout_completes_and_proves_nothing() -> None:
    world = completed().want(replicas=0).settle(1.0)
    world.apply("v2").settle(1.0)
    assert (world.rollout.revision, world.state()) == (2, S.SUCCESSFUL)
    assert world.rollout.reason is Reason.SCALED_TO_ZERO
    assert world.status.memory.last_completed_revision == 1
    assert world.record(2).rollout_state is RolloutState.COMPLETED
    assert world.record(2).completed_at is None
    assert world.breaker().status is BreakerState.MONITORING_COMPLETE


def test_r6_the_first_revision_with_no_replicas_is_no_rollback_target() -> None:
    world = ManualCluster(guarded=guarded(0)).settle()
    assert world.state() is S.SUCCESSFUL
    assert world.status.memory.last_completed_revision is None
    assert [rs.size for rs in world.replica_sets.values()] == [0]


def test_r6_scaling_up_from_zero_starts_a_rollout_with_the_breaker_on() -> None:
    world = completed().want(replicas=0).settle(1.0).apply("v2").settle(1.0)
    decision = world.want(replicas=4).look(1.0)
    assert (world.rollout.revision, world.state()) == (2, S.IN_PROGRESS)
    assert world.rollout.started_at == world.now
    assert world.breaker().status is BreakerState.MONITORING
    assert decision.events[0].message == "scaled up from 0: revision 2 (shop:v2)"
    world.settle(1.0).heal("v2").settle(1.0)
    assert (world.state(), world.status.memory.last_completed_revision) == (S.SUCCESSFUL, 2)


def test_r6_scaling_up_from_zero_to_one_is_a_rollout_that_proves_it() -> None:
    world = completed().want(replicas=0).settle(1.0).apply("v2").settle(1.0)
    world.want(replicas=1).settle(1.0)
    assert (world.rollout.revision, world.state()) == (2, S.IN_PROGRESS)
    world.heal("v2").settle(1.0)
    assert (world.state(), world.rollout.reason) == (S.SUCCESSFUL, Reason.ROLLOUT_COMPLETED)
    assert world.rollout.message == ""
    assert (target(world), world.record(2).completed_at) == (2, world.now)


def test_r6_a_revision_that_fails_after_scaling_up_goes_back_to_the_older_one() -> None:
    world = completed().want(replicas=0).settle(1.0).apply("v2").settle(1.0)
    world.want(replicas=4).settle(1.0).crash("v2").settle(1.0)
    assert (world.rollout.revision, world.state()) == (1, S.ROLLBACK_IN_PROGRESS)
    world.heal("v1").settle(1.0)
    assert world.state() is S.ROLLBACK_SUCCESSFUL
    assert world.sizes() == {"v1": 4}


def test_r6_a_completed_revision_that_was_scaled_to_zero_has_been_proved() -> None:
    world = completed().want(replicas=0).settle(1.0)
    before = world.rollout
    assert world.status.memory.last_completed_revision == 1
    world.want(replicas=4).settle(1.0)
    assert world.rollout == before
    assert world.sizes() == {"v1": 4}


def test_r6_a_rollout_scaled_to_zero_in_the_middle_completes_and_proves_nothing() -> None:
    world = failing().want(replicas=0).settle(1.0)
    assert (world.state(), world.rollout.reason) == (S.SUCCESSFUL, Reason.SCALED_TO_ZERO)
    assert world.status.memory.last_completed_revision == 1
    assert world.sizes() == {}


def test_r6_a_rollback_with_no_replicas_has_to_prove_itself_later() -> None:
    world = rolling_back().want(replicas=0).settle(1.0)
    assert (world.state(), world.rollout.reason) == (
        S.ROLLBACK_SUCCESSFUL,
        Reason.ROLLBACK_COMPLETED,
    )
    assert target(world) is None
    world.want(replicas=4).settle(1.0)
    assert (world.rollout.revision, world.state()) == (1, S.ROLLBACK_IN_PROGRESS)
    assert world.rollout.failed_revision == 2
    world.heal("v1").settle(1.0)
    assert (world.state(), target(world)) == (S.ROLLBACK_SUCCESSFUL, 1)


def test_r6_scaling_up_while_paused_waits() -> None:
    world = ManualCluster(guarded=guarded(0)).settle().want(replicas=4, paused=True).settle(1.0)
    assert world.state() is S.PENDING
    assert world.sizes() == {}


def test_r6_a_rolled_back_revision_whose_replica_set_is_gone_cannot_be_scaled_up() -> None:
    world = rolling_back().want(replicas=0).settle(1.0).forget_replica_set("v1")
    before = world.rollout
    world.want(replicas=4).settle(1.0)
    assert world.rollout == before
    assert world.sizes() == {}


# --- R7 -------------------------------------------------------------------------------------------


def test_r7_a_rollout_that_begins_in_a_pause_is_pending() -> None:
    world = completed().want(paused=True).apply("v2").settle(1.0)
    assert world.state() is S.PENDING
    assert world.status.report.rollout_state is RolloutState.IN_PROGRESS
    assert world.sizes() == {"v1": 4}
    assert [rs.template.digest for rs in world.replica_sets.values()] == ["v1"]
    assert world.status.report.rollout_state_reason == "revision 2 waits for the end of the pause"


def test_r7_a_pending_rollout_goes_on_after_the_pause_with_a_clock_that_begins_then() -> None:
    world = completed().want(paused=True).apply("v2").settle(1.0)
    world.want(paused=False).look(5000.0)
    assert (world.state(), world.rollout.paused_at) == (S.IN_PROGRESS, None)
    assert world.rollout.progressed_at == world.now
    assert (world.rollout.reason, world.rollout.message) == (Reason.ROLLOUT_IN_PROGRESS, "")
    assert world.sizes() == {"v1": 4, "v2": 4}


def test_r7_the_clock_of_p_stands_still_in_a_pause() -> None:
    world = failing()
    began = world.rollout.progressed_at
    world.want(paused=True).settle(400.0)
    assert world.rollout.paused_at == began + 400.0
    world.settle(10_000.0)
    assert world.state() is S.IN_PROGRESS
    world.want(paused=False).look(0.25)
    assert world.rollout.paused_at is None
    assert world.rollout.progressed_at == began + 10_000.25
    world.look(199.0)
    assert world.state() is S.IN_PROGRESS
    world.look(1.0)
    assert world.state() is S.ROLLBACK_IN_PROGRESS


def test_r7_nothing_is_counted_in_a_pause_or_later() -> None:
    world = failing().want(paused=True).settle(1.0)
    world.crash("v2", runs=50).settle(60.0)
    assert world.breaker().failure_count == 0
    world.want(paused=False).settle(1.0)
    assert world.state() is S.IN_PROGRESS
    assert world.breaker().failure_count == 0
    world.crash("v2", runs=51, count=2).look(1.0)
    assert world.breaker().failure_count == 2


def test_r7_a_wait_that_began_in_a_pause_is_not_counted_for_what_it_lasted_there() -> None:
    world = failing().want(paused=True).settle(1.0)
    world.become("v2", lambda name, _: stuck_pod(name)).settle(3600.0)
    world.want(paused=False).settle(1.0)
    assert (world.state(), world.breaker().failure_count) == (S.IN_PROGRESS, 0)


def test_r7_what_was_counted_before_a_pause_stays() -> None:
    world = failing().crash("v2", count=2).settle(1.0).want(paused=True).settle(1.0)
    assert world.breaker().summary == "2/3"
    world.want(paused=False).settle(60.0)
    assert world.breaker().summary == "2/3"


def test_r7_no_pod_is_launched_or_removed_in_a_pause() -> None:
    world = failing().heal("v2").want(paused=True)
    assert world.look(1.0).actions == ()
    assert world.look(600.0).actions == ()
    assert world.sizes() == {"v1": 4, "v2": 4}


def test_r7_a_fleet_of_one_completed_revision_still_follows_replicas() -> None:
    world = completed().want(paused=True).apply("v2").settle(1.0)
    world.want(replicas=6).settle(1.0)
    assert world.sizes() == {"v1": 6}
    world.want(replicas=2).settle(1.0)
    assert world.sizes() == {"v1": 2}


def test_r7_a_fleet_with_an_older_replica_set_at_zero_still_follows_replicas() -> None:
    world = completed().roll_out("v2").want(paused=True).apply("v3").settle(1.0)
    world.want(replicas=6).settle(1.0)
    assert world.sizes() == {"v2": 6}


def test_r7_a_paused_rollout_grows_in_proportion() -> None:
    world = completed(strategy=Percentages(100, 125)).apply("v2").settle(1.0)
    assert world.sizes() == {"v1": 4, "v2": 1}
    world.want(paused=True, replicas=9).settle(1.0)
    assert world.sizes() == {"v1": 9, "v2": 2}


def test_r7_a_pause_with_the_breaker_disabled() -> None:
    world = started()
    off = replace(world.guarded.spec.breaker, enable=False)
    world.want(breaker=off, paused=True).settle(1.0)
    world.crash("v1", runs=9).want(paused=False).settle(1.0)
    assert world.state() is S.IN_PROGRESS
    assert world.breaker().counted == ()


def test_r7_a_pause_of_a_finished_rollout_changes_nothing() -> None:
    world = completed()
    before = world.status
    world.want(paused=True).look(1.0)
    assert (
        replace(world.status.memory, observed_generation=before.memory.observed_generation)
        == before.memory
    )
    assert world.status.report == before.report
    world.want(paused=False).look(1.0)
    assert (
        replace(world.status.memory, observed_generation=before.memory.observed_generation)
        == before.memory
    )
    assert world.status.report == before.report


# --- W2 -------------------------------------------------------------------------------------------


def forget(world: ManualCluster) -> ManualCluster:
    """Lose the status, as a restored object has."""
    world.guarded = replace(world.guarded, status=Status())
    return world


def test_w2_a_lost_status_is_found_again_on_the_replica_sets() -> None:
    world = completed().roll_out("v2")
    at = world.record(2).completed_at
    sizes = world.sizes()
    forget(world).now += 100.0
    decision = world.look()
    assert decision.events == ()
    assert decision.actions == ()
    assert world.state() is S.SUCCESSFUL
    assert (world.rollout.started_at, world.rollout.finished_at) == (at, at)
    assert world.rollout.progressed_at == at
    assert world.rollout.kind is RolloutKind.DEPLOY
    assert world.rollout.reason is Reason.ROLLOUT_COMPLETED
    assert world.rollout.message == "history was found again on the ReplicaSets"
    assert (world.status.memory.desired_revision, world.status.memory.last_completed_revision) == (
        2,
        2,
    )
    assert [r.revision for r in world.status.memory.revisions] == [2, 1]
    assert world.sizes() == sizes


def test_w2_of_two_replica_sets_of_the_template_the_one_that_completed_last_is_found() -> None:
    """After a hash collision there may be two."""
    wanted = template("v1")
    world = ManualCluster(guarded=guarded(wanted=wanted))
    runs = replica_set(1, *ready_pods(4), of=wanted, completed_at=START - 60)
    twin = replica_set(2, of=wanted, name="shop-after-collision", uid="twin")
    world.replica_sets = {rs.name: rs for rs in (runs, twin)}
    world.settle()
    assert (world.status.memory.desired_revision, world.rollout.revision, world.state()) == (
        1,
        1,
        S.SUCCESSFUL,
    )
    assert world.events == []


def test_w2_a_template_that_differs_starts_a_rollout_with_the_found_rollback_target() -> None:
    world = forget(completed()).apply("v2")
    world.settle(1.0)
    assert (world.rollout.revision, world.status.memory.last_completed_revision) == (2, 1)
    world.crash("v2").settle(1.0)
    assert (world.rollout.revision, world.state()) == (1, S.ROLLBACK_SUCCESSFUL)


def test_w2_a_rollout_that_was_in_progress_begins_again_and_counts_only_what_comes() -> None:
    world = failing().crash("v2", runs=7).apply("v2")
    forget(world).look(1.0)
    assert (world.rollout.revision, world.state()) == (2, S.IN_PROGRESS)
    assert world.breaker().failure_count == 0
    world.crash("v2", runs=8).settle(1.0)
    assert (world.rollout.revision, world.state()) == (1, S.ROLLBACK_SUCCESSFUL)


def test_w2_without_a_completion_on_any_replica_set_there_is_no_rollback_target() -> None:
    sets = replica_set(3, *ready_pods(4), of=template("v1"))
    world = ManualCluster(guarded=guarded(), replica_sets={sets.name: sets})
    world.look()
    assert (world.rollout.revision, world.status.memory.last_completed_revision) == (3, 3)
    assert world.events == ["RolloutStarted", "RolloutCompleted"]


def late_orphan(world: ManualCluster, *, completed_at: float | None) -> ManualCluster:
    """Let a ReplicaSet of a lost status be seen only after the first look."""
    orphan = replica_set(1, *ready_pods(4), completed_at=completed_at)
    world.replica_sets[orphan.name] = orphan
    return world


def test_w2_an_orphan_that_is_seen_late_is_history_and_a_rollback_target() -> None:
    world = ManualCluster(guarded=guarded(wanted=template("v2"))).settle()
    assert (world.rollout.revision, target(world)) == (1, None)
    late_orphan(world, completed_at=START - 60).settle(1.0)
    assert [(r.revision, r.digest) for r in world.status.memory.revisions] == [(2, "v1"), (1, "v2")]
    assert target(world) == 2
    world.crash("v2").settle(1.0)
    assert (world.rollout.revision, world.state()) == (2, S.ROLLBACK_SUCCESSFUL)
    assert world.sizes() == {"v1": 4}


def test_w2_an_orphan_that_never_was_completed_is_history_and_no_rollback_target() -> None:
    world = ManualCluster(guarded=guarded(wanted=template("v2"))).settle()
    late_orphan(world, completed_at=None).settle(1.0)
    assert world.record(2).rollout_state is RolloutState.STOPPED
    assert target(world) is None


def test_w2_an_orphan_is_no_rollback_target_once_something_else_was_completed() -> None:
    world = completed(version="v2")
    before = world.rollout
    late_orphan(world, completed_at=START + 9e6).settle(1.0)
    assert target(world) == 1
    assert world.rollout == before
    assert world.record(1).digest == "v2"


def test_w2_an_orphan_is_no_rollback_target_in_the_middle_of_a_rollback() -> None:
    world = rolling_back()
    orphan = replica_set(9, of=template("v9"), completed_at=START)
    world.replica_sets[orphan.name] = orphan
    world.look(1.0)
    assert world.state() is S.ROLLBACK_IN_PROGRESS
    assert target(world) is None


def test_w2_old_commands_do_not_act_on_a_restored_object() -> None:
    world = failing().command(retry="old", stop="2/ROLLBACK")
    forget(world).look(1.0)
    assert (world.rollout.revision, world.state()) == (2, S.IN_PROGRESS)
    assert (world.status.memory.observed_retry, world.status.memory.observed_stop) == (
        "old",
        "2/ROLLBACK",
    )


# --- collisions -----------------------------------------------------------------------------------


def collide(world: ManualCluster, name: str, digest: str = "v1") -> ManualCluster:
    world.create_error = CreateError(digest, name, "already exists", name_taken=True)
    return world


def test_a_name_that_something_else_has_is_given_up() -> None:
    world = ManualCluster()
    [create] = world.look().actions
    assert isinstance(create, CreateReplicaSet)
    world.replica_sets.clear()
    [again] = collide(world, create.name).look(1.0).actions
    assert isinstance(again, CreateReplicaSet)
    assert again.name == replica_set_name(template("v1"), collisions=1) != create.name
    assert again.revision == create.revision == 1
    assert world.status.memory.collision_count == 1
    assert world.record(1).replica_set == again.name


def test_a_second_collision_counts_on() -> None:
    world = ManualCluster()
    world.look()
    for number in (1, 2, 3):
        world.replica_sets.clear()
        collide(world, world.record(1).replica_set).look(1.0)
        assert world.status.memory.collision_count == number
        assert world.record(1).replica_set == replica_set_name(template("v1"), number)


def test_a_collision_never_leads_to_the_name_of_another_revision() -> None:
    """An orphan of the same template, from before the object was made anew, has that name."""
    wanted = template("v1")
    world = started(2)
    found = world.replica_set("v1")
    del world.replica_sets[found.name]
    orphan = replica_set(7, of=wanted, name=replica_set_name(wanted, collisions=1), uid="orphan")
    world.replica_sets[orphan.name] = orphan
    world.create_error = CreateError(wanted.digest, found.name, name_taken=True)
    world.look()
    assert world.record(1).replica_set == replica_set_name(wanted, collisions=2)
    assert world.record(7).replica_set == orphan.name
    assert world.status.memory.collision_count == 2


def test_the_next_revision_begins_with_the_collisions_so_far() -> None:
    world = ManualCluster()
    world.look()
    world.replica_sets.clear()
    collide(world, world.record(1).replica_set).look(1.0)
    world.create_error = None
    world.apply("v2").look(1.0)
    assert world.record(2).replica_set == replica_set_name(template("v2"), collisions=1)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(CreateError("v1", "another-name", name_taken=True), id="an older name"),
        pytest.param(
            CreateError("v1", replica_set_name(template("v1"))), id="refused for another reason"
        ),
        pytest.param(None, id="no error"),
    ],
)
def test_no_other_error_is_a_collision(error: CreateError | None) -> None:
    world = ManualCluster()
    world.look()
    world.create_error = error
    world.look(1.0)
    assert world.status.memory.collision_count == 0


def test_a_collision_of_a_template_that_is_not_wanted_any_more_is_nothing() -> None:
    world = ManualCluster()
    world.look()
    old = world.record(1).replica_set
    world.apply("v2")
    collide(world, old).look(1.0)
    assert world.status.memory.collision_count == 0
