"""Rules G on a Deployment: watched by the same rules, changed at a trip only, and changed back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.builders import crashing_pod, pending_pod, ready_pod, template
from tests.unit.domain.guarded_world import (
    BREAKER,
    GuardedWorld,
    completed,
    failing,
    protect,
    ready_many,
    revision_view,
    tripped,
)
from tripswitch.domain.values.hold_actions import (
    HoldWorkload,
    ReleaseWorkload,
    ReportTrip,
    ResizeRevision,
    WithdrawReport,
)
from tripswitch.domain.values.protection import Hold, HoldState, Mark, Mode
from tripswitch.domain.values.states import Reason, RolloutKind, RolloutStatus
from tripswitch.domain.values.status import Status
from tripswitch.domain.values.workload import BreakerSpec, Recreate, Template


def test_a_healthy_deployment_is_completed_when_it_is_first_seen() -> None:
    """G2."""
    world = protect()
    decision = world.look()
    assert world.state() is RolloutStatus.SUCCESSFUL
    assert world.status.memory.last_completed_revision == 1
    assert decision.actions == ()


def test_a_deployment_in_the_middle_of_a_rollout_has_no_candidate() -> None:
    """G2, B3: its trip is only reported, since the failed pods may be all that serves."""
    world = protect()
    world.roll(2, crashing_pod("web-v2-0", runs=1))
    world.look()
    world.resize(2, crashing_pod("web-v2-0", runs=4))
    decision = world.look()
    assert world.state() is RolloutStatus.FAILED
    assert world.rollout.reason is Reason.NO_COMPLETED_REVISION
    assert decision.actions == ()
    assert world.status.memory.hold is None


def test_it_is_completed_only_when_its_own_controller_says_so_too() -> None:
    """G3."""
    world = protect()
    world.change(complete=False)
    world.look()
    assert world.state() is RolloutStatus.IN_PROGRESS
    world.change(complete=True)
    world.look()
    assert world.state() is RolloutStatus.SUCCESSFUL


def test_a_good_rollout_is_never_touched() -> None:
    """G1."""
    world = completed()
    world.roll(2, pending_pod("web-v2-0"))
    world.look()
    world.resize(2, *ready_many(2, 4, world.now)).resize(1)
    world.change(complete=True)
    world.look(later=20.0)
    assert world.state() is RolloutStatus.SUCCESSFUL
    assert world.status.memory.last_completed_revision == 2
    assert world.done == []


def test_a_trip_pauses_reports_raises_and_lowers_in_this_order() -> None:
    """G4."""
    world = failing()
    decision = world.look()
    assert [type(action) for action in decision.actions] == [
        HoldWorkload,
        ReportTrip,
        ResizeRevision,
    ]
    assert world.status.memory.hold == Hold("web-v2")
    assert world.workload is not None
    assert world.workload.mark == Mark("web-v2", BREAKER, completed="web-v1")
    assert world.sizes() == {"v1": 4}
    assert "CircuitBreakerTriggered" in world.events


def test_the_good_replica_set_is_raised_before_the_failed_one_is_lowered() -> None:
    world = failing()
    world.resize(1, *ready_many(1, 3))
    resized = [a for a in world.look().actions if isinstance(a, ResizeRevision)]
    assert [(action.name, action.size) for action in resized] == [("web-v1", 4), ("web-v2", 0)]


def test_healthy_pods_of_the_failed_revision_stay_until_the_good_ones_serve() -> None:
    """B2: within the lower bound. A paused Deployment's controller takes away what is above the upper one."""
    world = failing()
    world.resize(1, *ready_many(1, 2))
    world.resize(2, crashing_pod("web-v2-0", runs=3), *ready_many(2, 3)[1:])
    world.settle()
    assert world.sizes() == {"v1": 3, "v2": 2}
    world.resize(1, *ready_many(1, 4))
    world.settle(later=30.0)
    assert world.sizes() == {"v1": 4}
    assert world.state() is RolloutStatus.ROLLBACK_SUCCESSFUL


def test_recreate_starts_the_good_pods_again_and_lowers_the_failed_ones_at_once() -> None:
    world = failing()
    world.change(strategy=Recreate())
    world.resize(1).resize(2, crashing_pod("web-v2-0", runs=3), *ready_many(2, 4)[1:])
    world.settle()
    assert world.sizes() == {"v1": 4}


