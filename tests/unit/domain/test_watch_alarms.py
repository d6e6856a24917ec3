"""Rules A as stories through ``decide``: alarms and bake time of a rollout."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.builders import guarded, pending_pod, template
from tests.support.manual_cluster import ManualCluster, completed
from tests.unit.domain.guarded_world import GuardedWorld, ready_many
from tests.unit.domain.guarded_world import completed as completed_guard
from tripswitch.domain.rules.alarms import fail
from tripswitch.domain.values.alarms import (
    NO_READING,
    AlarmReading,
    AlarmSpec,
    AlarmsState,
    Alert,
)
from tripswitch.domain.values.hold_actions import ReportTrip
from tripswitch.domain.values.hooks import HookSpec, LifecycleStage
from tripswitch.domain.values.protection import Mode
from tripswitch.domain.values.sight import CURRENT, Standstill
from tripswitch.domain.values.states import BreakerState, Reason, RolloutStatus
from tripswitch.domain.values.workload import BreakerSpec

S = RolloutStatus
ASKED = AlarmSpec(("Errors", "Slow"))
FIRES = Alert("Errors", {"namespace": "shop", "app": "web"}, "7 % of requests fail", "t2")
CAUSE = 'alarm Errors fires (app="web", namespace="shop"): 7 % of requests fail'
ENDS = "baking until "


def read(world: ManualCluster, *alerts: Alert, unknown: tuple[str, ...] = ()) -> ManualCluster:
    """Let the alarms be read now."""
    world.alarms = AlarmReading(world.now, alerts, unknown)
    return world


def rolling(*alerts: Alert, seconds: int = 300, asked: AlarmSpec = ASKED) -> ManualCluster:
    """Revision 1 completed; revision 2 is rolled out and the base line of its alarms is read."""
    world = completed().want(alarms=asked, bake_seconds=seconds).apply("v2").settle(1.0)
    return read(world, *alerts).settle()


def baking(*alerts: Alert, seconds: int = 300) -> ManualCluster:
    """Return the same with all pods of revision 2 healthy and those of revision 1 gone."""
    world = rolling(*alerts, seconds=seconds)
    for _ in range(10):
        world.heal("v2")
        read(world, *alerts).settle(1.0)
        if world.rollout.bake is not None:
            return world
    raise AssertionError("no bake began")


def bake_on(world: ManualCluster, seconds: float) -> ManualCluster:
    """Let time pass in which the alarms are read every 10 s and none fires."""
    for _ in range(int(seconds // 10)):
        world.now += 10
        read(world).settle()
    return world


def condition(world: ManualCluster, kind: str) -> str:
    """Return the message of a condition, empty if it is absent."""
    told = (one.message for one in world.guarded.status.report.conditions if one.type == kind)
    return next(told, "")


# --- A1 ---


def test_a1_an_alarm_that_begins_to_fire_rolls_back_although_no_pod_fails() -> None:
    world = rolling()
    world.heal("v2", count=1)
    decision = read(world.settle(1.0), FIRES).look()
    assert [event.reason.value for event in decision.events] == [
        "AlarmTriggered",
        "RollbackStarted",
    ]
    assert decision.events[0].message == f"revision 2 failed: {CAUSE}"
    assert decision.events[0].warning
    assert world.state() is S.ROLLBACK_IN_PROGRESS
    assert world.record(2).message == CAUSE
    assert CAUSE in world.guarded.status.report.rollout_state_reason
    alarms = world.status.memory.alarms
    assert alarms is not None
    assert (alarms.status, alarms.triggered_alarm_names) == (AlarmsState.TRIGGERED, ("Errors",))
    assert world.status.memory.circuit_breaker.status is BreakerState.MONITORING
    world.settle(1.0).heal("v1").settle(1.0)
    assert world.state() is S.ROLLBACK_SUCCESSFUL
    assert world.status.memory.alarms == alarms, "it can be read until the next rollout"


def test_a1_an_alarm_in_the_bake_rolls_back_to_pods_that_have_to_start_anew() -> None:
    world = bake_on(baking(), 60)
    read(world, FIRES).look()
    assert (world.state(), world.rollout.revision) == (S.ROLLBACK_IN_PROGRESS, 1)
    world.settle(1.0)
    assert world.sizes()["v1"] == 4
    world.heal("v1").settle(1.0)
    assert world.state() is S.ROLLBACK_SUCCESSFUL
    assert world.rollout.bake is None, "A3: not in a rollback"


def test_a2_alarms_are_asked_for_once_the_revision_is_launched() -> None:
    """Not while a hook holds it (K1): what begins to fire meanwhile is on when the rollout begins."""
    before = HookSpec((LifecycleStage.PRE_SCALE_UP,), 3600)
    world = completed().want(alarms=ASKED, hooks=(before,)).apply("v2").settle(1.0)
    assert world.look().alarms is None
    (hook,) = world.rollout.hooks
    world.command(answers=f"{hook.hook_id}/CONTINUE").settle(1.0)
    assert world.look().alarms is not None
    read(world, FIRES).settle(1.0)
    assert world.state() is S.IN_PROGRESS
    assert condition(world, "AlarmsIgnored") != ""


def test_a1_an_alarm_has_a_rollback_of_its_own() -> None:
    world = rolling(asked=replace(ASKED, rollback=False))
    read(world.settle(1.0), FIRES).look()
    assert (world.state(), world.rollout.reason) == (S.FAILED, Reason.ALARM_TRIGGERED)
    assert world.rollout.message == f"{CAUSE}; rollback is off, nothing more is launched"
    assert world.events[-2:] == ["AlarmTriggered", "RolloutStalled"]
    other = rolling().want(breaker=BreakerSpec(rollback=False))
    read(other.settle(1.0), FIRES).look()
    assert other.state() is S.ROLLBACK_IN_PROGRESS, "that of the breaker is of no meaning"


def test_a1_alarms_work_without_the_breaker() -> None:
    world = rolling().want(breaker=BreakerSpec(enable=False))
    read(world.settle(1.0), FIRES).look()
    assert world.state() is S.ROLLBACK_IN_PROGRESS
    assert world.status.memory.circuit_breaker.status is BreakerState.DISABLED


def test_a1_the_first_rollout_has_nothing_to_go_back_to() -> None:
    world = ManualCluster(guarded=guarded(4, template("v1"), alarms=ASKED)).settle()
    read(world).settle(1.0)
    read(world.settle(1.0), FIRES).look()
    assert (world.state(), world.rollout.reason) == (S.FAILED, Reason.NO_COMPLETED_REVISION)


def test_a1_what_the_breaker_finds_is_told_as_before() -> None:
    world = rolling()
    read(world.settle(1.0)).crash("v2", count=3).look()
    assert world.state() is S.ROLLBACK_IN_PROGRESS
    assert "CircuitBreakerTriggered" in world.events
    alarms = world.status.memory.alarms
    assert alarms is not None
    assert alarms.status is AlarmsState.MONITORING_COMPLETE


def test_a1_a_rollback_is_not_watched_by_alarms() -> None:
    world = rolling()
    read(world.settle(1.0), FIRES).look()
    decision = read(world, FIRES).look(1.0)
    assert decision.alarms is None
    assert world.settle(1.0).state() is S.ROLLBACK_SUCCESSFUL


def test_a1_alarms_are_asked_for_only_while_they_can_fail_the_rollout() -> None:
    world = completed().want(alarms=ASKED, bake_seconds=0)
    assert world.look().alarms is None, "nothing is rolled out"
    asked = world.apply("v2").look(1.0).alarms
    assert asked is not None
    assert (asked.names, asked.after) == (ASKED.names, world.rollout.started_at)
    assert world.want(paused=True).look(1.0).alarms is None
    assert world.want(paused=False).look(1.0).alarms is not None
    assert world.want(alarms=None).look(1.0).alarms is None


def test_a1_alarms_that_are_not_wanted_any_more_are_forgotten() -> None:
    world = rolling(FIRES)
    assert world.status.memory.alarms is not None
    world.want(alarms=None, bake_seconds=0).settle(1.0)
    assert world.status.memory.alarms is None


# --- A2 ---


def test_a2_an_alarm_that_is_on_at_the_start_is_ignored_and_a_condition_says_so() -> None:
    world = rolling(FIRES, seconds=60)
    words = (
        "alarm Errors was already firing when the rollout of revision 2 began, and cannot fail it"
    )
    assert condition(world, "AlarmsIgnored") == words
    assert world.events.count("AlarmsIgnored") == 1
    world = baking(FIRES, Alert("Slow"), seconds=60)
    assert "alarms Errors, Slow were already firing" in condition(world, "AlarmsIgnored")
    alarms = world.status.memory.alarms
    assert alarms is not None
    assert alarms.status is AlarmsState.DISABLED
    assert bake_on(world, 70).state() is S.SUCCESSFUL
    assert condition(world, "AlarmsIgnored") == ""


def test_a2_the_next_rollout_has_a_base_line_of_its_own() -> None:
    world = rolling(FIRES)
    world.apply("v3").settle(1.0)
    assert condition(world, "AlarmsIgnored") == "", "nothing was read since it began"
    read(world).settle(1.0)
    read(world, FIRES).look()
    assert world.state() is S.ROLLBACK_IN_PROGRESS


def test_a2_a_retry_while_the_alarm_is_on_goes_through() -> None:
    """This is how a fix is deployed while the alarm still fires."""
    world = rolling()
    read(world.settle(1.0), FIRES).look()
    world.settle(1.0).command(retry="1")
    world.settle(1.0)
    assert (world.state(), world.rollout.revision) == (S.IN_PROGRESS, 2)
    read(world, FIRES).settle(1.0)
    assert world.state() is S.IN_PROGRESS


def test_a2_a_name_that_no_rule_has_is_told_once_and_harms_nothing() -> None:
    world = rolling(seconds=60)
    decision = read(world, unknown=("Slow",)).look(1.0)
    (told,) = decision.events
    assert told.message == "alarm Slow is not watched: no alerting rule has that name"
    assert read(world, unknown=("Slow",)).look(1.0).events == ()


def test_a2_alarms_that_cannot_be_read_fail_nothing() -> None:
    world = rolling()
    world.settle(9.0)
    world.alarms = fail("HTTP status 401", world.now, replace(world.alarms, alerts=(FIRES,)))
    decision = world.look()
    (told,) = decision.events
    assert (told.reason.value, told.warning) == ("AlarmsUnavailable", True)
    words = (
        "the alarms cannot be read, so no alarm can fail the rollout and no bake ends: "
        "HTTP status 401"
    )
    assert told.message == words == condition(world, "AlarmsUnavailable")
    assert world.look(100.0).events == ()
    assert world.state() is S.IN_PROGRESS
    read(world).look()
    assert condition(world, "AlarmsUnavailable") == ""
    assert read(world, FIRES).look(1.0)
    assert world.state() is S.ROLLBACK_IN_PROGRESS, "the base line is remembered"


def test_a2_after_a_restart_that_lost_the_words_the_condition_still_says_it() -> None:
    world = rolling()
    world.alarms = fail("refused", world.now, world.alarms)
    world.look(1.0)
    world.alarms = NO_READING
    world.look(1.0)
    assert condition(world, "AlarmsUnavailable").endswith(
        "there is no recent answer from Prometheus"
    )


def test_a2_without_a_bake_alarms_that_cannot_be_read_hold_nothing_up() -> None:
    world = completed().want(alarms=ASKED).apply("v2").settle(1.0)
    world.alarms = fail("refused", world.now, NO_READING)
    for _ in range(10):
        world.settle(1.0).heal("v2")
    assert world.settle(1.0).state() is S.SUCCESSFUL
    assert condition(world, "AlarmsUnavailable") == ""


# --- A3 ---


def test_a3_a_rollout_completes_only_after_its_bake() -> None:
    world = baking()
    began = world.now
    assert world.events[-1] == "BakeStarted"
    assert world.state() is S.IN_PROGRESS
    assert world.rollout.bake_ends_at == began + 300
    assert ENDS in world.guarded.status.report.rollout_state_reason
    assert world.status.memory.last_completed_revision == 1
    assert bake_on(world, 290).state() is S.IN_PROGRESS
    assert bake_on(world, 10).state() is S.SUCCESSFUL
    assert world.status.memory.last_completed_revision == 2
    alarms = world.status.memory.alarms
    assert alarms is not None
    assert alarms.status is AlarmsState.MONITORING_COMPLETE


def test_a3_the_end_needs_a_reading_of_its_own() -> None:
    """What fired in the last seconds of the bake is seen."""
    world = bake_on(baking(), 290)
    assert world.settle(10.0).state() is S.IN_PROGRESS
    assert world.look().alarms is not None
    assert read(world).settle(0.5).state() is S.SUCCESSFUL


def test_a3_a_bake_without_alarms_is_watched_by_the_breaker() -> None:
    world = completed().want(bake_seconds=60).apply("v2").settle(1.0)
    while world.rollout.bake is None:
        world.heal("v2").settle(1.0)
    assert world.settle(59.0).state() is S.IN_PROGRESS
    assert world.settle(1.0).state() is S.SUCCESSFUL


def test_a3_the_breaker_trips_in_a_bake() -> None:
    world = baking()
    name = world.replica_set("v2").name
    world.delete_pods(name)
    world.crash("v2", runs=3)
    read(world).settle(10.0)
    assert world.rollout.revision == 1
    assert "CircuitBreakerTriggered" in world.events


def test_a3_time_in_which_the_alarms_cannot_be_read_does_not_count() -> None:
    world = bake_on(baking(), 100)
    ends_at = world.rollout.bake_ends_at
    assert ends_at is not None
    last = world.now
    world.now += 10
    world.alarms = fail("refused", world.now, world.alarms)
    world.settle()
    assert world.rollout.bake is not None
    assert (world.rollout.bake.held_at, world.rollout.bake_ends_at) == (last, None)
    assert "baking, but the time since" in world.guarded.status.report.rollout_state_reason
    world.settle(5000.0)
    assert world.state() is S.IN_PROGRESS
    read(world).settle()
    assert world.rollout.bake_ends_at == ends_at + world.now - last


def test_a3_a_reading_that_gets_old_stops_the_clock() -> None:
    """Also a watcher that hangs must not let a bake end."""
    world = bake_on(baking(), 100)
    last = world.now
    world.settle(30.0)
    assert world.rollout.bake_ends_at is not None
    world.settle(0.001)
    assert world.rollout.bake is not None
    assert world.rollout.bake.held_at == last


def test_a3_a_bake_survives_a_restart_and_the_time_between_does_not_count() -> None:
    """A new process has no reading, and says since when nobody looked (V2)."""
    world = bake_on(baking(), 100)
    ends_at, last = world.rollout.bake_ends_at, world.now
    assert ends_at is not None
    world.now += 50
    world.alarms = NO_READING
    world.sight = replace(CURRENT, standstills=(Standstill(last, world.now + 40),))
    world.settle()
    read(world).settle(1.0)
    assert world.rollout.bake_ends_at is None, "kubelets have to report again first"
    bake_on(world, 40)
    assert world.rollout.bake_ends_at == ends_at + world.now - last
    assert bake_on(world, 300).state() is S.SUCCESSFUL


def test_a3_the_clock_of_progress_stands_still_in_a_bake_and_runs_after_it() -> None:
    world = baking(seconds=3600).want(replicas=6)
    bake_on(world, 1800)
    assert world.state() is S.IN_PROGRESS, "two pods wait for more than 600 s"
    bake_on(world, 1800)
    assert world.state() is S.IN_PROGRESS, "R5 does not hold, so it is not complete"
    bake_on(world, 590)
    assert world.state() is S.IN_PROGRESS
    bake_on(world, 20)
    assert world.state() is S.ROLLBACK_IN_PROGRESS


def test_a3_scaling_in_a_bake_applies_and_delays_nothing_but_its_own_pods() -> None:
    world = bake_on(baking(), 100)
    ends_at = world.rollout.bake_ends_at
    world.want(replicas=6)
    read(world).settle(1.0)
    assert world.sizes()["v2"] == 6
    world.heal("v2")
    read(world).settle(1.0)
    assert world.rollout.bake_ends_at == ends_at
    assert bake_on(world, 200).state() is S.SUCCESSFUL


def test_a3_scaling_to_zero_ends_a_bake_that_has_nothing_to_watch() -> None:
    world = baking().want(replicas=0).settle(1.0)
    assert world.state() is S.SUCCESSFUL
    assert world.rollout.reason is Reason.SCALED_TO_ZERO


def test_a3_a_template_change_in_a_bake_begins_a_rollout_with_a_bake_of_its_own() -> None:
    world = bake_on(baking(), 100).apply("v3").settle(1.0)
    assert (world.rollout.revision, world.rollout.bake) == (3, None)
    assert world.status.memory.last_completed_revision == 1, "a revision that baked is not proved"
    read(world).settle()
    while world.rollout.bake is None:
        world.heal("v3")
        read(world).settle(1.0)
    assert world.rollout.bake_ends_at == world.now + 300


def test_a3_a_pause_stops_the_bake() -> None:
    world = bake_on(baking(), 100)
    ends_at = world.rollout.bake_ends_at
    assert ends_at is not None
    world.want(paused=True).settle()
    assert world.rollout.bake_ends_at is None
    assert ENDS not in world.guarded.status.report.rollout_state_reason
    world.alarms = NO_READING
    world.settle(1000.0)
    world.want(paused=False).settle()
    assert world.rollout.bake_ends_at is None, "until the alarms are read again"
    read(world).settle(1.0)
    assert world.rollout.bake_ends_at == ends_at + 1001


def test_a3_a_bake_time_that_is_taken_away_ends_the_bake() -> None:
    world = baking().want(bake_seconds=0)
    read(world).settle(1.0)
    assert world.state() is S.SUCCESSFUL


def test_a3_a_bake_that_has_not_begun_can_be_taken_away() -> None:
    world = baking().want(replicas=6)
    read(world).settle(1.0)
    assert world.rollout.bake is not None
    world.want(bake_seconds=0)
    read(world).settle(1.0)
    assert world.state() is S.IN_PROGRESS
    assert "bake" not in world.guarded.status.report.rollout_state_reason


@pytest.mark.parametrize("seconds", [60, 3600])
def test_a3_a_good_rollout_completes_whatever_its_bake(seconds: int) -> None:
    assert bake_on(baking(seconds=seconds), seconds).state() is S.SUCCESSFUL


# --- for workloads that are guarded in place ---


def guarding(mode: Mode = Mode.ENFORCE) -> GuardedWorld:
    """Return a Deployment whose controller has just replaced all pods, in the bake of the breaker."""
    world = completed_guard(mode=mode, alarms=ASKED, bake_seconds=60)
    world.roll(2, pending_pod("web-v2-0")).look()
    world.alarms = AlarmReading(world.now)
    world.look()
    world.resize(2, *ready_many(2, 4, world.now)).resize(1)
    world.change(complete=True).look(later=20.0)
    world.alarms = AlarmReading(world.now)
    world.look(later=0.0)
    return world


def test_a3_a_deployment_that_its_controller_calls_complete_is_baked() -> None:
    world = guarding()
    assert world.state() is S.IN_PROGRESS
    assert world.rollout.bake_ends_at is not None
    world.now = world.rollout.bake_ends_at
    world.alarms = AlarmReading(world.now)
    world.look(later=0.0)
    assert world.state() is S.SUCCESSFUL
    assert world.done == [], "G1: a good rollout is never written to"


def test_a1_an_alarm_in_the_bake_holds_a_deployment_and_brings_the_old_pods_back() -> None:
    world = guarding()
    world.alarms = AlarmReading(world.now, (FIRES,))
    world.settle()
    assert world.sizes() == {"v1": 2, "v2": 3}, "B2, and no more than the upper bound"
    assert "AlarmTriggered" in world.events
    report = next(action for action in world.done if isinstance(action, ReportTrip))
    assert report.message == f"revision 2 failed: {CAUSE}"
    world.resize(1, *ready_many(1, 4, world.now)).settle(later=30.0)
    assert (world.state(), world.sizes()) == (S.ROLLBACK_SUCCESSFUL, {"v1": 4})


def test_a1_g7_a_breaker_that_observes_says_what_it_would_have_done() -> None:
    world = guarding(Mode.OBSERVE)
    world.alarms = AlarmReading(world.now, (FIRES,))
    world.settle()
    assert world.done == []
    assert "AlarmTriggered" not in world.events
    assert CAUSE in world.messages[world.events.index("CircuitBreakerWouldTrigger")]
