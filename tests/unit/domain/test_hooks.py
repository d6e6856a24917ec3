"""Rules K1 and C4: a rollout waits at its hooks, told as stories through ``decide``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.support.builders import breaker_spec, crashing_pod, unready_pod
from tests.support.manual_cluster import ManualCluster, completed, started
from tripswitch.domain.values.decision import EventReason
from tripswitch.domain.values.hooks import Hook, HookAction, HookSpec, HookStatus, LifecycleStage
from tripswitch.domain.values.pods import PodView
from tripswitch.domain.values.sight import Sight, Standstill
from tripswitch.domain.values.states import Reason, RolloutKind, RolloutState, RolloutStatus
from tripswitch.domain.values.workload import Percentages

S = RolloutStatus
PRE, POST = LifecycleStage.PRE_SCALE_UP, LifecycleStage.POST_SCALE_UP
HOUR = 3600
BEFORE = HookSpec((PRE,), HOUR)
AFTER = HookSpec((POST,), HOUR)


def asking(*hooks: HookSpec, **fields: Any) -> ManualCluster:
    """Revision 1 completed without hooks; revision 2 is applied with them."""
    return completed(**fields).want(hooks=hooks).apply("v2").settle(1.0)


def waiting(world: ManualCluster) -> list[Hook]:
    return [hook for hook in world.rollout.hooks if hook.status is HookStatus.AWAITING_ACTION]


def answer(world: ManualCluster, action: HookAction, number: int = 0) -> ManualCluster:
    return world.command(answers=f"{waiting(world)[number].hook_id}/{action}")


def change_pod(world: ManualCluster, number: int, make: Callable[[str], PodView]) -> None:
    """Replace a pod of revision 2 by what ``make`` returns for its name."""
    found = world.replica_set("v2")
    pods = list(found.pods)
    pods[number] = make(pods[number].name)
    world.replica_sets[found.name] = replace(found, pods=tuple(pods))


def scaled_up() -> ManualCluster:
    """All pods of revision 2 are healthy, and a hook waits."""
    world = asking(AFTER)
    for _ in range(4):
        world.heal("v2").settle(1.0)
    assert waiting(world)
    return world


# --- PRE_SCALE_UP ---------------------------------------------------------------------------------


def test_k1_nothing_is_launched_before_a_hook_of_pre_scale_up_is_answered() -> None:
    world = asking(BEFORE)
    (hook,) = waiting(world)
    assert world.sizes() == {"v1": 4}
    assert "v2" not in {rs.template.digest for rs in world.replica_sets.values()}
    assert world.state() is S.IN_PROGRESS
    assert world.rollout.lifecycle_stage is PRE
    assert (hook.started_at, hook.expires_at) == (world.now, world.now + HOUR)
    assert world.events[-2:] == ["RolloutStarted", "HOOK_AWAITING_ACTION"]
    assert world.messages[-1] == (
        f"revision 2: hook {hook.hook_id} waits at PRE_SCALE_UP for an answer, and rolls back after 60 min "
        "without one; to go on: kubectl tripswitch continue shop; to stop it, add --rollback"
    )
    assert world.status.report.rollout_state_reason == (
        f"rolling out revision 2: 0 of 4 pods healthy; hook {hook.hook_id} waits at PRE_SCALE_UP for "
        "an answer, and rolls back after 60 min without one"
    )


def test_c4_continue_launches_the_revision_and_it_completes() -> None:
    world = asking(BEFORE)
    answer(world, HookAction.CONTINUE).settle(100.0)
    assert world.sizes() == {"v1": 4, "v2": 4}
    assert world.rollout.lifecycle_stage is LifecycleStage.SCALE_UP
    assert [hook.status for hook in world.rollout.hooks] == [HookStatus.SUCCEEDED]
    assert "HOOK_SUCCEEDED" in world.events
    for _ in range(4):
        world.heal("v2").settle(1.0)
    assert world.state() is S.SUCCESSFUL
    assert world.rollout.lifecycle_stage is None
    assert [hook.status for hook in world.rollout.hooks] == [HookStatus.SUCCEEDED]


def test_p1_the_progress_deadline_begins_after_the_hook() -> None:
    world = asking(BEFORE, progress_deadline=60)
    world.settle(1000.0)
    assert world.state() is S.IN_PROGRESS
    answer(world, HookAction.CONTINUE).settle(1.0)
    world.become("v2", unready_pod).settle(1.0)
    world.settle(57.0)
    assert world.state() is S.IN_PROGRESS
    world.settle(3.0)
    assert world.state() is S.ROLLBACK_SUCCESSFUL
    assert world.record(2).rollout_state is RolloutState.FAILED


def test_c4_rollback_at_pre_scale_up_leaves_the_running_revision_as_it_is() -> None:
    world = asking(BEFORE)
    answer(world, HookAction.ROLLBACK).settle(1.0)
    assert world.state() is S.ROLLBACK_SUCCESSFUL
    assert (world.rollout.revision, world.rollout.failed_revision) == (1, 2)
    assert world.record(2).rollout_state is RolloutState.STOPPED
    assert world.sizes() == {"v1": 4}
    assert world.events[-4:] == [
        "HOOK_FAILED",
        "RolloutStopped",
        "RollbackStarted",
        "RollbackCompleted",
    ]
    assert world.status.report.rollout_state_reason == (
        "revision 2 failed and was rolled back to revision 1: stopped at PRE_SCALE_UP: a person answered "
        "its hook (ROLLBACK); next: fix the template, or retry"
    )


def test_k1_without_an_answer_the_rollout_is_rolled_back_when_the_time_is_up() -> None:
    world = asking(BEFORE)
    world.settle(HOUR - 0.5)
    assert world.state() is S.IN_PROGRESS
    decision = world.look(0.5)
    assert [event.reason for event in decision.events][:2] == [
        EventReason.HOOK_TIMED_OUT,
        EventReason.ROLLOUT_STOPPED,
    ]
    assert decision.events[0].message.endswith(
        "at PRE_SCALE_UP was not answered in time (ROLLBACK): the rollout is stopped"
    )
    assert world.state() is S.ROLLBACK_SUCCESSFUL
    assert world.record(2).message == (
        "stopped at PRE_SCALE_UP: its hook was not answered in time (ROLLBACK)"
    )


def test_k1_a_time_out_may_let_the_rollout_go_on() -> None:
    world = asking(HookSpec((PRE,), HOUR, HookAction.CONTINUE))
    world.settle(HOUR)
    assert [hook.status for hook in world.rollout.hooks] == [HookStatus.TIMED_OUT]
    assert world.sizes() == {"v1": 4, "v2": 4}


def test_k1_a_first_rollout_that_is_stopped_at_its_hook_stalls() -> None:
    world = started(hooks=(BEFORE,))
    assert world.sizes() == {}
    world.settle(HOUR)
    assert world.state() is S.STOPPED
    assert world.rollout.reason is Reason.NO_COMPLETED_REVISION
    assert world.sizes() == {}
    world.command(retry="1").settle(1.0)
    (hook,) = waiting(world)
    answer(world, HookAction.CONTINUE).settle(1.0)
    assert world.sizes() == {"v1": 4}
    assert world.rollout.hooks[0].hook_id == hook.hook_id


def test_c4_the_hook_rolls_back_also_where_the_breaker_does_not() -> None:
    world = asking(BEFORE, breaker=breaker_spec(rollback=False))
    answer(world, HookAction.ROLLBACK).settle(1.0)
    assert world.state() is S.ROLLBACK_SUCCESSFUL


def test_k1_a_hook_works_with_the_breaker_off() -> None:
    world = asking(BEFORE, breaker=breaker_spec(enable=False), progress_deadline=60)
    world.settle(1000.0)
    condition = world.condition("Progressing")
    assert condition is not None
    assert condition.status
    answer(world, HookAction.CONTINUE).settle(1.0)
    assert world.sizes() == {"v1": 4, "v2": 4}


def test_c3_a_new_template_ends_the_wait_and_has_hooks_of_its_own() -> None:
    world = asking(BEFORE)
    (old,) = waiting(world)
    world.apply("v3").settle(1.0)
    (new,) = waiting(world)
    assert new.hook_id != old.hook_id
    assert "RolloutStopped" in world.events
    world.command(answers=f"{old.hook_id}/CONTINUE").settle(1.0)
    assert waiting(world) == [new]
    assert world.sizes() == {"v1": 4}


def test_b6_the_old_template_put_back_ends_the_wait() -> None:
    world = asking(BEFORE)
    world.want(hooks=()).apply("v1").settle(1.0)
    assert world.state() is S.SUCCESSFUL
    assert (world.rollout.revision, world.rollout.hooks) == (1, ())


def test_c2_stop_works_while_a_hook_waits() -> None:
    world = asking(BEFORE)
    world.command(stop="2/ABORT").settle(1.0)
    assert world.state() is S.STOPPED
    assert world.rollout.hooks == ()
    assert world.rollout.lifecycle_stage is None


def test_r4_what_runs_is_scaled_while_a_hook_waits() -> None:
    world = asking(BEFORE)
    world.want(replicas=6).settle(1.0)
    assert world.sizes() == {"v1": 6}
    world.heal("v1").settle(1.0)
    world.want(replicas=2).settle(1.0)
    assert world.sizes() == {"v1": 2}
    assert world.state() is S.IN_PROGRESS


def test_r7_a_retry_that_waits_says_why_nothing_grows() -> None:
    world = started(hooks=(BEFORE,))
    answer(world, HookAction.CONTINUE).settle(1.0)
    world.heal("v1", 2).settle(10.0)
    world.command(stop="1/ABORT").settle(1.0)
    world.command(retry="1").settle(1.0)
    world.want(replicas=6).settle(1.0)
    assert world.sizes() == {"v1": 2}
    assert world.status.report.rollout_state_reason.endswith(
        "the size stays at 2 of 6 pods: the rollout waits at a hook, and no other revision has completed"
    )


def test_r7_a_pause_stops_the_clock_of_a_hook() -> None:
    world = asking(BEFORE)
    expires = waiting(world)[0].expires_at
    world.want(paused=True).settle(10.0)
    world.settle(2 * HOUR)
    assert waiting(world)
    assert "(paused); hook" in world.status.report.rollout_state_reason
    world.want(paused=False).settle(1.0)
    assert waiting(world)[0].expires_at == expires + 2 * HOUR + 1
    world.settle(HOUR - 11)
    assert waiting(world)
    world.settle(1.0)
    assert world.state() is S.ROLLBACK_SUCCESSFUL


def test_r7_an_answer_in_a_pause_is_taken_and_the_rollout_stays_paused() -> None:
    world = asking(BEFORE)
    world.want(paused=True).settle(1.0)
    answer(world, HookAction.CONTINUE).settle(1.0)
    assert [hook.status for hook in world.rollout.hooks] == [HookStatus.SUCCEEDED]
    assert world.sizes() == {"v1": 4}
    world.want(paused=False).settle(1.0)
    assert world.sizes() == {"v1": 4, "v2": 4}


def test_r7_a_rollback_in_a_pause_waits_for_its_end() -> None:
    world = asking(BEFORE)
    world.want(paused=True).settle(1.0)
    answer(world, HookAction.ROLLBACK).settle(1.0)
    assert world.state() is S.ROLLBACK_IN_PROGRESS
    world.want(paused=False).settle(1.0)
    assert world.state() is S.ROLLBACK_SUCCESSFUL


def test_r7_a_rollout_that_begins_paused_reaches_its_hooks_after_the_pause() -> None:
    world = completed().want(hooks=(BEFORE,), paused=True).apply("v2").settle(1.0)
    assert (world.state(), world.rollout.hooks) == (S.PENDING, ())
    world.command(answers="pause-0/CONTINUE").settle(1.0)
    world.want(paused=False).settle(100.0)
    assert waiting(world)[0].started_at == world.now


def test_v2_a_hook_does_not_time_out_in_an_outage() -> None:
    world = asking(BEFORE)
    began = world.now + 10
    world.sight = Sight(as_of=world.now, standstills=(Standstill(began),))
    world.settle(2 * HOUR)
    assert waiting(world)
    world.sight = Sight(as_of=world.now, standstills=(Standstill(began, world.now),))
    world.settle(HOUR - 11.0)
    assert waiting(world)
    world.settle(2.0)
    assert world.state() is S.ROLLBACK_SUCCESSFUL


def test_r6_without_replicas_no_hook_waits_and_the_one_of_the_scale_up_does() -> None:
    world = completed().want(replicas=0).settle(1.0)
    world.want(hooks=(BEFORE, AFTER)).apply("v2").settle(1.0)
    assert (world.state(), world.rollout.hooks) == (S.SUCCESSFUL, ())
    world.want(replicas=3).settle(1.0)
    assert [hook.lifecycle_stage for hook in waiting(world)] == [PRE]
    assert world.sizes() == {"v1": 3}  # R7: the revision that completed serves meanwhile


def test_c1_pods_of_an_earlier_try_count_for_nothing_while_a_hook_waits() -> None:
    world = started(hooks=(BEFORE,), breaker=breaker_spec(3))
    answer(world, HookAction.CONTINUE).settle(1.0)
    world.heal("v1", 2).settle(10.0)
    world.command(stop="1/ABORT").settle(1.0)
    world.command(retry="1").settle(1.0)
    assert waiting(world)
    assert world.sizes() == {"v1": 2}
    crashed = world.replica_set("v1")
    assert len(crashed.pods) == 2
    world.settle(100.0)
    answer(world, HookAction.CONTINUE).settle(1.0)
    assert world.sizes() == {"v1": 4}
    assert world.breaker().failure_count == 0
    for _ in range(3):
        world.heal("v1").settle(1.0)
    assert world.state() is S.SUCCESSFUL


# --- POST_SCALE_UP --------------------------------------------------------------------------------


def test_k1_a_rollout_that_is_scaled_up_waits_for_its_hook_and_then_completes() -> None:
    world = scaled_up()
    assert world.sizes() == {"v2": 4}
    assert world.state() is S.IN_PROGRESS
    assert world.rollout.lifecycle_stage is POST
    assert world.status.memory.last_completed_revision == 1
    ready = world.condition("Ready")
    assert ready is not None
    assert not ready.status
    answer(world, HookAction.CONTINUE).settle(1.0)
    assert world.state() is S.SUCCESSFUL
    assert world.status.memory.last_completed_revision == 2


def test_c4_rollback_at_post_scale_up_brings_the_old_revision_back() -> None:
    world = scaled_up()
    answer(world, HookAction.ROLLBACK).settle(1.0)
    assert world.state() is S.ROLLBACK_IN_PROGRESS
    assert world.sizes() == {"v1": 4, "v2": 4}
    for _ in range(4):
        world.heal("v1").settle(1.0)
    assert world.state() is S.ROLLBACK_SUCCESSFUL
    assert world.sizes() == {"v1": 4}


def test_k1_a_hook_of_both_stages_waits_twice_with_two_ids() -> None:
    world = asking(HookSpec((PRE, POST), HOUR))
    (first,) = waiting(world)
    answer(world, HookAction.CONTINUE).settle(1.0)
    for _ in range(4):
        world.heal("v2").settle(1.0)
    (second,) = waiting(world)
    assert second.hook_id != first.hook_id
    assert [hook.status for hook in world.rollout.hooks] == [
        HookStatus.SUCCEEDED,
        HookStatus.AWAITING_ACTION,
    ]


def test_k1_all_hooks_of_a_stage_have_to_be_answered() -> None:
    world = asking(BEFORE, AFTER, BEFORE)
    first, second = waiting(world)
    answer(world, HookAction.CONTINUE, 1).settle(1.0)
    assert waiting(world) == [first]
    assert world.sizes() == {"v1": 4}
    world.command(answers=f"{second.hook_id}/ROLLBACK,{first.hook_id}/CONTINUE").settle(1.0)
    assert world.sizes() == {"v1": 4, "v2": 4}


def test_k1_one_rollback_of_several_is_enough_and_the_others_wait_no_more() -> None:
    world = asking(BEFORE, BEFORE)
    answer(world, HookAction.ROLLBACK, 1).settle(1.0)
    assert world.state() is S.ROLLBACK_SUCCESSFUL
    assert world.rollout.hooks == ()


def test_k1_failures_trip_while_a_hook_waits_at_post_scale_up() -> None:
    world = scaled_up().want(breaker=breaker_spec(2)).settle(20.0)
    for number in range(2):
        change_pod(world, number, lambda name: crashing_pod(name, 1))
    world.look(1.0)
    assert world.record(2).rollout_state is RolloutState.FAILED
    assert world.rollout.kind is RolloutKind.ROLLBACK


def test_p1_the_progress_deadline_stands_still_while_a_hook_waits_at_post_scale_up() -> None:
    world = asking(AFTER, progress_deadline=60, breaker=breaker_spec(100))
    for _ in range(4):
        world.heal("v2").settle(1.0)
    change_pod(world, 0, lambda name: unready_pod(name, world.now))
    world.settle(1.0)
    world.settle(600.0)
    assert world.state() is S.IN_PROGRESS
    answer(world, HookAction.CONTINUE).settle(1.0)
    assert world.state() is S.IN_PROGRESS
    world.heal("v2").settle(1.0)
    assert world.state() is S.SUCCESSFUL


def test_k1_a_hook_that_is_added_after_its_stage_does_not_stop_the_rollout() -> None:
    world = completed().apply("v2").settle(1.0)
    world.want(hooks=(BEFORE,)).settle(1.0)
    assert world.rollout.hooks == ()
    world.heal("v2").settle(1.0)
    assert world.sizes()["v2"] == 4


def test_k1_a_rollback_has_no_hooks() -> None:
    world = asking(BEFORE, AFTER, strategy=Percentages(50, 100))
    answer(world, HookAction.CONTINUE).settle(1.0)
    world.crash("v2", runs=3).settle(1.0)
    assert world.state() is S.ROLLBACK_IN_PROGRESS
    assert world.rollout.hooks == ()
    for _ in range(4):
        world.heal("v1").settle(1.0)
    assert world.state() is S.ROLLBACK_SUCCESSFUL


@pytest.mark.parametrize("text", ["", "pause-0/CONTINUE", "2/ROLLBACK", "CONTINUE"])
def test_c4_what_names_no_waiting_hook_does_nothing(text: str) -> None:
    world = asking(BEFORE)
    before = world.status
    world.command(answers=text).settle(1.0)
    assert world.status == before


def test_a3_the_bake_begins_when_the_hook_is_answered() -> None:
    world = asking(AFTER).want(bake_seconds=300)
    for _ in range(4):
        world.heal("v2").settle(1.0)
    world.settle(600.0)
    assert (waiting(world) != [], world.rollout.bake) == (True, None)
    answer(world, HookAction.CONTINUE).settle(1.0)
    assert world.rollout.lifecycle_stage is LifecycleStage.BAKE_TIME
    for _ in range(9):
        world.settle(30.0)
    assert world.state() is S.IN_PROGRESS
    world.settle(30.0)
    assert world.state() is S.SUCCESSFUL