def test_a_controller_with_an_older_view_is_corrected_until_sizes_hold() -> None:
    world = tripped()
    world.resize(1, *ready_many(1, 3)).resize(2, crashing_pod("web-v2-1", runs=0))
    world.settle()
    assert world.sizes() == {"v1": 4}


def test_the_good_replica_set_follows_replicas_during_a_trip() -> None:
    """An autoscaler, and a scaling to 0 and back, in which the controller raises the newest."""
    world = tripped()
    world.change(replicas=6).settle()
    assert world.sizes() == {"v1": 6}
    world.change(replicas=0).resize(1).settle()
    assert world.sizes() == {}
    world.change(replicas=5).resize(2, *[pending_pod(f"web-v2-{n}") for n in range(5)]).settle()
    assert world.sizes() == {"v1": 5}


def test_a_trip_ends_with_a_rollback_and_everything_stays_held() -> None:
    world = tripped()
    world.look(later=20.0)
    assert world.rollout.kind is RolloutKind.ROLLBACK
    assert world.state() is RolloutStatus.ROLLBACK_SUCCESSFUL
    assert world.status.memory.hold == Hold("web-v2", HoldState.PLACED)
    stalled = world.condition("Stalled")
    assert stalled is not None
    assert stalled.status is True
    done = len(world.done)
    world.settle(later=500.0)
    assert len(world.done) == done, "nothing is written twice"


@pytest.mark.parametrize("written", range(4))
def test_killed_after_any_write_it_goes_on(written: int) -> None:
    """W1: the status is written, and of the actions only the first ones."""
    world = failing()
    world.resize(1, *ready_many(1, 3))
    world.most_writes = written
    world.look()
    world.most_writes = None
    world.settle()
    assert world.workload is not None
    assert world.workload.paused
    assert world.workload.stalled
    assert world.sizes() == {"v1": 4}


def test_a_corrected_template_is_let_go_and_nothing_of_ours_is_left() -> None:
    """G5. A paused Deployment makes no ReplicaSet, so the template itself is compared."""
    world = tripped()
    world.apply(3)
    released = world.look()
    assert [type(action) for action in released.actions] == [ReleaseWorkload, WithdrawReport]
    assert world.workload is not None
    assert (world.workload.paused, world.workload.mark, world.workload.stalled) == (
        False,
        None,
        False,
    )
    world.look()
    assert world.status.memory.hold is None
    world.put(revision_view(3, pending_pod("web-v3-0")))
    world.look()
    assert world.rollout.revision == 3
    assert world.state() is RolloutStatus.IN_PROGRESS


def test_the_report_is_taken_back_also_when_that_alone_is_left() -> None:
    """Killed between the two writes of a release."""
    world = tripped()
    world.apply(3)
    world.change(mark=None, paused=False)
    assert [type(action) for action in world.look().actions] == [WithdrawReport]


def test_the_good_template_put_back_completes_without_a_rollout() -> None:
    """B6, G5; its controller gives the ReplicaSet a new number, and we follow."""
    world = tripped()
    world.apply(1)
    world.settle()
    assert world.workload is not None
    assert not world.workload.paused
    world.change(complete=True)
    world.put(replace(world.revisions["web-v1"], revision=3))
    world.look(later=20.0)
    assert world.status.memory.desired_revision == 3
    assert world.rollout.revision == 3
    assert world.status.memory.last_completed_revision == 3
    ready = world.condition("Ready")
    assert ready is not None
    assert ready.status is True


def test_a_number_that_another_revision_has_is_not_followed() -> None:
    world = tripped()
    world.put(replace(world.revisions["web-v1"], revision=2))
    world.look()
    assert [one.revision for one in world.status.memory.revisions] == [2, 1]


def test_a_retry_lets_it_go() -> None:
    """C1."""
    world = tripped()
    world.look(later=20.0)
    world.command(retry="again").settle()
    assert world.workload is not None
    assert not world.workload.paused
    assert world.rollout.kind is RolloutKind.DEPLOY
    assert world.rollout.revision == 2
    assert world.status.memory.hold is None


def test_a_workload_that_is_resumed_by_hand_is_retried() -> None:
    """G5."""
    world = tripped()
    world.look(later=20.0)
    world.change(paused=False, holder="kubectl-rollout")
    world.look()
    assert "WorkloadResumed" in world.events
    assert (
        "Deployment web was resumed by kubectl-rollout while a trip held it, so its template is retried; "
        "after 3 such retries a trip of this template is only reported"
    ) in world.messages
    assert world.rollout.kind is RolloutKind.DEPLOY
    assert world.rollout.revision == 2
    world.settle()
    assert world.workload is not None
    assert world.workload.mark is None
    assert world.status.memory.hold is None
    assert world.status.memory.resumes == 1


def _resume_and_fail_again(world: GuardedWorld) -> None:
    world.look(later=20.0)
    world.change(paused=False)
    world.settle()
    world.resize(2, crashing_pod(f"web-v2-{world.now}", runs=0))
    world.look()
    world.resize(2, crashing_pod(world.revisions["web-v2"].pods[0].name, runs=4))
    world.settle()


def test_a_tool_that_resumes_again_and_again_gets_no_loop() -> None:
    """G5: after three times a trip of this template is only reported."""
    world = tripped()
    for resumes in (1, 2, 3):
        _resume_and_fail_again(world)
        assert world.status.memory.resumes == resumes
    assert world.workload is not None
    assert not world.workload.paused
    assert world.status.memory.hold is None
    assert world.state() is RolloutStatus.FAILED
    assert any("nothing was changed" in message for message in [world.rollout.message])
    world.roll(3, pending_pod("web-v3-0"))
    world.look()
    assert world.status.memory.resumes == 0


def test_a_pause_of_a_person_is_left_alone() -> None:
    """G6, R7: nothing is counted, and nothing is written."""
    world = completed()
    world.roll(2, pending_pod("web-v2-0"))
    world.look()
    world.change(paused=True)
    world.resize(2, crashing_pod("web-v2-0", runs=5))
    decision = world.look()
    assert decision.actions == ()
    assert world.state() is RolloutStatus.IN_PROGRESS
    assert world.status.memory.circuit_breaker.failure_count == 0


def test_a_pause_that_comes_with_the_trip_is_left_alone_until_it_ends() -> None:
    """A person was faster than our own pause."""
    world = failing()
    world.most_writes = 0
    world.look()
    world.change(paused=True)
    assert world.look().actions == ()
    world.change(paused=False)
    assert isinstance(world.look().actions[0], HoldWorkload)


def test_a_held_workload_without_its_mark_is_a_persons() -> None:
    """G6: somebody took the annotation away and left the pause. The failed revision is remembered."""
    world = tripped()
    done = len(world.done)
    world.change(mark=None)
    world.look()
    assert world.status.memory.hold == Hold("web-v2", HoldState.YIELDED)
    assert world.events[-1] == "WorkloadYielded"
    assert world.messages[-1] == (
        "the hold of a trip on Deployment web was changed by hand, so the operator leaves it as it is; "
        "resuming the Deployment retries the failed web-v2"
    )
    words = "Deployment web is paused by a person; resuming it retries the failed web-v2"
    assert world.status.report.rollout_state_reason.endswith(words)
    world.settle(later=500.0)
    assert world.workload is not None
    assert (world.workload.paused, world.workload.stalled) == (True, True)
    assert len(world.done) == done


def test_a_yielded_workload_that_is_resumed_is_watched_again() -> None:
    """G5: the failed revision rolls out, and its failures count anew."""
    world = tripped()
    world.change(mark=None)
    world.look()
    world.change(paused=False, holder="kubectl-rollout").settle()
    assert "WorkloadResumed" in world.events
    assert world.workload is not None
    assert not world.workload.stalled
    assert world.status.memory.hold is None
    assert (world.state(), world.rollout.revision) == (RolloutStatus.IN_PROGRESS, 2)
    assert world.status.memory.circuit_breaker.failure_count == 0
    world.resize(2, crashing_pod("web-v2-9", runs=3))
    assert isinstance(world.look().actions[0], HoldWorkload)


def test_a_yielded_workload_whose_revision_is_good_after_all_completes() -> None:
    """The cause was outside of the pods, and a person has mended it."""
    world = tripped()
    world.change(mark=None)
    world.look()
    world.change(paused=False)
    world.resize(2, *ready_many(2, 4, world.now)).resize(1).change(complete=True)
    world.settle(later=20.0)
    assert world.state() is RolloutStatus.SUCCESSFUL
    assert world.status.memory.last_completed_revision == 2


def test_a_yielded_workload_with_a_corrected_template_keeps_its_pause() -> None:
    """G6: the pause is a person's. Only our report is taken back."""
    world = tripped()
    world.change(mark=None)
    world.look()
    world.apply(3).settle()
    assert world.workload is not None
    assert (world.workload.paused, world.workload.stalled) == (True, False)
    assert world.status.memory.hold is None


def test_a_mark_that_is_put_back_is_ours_again() -> None:
    world = tripped()
    world.change(mark=None)
    world.look()
    world.change(mark=Mark("web-v2", BREAKER)).settle()
    assert world.status.memory.hold == Hold("web-v2", HoldState.PLACED)
    world.apply(3).settle()
    assert world.workload is not None
    assert not world.workload.paused


def test_a_breaker_that_lost_its_status_finds_its_hold_by_the_mark() -> None:
    world = tripped()
    world.command(status=Status())
    world.look()
    assert "HoldFound" in world.events
    words = "Deployment web is held by a trip of web-v2 that this DeploymentCircuitBreaker does not know: it stays held"
    assert words in world.messages
    world.settle(later=20.0)
    assert world.status.memory.hold == Hold("web-v2", HoldState.PLACED)
    assert world.state() is RolloutStatus.ROLLBACK_SUCCESSFUL
    assert world.status.memory.last_completed_revision == 1


def test_a_mark_that_turns_up_after_a_retry_is_taken_back() -> None:
    """C1: the answer to the pause was lost, and the retry came first."""
    world = failing()
    world.most_writes = 0
    world.look()
    world.most_writes = None
    world.command(retry="again").look()
    assert world.rollout.kind is RolloutKind.DEPLOY
    world.change(paused=True, mark=Mark("web-v2", BREAKER, completed="web-v1"))
    world.settle()
    assert world.workload is not None
    assert (world.workload.paused, world.workload.mark) == (False, None)
    assert world.state() is RolloutStatus.IN_PROGRESS


def test_a_retry_during_a_rollback_takes_effect_at_once_and_is_told() -> None:
    """C1: the same look stops the rollback, and lets the workload go."""
    world = failing()
    world.resize(1, *ready_many(1, 2))
    world.settle()
    assert world.state() is RolloutStatus.ROLLBACK_IN_PROGRESS
    decision = world.command(retry="again").look()
    assert [type(action) for action in decision.actions] == [ReleaseWorkload, WithdrawReport]
    assert world.events[-2:] == ["RolloutStopped", "RolloutStarted"]
    assert "no rollback is possible until a revision completes" in world.messages[-2]
    assert world.workload is not None
    assert (world.workload.paused, world.workload.mark) == (False, None)
    world.resize(2, *ready_many(2, 4, world.now)).resize(1).change(complete=True)
    world.settle(later=20.0)
    assert world.state() is RolloutStatus.SUCCESSFUL


def test_a_late_mark_of_ours_is_taken_back() -> None:
    """The answer to our own write was lost, and the trip is over by now."""
    world = completed()
    world.change(paused=True, mark=Mark("web-v9", BREAKER))
    world.settle()
    assert world.workload is not None
    assert world.workload.mark is None
    assert not world.workload.paused


def test_the_mark_of_a_breaker_that_is_gone_stays_while_the_pause_does() -> None:
    """G9, G7: a breaker that observes takes nothing over."""
    world = completed(mode=Mode.OBSERVE)
    world.change(paused=True, mark=Mark("web-v2", "uid-other"), stalled=True)
    assert world.look().actions == ()
    world.settings(mode=Mode.ENFORCE).change(paused=False)
    world.settle()
    assert world.workload is not None
    assert (world.workload.mark, world.workload.stalled) == (None, False)


def test_observe_writes_nothing_and_says_what_it_would_have_done() -> None:
    """G7."""
    world = tripped(Mode.OBSERVE)
    assert world.done == []
    assert world.status.memory.hold is None
    assert "CircuitBreakerWouldTrigger" in world.events
    assert "CircuitBreakerTriggered" not in world.events
    assert any("would have tripped at" in message for message in world.messages)
    assert "rolled back to revision 1" in world.rollout.message
    assert "mode Observe" in world.rollout.message
    world.settings(mode=Mode.ENFORCE).settle()
    assert world.done == [], "a trip that was only reported is not acted on later"


def test_observe_in_the_middle_of_a_trip_says_what_is_left() -> None:
    """G7: also what an earlier trip changed is not changed back."""
    world = tripped()
    done = len(world.done)
    world.settings(mode=Mode.OBSERVE).apply(3).settle()
    assert len(world.done) == done
    assert "still held by a trip" in world.status.report.rollout_state_reason
    world.settings(mode=Mode.ENFORCE).settle()
    assert world.status.memory.hold is None
    assert "still held" not in world.status.report.rollout_state_reason


def test_observe_without_a_candidate_says_so() -> None:
    world = protect(mode=Mode.OBSERVE)
    world.roll(2, crashing_pod("web-v2-0", runs=1))
    world.look()
    world.resize(2, crashing_pod("web-v2-0", runs=4))
    world.look()
    assert "nothing was changed (mode Observe)" in world.rollout.message


def test_stopped_by_a_person_in_observe_mode_nothing_is_changed() -> None:
    world = completed(mode=Mode.OBSERVE)
    world.roll(2, pending_pod("web-v2-0"))
    world.look()
    world.command(stop="2/ROLLBACK").settle()
    assert world.state() is RolloutStatus.STOPPED
    assert world.done == []


def test_without_rollback_a_trip_stops_the_rollout_and_moves_no_size() -> None:
    """B4."""
    world = tripped(breaker=BreakerSpec(rollback=False))
    assert [type(action) for action in world.done] == [HoldWorkload, ReportTrip]
    assert world.sizes() == {"v1": 4, "v2": 1}
    assert world.state() is RolloutStatus.FAILED


def test_a_rollback_that_a_person_stops_moves_no_size_any_more() -> None:
    """C2: the workload stays held."""
    world = failing()
    world.resize(1, *ready_many(1, 2))
    world.resize(2, crashing_pod("web-v2-0", runs=3), *ready_many(2, 3)[1:])
    world.settle()
    assert world.state() is RolloutStatus.ROLLBACK_IN_PROGRESS
    world.command(stop="1/ABORT").settle()
    assert world.state() is RolloutStatus.STOPPED
    world.resize(1, *ready_many(1, 4)).settle(later=30.0)
    assert world.sizes() == {"v1": 4, "v2": 2}
    assert world.workload is not None
    assert world.workload.paused


def test_an_abort_by_a_person_is_held_too() -> None:
    """C2."""
    world = completed()
    world.roll(2, pending_pod("web-v2-0"))
    world.look()
    world.command(stop="2/ABORT").settle()
    assert world.workload is not None
    assert world.workload.paused
    assert world.sizes() == {"v1": 4, "v2": 1}


def test_two_breakers_the_younger_only_says_so() -> None:
    """G1."""
    world = protect()
    world.rival = "older"
    decision = world.look()
    assert decision.actions == ()
    stalled = world.condition("Stalled")
    assert stalled is not None
    assert stalled.reason is Reason.TARGET_TAKEN
    assert stalled.message == (
        "Deployment web is guarded by older already, which takes precedence (it is older, or it was created "
        "by a person and this one for a label): delete one of the two"
    )


def test_a_target_that_does_not_exist_is_said() -> None:
    world = protect()
    world.workload = None
    world.look()
    stalled = world.condition("Stalled")
    assert stalled is not None
    assert stalled.reason is Reason.TARGET_NOT_FOUND


def test_a_deployment_without_any_replica_set_waits_for_its_controller() -> None:
    world = protect()
    world.revisions.clear()
    world.look()
    waits = world.condition("Reconciling")
    assert waits is not None
    assert waits.reason is Reason.WAITING_FOR_CONTROLLER


def test_a_template_of_which_there_is_no_replica_set_yet_is_not_followed() -> None:
    """Its controller is away."""
    world = completed()
    world.apply(2)
    world.look()
    assert world.status.memory.desired_revision == 1
    assert world.state() is RolloutStatus.SUCCESSFUL
    world.revisions.clear()
    world.look()
    assert world.status.memory.desired_revision == 1


@pytest.mark.parametrize(
    ("limit", "made", "seconds", "words"),
    [
        (0, template("v1"), 0, "revisionHistoryLimit is 0"),
        (10, template("v1", probed=False), 0, "no readiness probe"),
        (10, template("v1", probed=False), 30, ""),
        (10, template("v1"), 0, ""),
    ],
)
def test_what_puts_a_rollback_at_risk_is_said_at_once(
    limit: int, made: Template, seconds: int, words: str
) -> None:
    world = protect()
    world.put(replace(world.revisions["web-v1"], template=made))
    world.change(template=made, revision_history_limit=limit, min_ready_seconds=seconds)
    world.look()
    risk = world.condition("RollbackAtRisk")
    assert (risk is not None) == bool(words)
    assert words in ("" if risk is None else risk.message)


@pytest.mark.parametrize(("limit", "at_risk"), [(2, True), (3, False)])
def test_a_deployment_that_deletes_what_a_rollback_needs_is_told_of_before(
    *, limit: int, at_risk: bool
) -> None:
    """Failed revisions are among the old ReplicaSets that its controller keeps, the newest of them."""
    world = failing()
    for number in (3, 4):
        world.roll(number, pending_pod(f"web-v{number}-0"))
        world.look()
    world.change(revision_history_limit=limit)
    world.look()
    risk = world.condition("RollbackAtRisk")
    assert ("" if risk is None else risk.message) == (
        "revisionHistoryLimit is 2, and 2 later revisions did not complete: the Deployment controller "
        "deletes the ReplicaSet that a rollback needs as soon as it counts a rollout as complete; raise the limit "
        "(its default is 10)"
        if at_risk
        else ""
    )


def test_a_deleted_candidate_is_none() -> None:
    """revisionHistoryLimit 0: its ReplicaSet is gone at the trip (B3, B8)."""
    world = completed()
    world.roll(2, ready_pod("web-v2-0"), pending_pod("web-v2-1"))
    del world.revisions["web-v1"]
    world.look()
    world.resize(2, crashing_pod("web-v2-1", runs=4))
    decision = world.look()
    assert decision.actions == ()
    assert world.rollout.reason is Reason.NO_COMPLETED_REVISION


def test_settings_of_the_breaker_win_over_the_workloads_own() -> None:
    world = protect(min_ready_seconds=7, progress_deadline=70)
    world.change(min_ready_seconds=9, progress_deadline=90)
    spec = world.snapshot.guarded.spec
    assert (spec.min_ready_seconds, spec.progress_deadline) == (7, 70)
    world.settings(min_ready_seconds=None, progress_deadline=None)
    spec = world.snapshot.guarded.spec
    assert (spec.min_ready_seconds, spec.progress_deadline) == (9, 90 + 9)
    world.change(min_ready_seconds=0)
    assert world.snapshot.guarded.spec.min_ready_seconds is None


def test_g4_a_size_that_was_decided_for_other_replicas_is_decided_anew() -> None:
    """G4: a Deployment with pods of such a ReplicaSet only scales, and rolls nothing out any more."""
    world = tripped()
    good = world.revisions["web-v1"]
    assert (good.size, good.sized_for) == (4, None)
    world.put(replace(good, sized_for=7))
    (action,) = world.look().actions
    assert isinstance(action, ResizeRevision)
    assert (action.name, action.size, action.replicas, action.most) == ("web-v1", 4, 4, 5)
    assert world.look().actions == ()


def test_g4_a_good_rollout_keeps_sizes_that_were_decided_for_other_replicas() -> None:
    """G1: its own controller is at work."""
    world = completed()
    world.put(replace(world.revisions["web-v1"], sized_for=7))
    world.roll(2, pending_pod("web-v2-0"))
    assert world.look().actions == ()
