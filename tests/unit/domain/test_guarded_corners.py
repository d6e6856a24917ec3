"""Rules G where objects are deleted, made again or put back at a bad moment."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.builders import crashing_pod, failed_pod, pending_pod, ready_pod
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
from tripswitch.domain.values.hold_actions import HoldWorkload
from tripswitch.domain.values.protection import (
    HOLD_PARTITION,
    Hold,
    HoldState,
    Mark,
    Mode,
    WorkloadKind,
)
from tripswitch.domain.values.states import RolloutStatus
from tripswitch.domain.values.status import Status


def test_a_failed_replica_set_that_a_person_deletes_does_not_end_the_trip() -> None:
    """G5: the template still is the failed one, also while no ReplicaSet of it is there."""
    world = tripped()
    del world.revisions["web-v2"]
    world.settle()
    assert world.workload is not None
    assert world.workload.paused
    assert world.status.memory.hold is not None
    world.put(revision_view(2))  # its controller makes it again
    assert world.look().actions == ()


def test_a_failed_controller_revision_that_is_deleted_does_not_end_the_trip() -> None:
    """The same of a StatefulSet: its status still names the revision."""
    world = completed(WorkloadKind.STATEFUL_SET, replicas=3)
    world.roll(2, pending_pod("web-v2-2")).resize(1, *ready_many(1, 2))
    world.look()
    world.resize(2, crashing_pod("web-v2-2", runs=3))
    world.look()
    del world.revisions["web-v2"]
    world.settle()
    assert world.workload is not None
    assert world.workload.partition == HOLD_PARTITION
    world.change(update_revision="web-v3")
    world.settle()
    assert world.workload.partition == 0


def test_a_failed_template_put_back_before_the_release_stays_held() -> None:
    world = tripped()
    world.most_writes = 0
    world.apply(3)
    world.look()
    assert world.status.memory.hold == Hold("web-v2", HoldState.RELEASING)
    world.apply(2)
    world.most_writes = None
    world.settle()
    assert world.workload is not None
    assert world.workload.paused
    assert world.status.memory.hold == Hold("web-v2", HoldState.PLACED)


def test_a_failed_template_put_back_during_the_release_is_retried() -> None:
    """The workload runs again, and revision 3 was never seen: somebody has to watch revision 2."""
    world = tripped()
    world.most_writes = 1  # the mark is away, and the report is still there
    world.apply(3)
    world.look()
    assert world.workload is not None
    assert not world.workload.paused
    world.apply(2)
    world.most_writes = None
    world.settle()
    assert world.state() is RolloutStatus.IN_PROGRESS
    assert world.rollout.revision == 2
    world.resize(2, crashing_pod("web-v2-9", runs=3))
    assert isinstance(world.look().actions[0], HoldWorkload)


def test_of_two_replica_sets_with_one_template_the_one_that_rolls_out_is_watched() -> None:
    """G2: a Deployment takes the older one, whose number can be the lower one."""
    world = protect()
    twin = replace(revision_view(2), template=world.revisions["web-v1"].template)
    world.put(twin)
    world.look()
    assert world.rollout.revision == 1
    assert world.state() is RolloutStatus.SUCCESSFUL


def test_a_pause_that_a_breaker_which_is_gone_left_is_told() -> None:
    """G9, G7: one that observes leaves it alone, and says why nothing is rolled out."""
    world = completed(mode=Mode.OBSERVE)
    world.change(paused=True, mark=Mark("web-v2", "uid-other"))
    world.look()
    assert world.status.report.rollout_state_reason.endswith(
        "Deployment web is still held by a trip that this DeploymentCircuitBreaker does not know: resume it by hand"
    )
    world.settings(mode=Mode.ENFORCE).settle()
    assert "resume it by hand" not in world.status.report.rollout_state_reason


def test_a_rollout_whose_failed_pod_its_controller_has_not_seen_is_not_late() -> None:
    """P1: the controller manager is away."""
    world = completed(progress_deadline=60)
    world.roll(2, ready_pod("web-v2-0", world.now)).look()
    world.resize(2, failed_pod("web-v2-0", "NodeShutdown", disrupted=True), size=1)
    world.put(replace(world.revisions["web-v2"], counted=1))
    for _ in range(5):
        world.look(600)
    assert world.state() is RolloutStatus.IN_PROGRESS


def test_a_rollout_that_its_controller_does_not_go_on_with_is_not_late() -> None:
    """P1: all pods of the revision are healthy; the time says nothing about it."""
    world = completed(progress_deadline=60)
    world.roll(2, *ready_many(2, 1))
    for _ in range(5):
        world.look(600)
    assert world.state() is RolloutStatus.IN_PROGRESS
    world.resize(2, *ready_many(2, 1), pending_pod("web-v2-1"))
    world.look(1)
    assert world.state() is RolloutStatus.IN_PROGRESS


def test_scaled_to_zero_and_up_again_during_a_trip_the_good_revision_runs() -> None:
    """With no ReplicaSet above 0 the controller raises the newest, which is the failed one."""
    world = tripped()
    world.change(replicas=0)
    world.resize(1, size=0)
    world.resize(2, size=0)
    world.settle()
    world.change(replicas=4)
    world.resize(2, *(pending_pod(f"web-v2-{n}") for n in range(4)))
    world.settle()
    assert world.sizes() == {"v1": 4}


def _make_breaker_again(world: GuardedWorld) -> None:
    """Delete the breaker, which leaves the workload as it is, and make another one."""
    world.command(uid="uid-of-the-next", status=Status())


@pytest.mark.parametrize("kind", list(WorkloadKind))
def test_a_breaker_made_again_during_a_trip_takes_the_hold_over(kind: WorkloadKind) -> None:
    """G8, G9: a label-made breaker that is deleted by hand comes back without memory."""
    world = completed(kind, replicas=3)
    world.roll(2, pending_pod("web-v2-2")).resize(1, *ready_many(1, 2))
    world.look()
    world.resize(2, crashing_pod("web-v2-2", runs=3))
    world.settle()
    _make_breaker_again(world)
    world.look()
    assert world.status.memory.hold == Hold("web-v2")
    assert world.events[-3:] == ["RolloutStarted", "HoldFound", "RollbackStarted"]
    world.resize(1, *ready_many(1, 3)).resize(2).settle(later=20.0)
    assert world.workload is not None
    mark = world.workload.mark
    assert mark is not None
    assert (mark.breaker, mark.completed) == ("uid-of-the-next", "web-v1")
    assert world.state() is RolloutStatus.ROLLBACK_SUCCESSFUL
    assert world.status.memory.last_completed_revision == 1
    world.roll(3, pending_pod("web-v3-2"))
    if kind is WorkloadKind.DEPLOYMENT:
        del world.revisions["web-v3"]  # it is made after the release
    world.settle()
    assert world.workload.mark is None
    assert not world.workload.paused
    assert world.workload.partition in (None, 0)


def test_a_hold_of_another_template_is_let_go_by_the_next_breaker() -> None:
    """G5: the template was corrected while there was no breaker."""
    world = tripped()
    _make_breaker_again(world)
    world.apply(1)
    world.settle(later=20.0)
    assert "HoldFound" in world.events
    assert (
        "Deployment web is held by a trip of web-v2 that this DeploymentCircuitBreaker does not know: it is "
        "released, because its template has changed since"
    ) in world.messages
    assert world.workload is not None
    assert (world.workload.paused, world.workload.mark, world.workload.stalled) == (
        False,
        None,
        False,
    )
    assert world.status.memory.hold is None
    world.change(complete=True).settle(later=20.0)
    assert world.state() is RolloutStatus.SUCCESSFUL


def test_a_hold_of_a_template_without_a_revision_is_let_go_by_the_next_breaker() -> None:
    """A paused Deployment makes no ReplicaSet of the corrected template."""
    world = tripped()
    _make_breaker_again(world)
    world.apply(3)
    world.look()
    assert world.workload is not None
    assert (world.workload.paused, world.workload.mark) == (False, None)


def test_a_breaker_that_observes_lets_nothing_go() -> None:
    world = tripped()
    _make_breaker_again(world)
    world.settings(mode=Mode.OBSERVE).apply(3)
    assert world.look().actions == ()


def test_a_hold_whose_mark_names_no_completed_revision_moves_no_size() -> None:
    """B4, and a mark that an earlier version wrote."""
    world = tripped()
    world.change(mark=Mark("web-v2", BREAKER))
    done = len(world.done)
    _make_breaker_again(world)
    world.settle()
    assert world.state() is RolloutStatus.FAILED
    assert [type(action) for action in world.done[done:]] == [HoldWorkload]
    assert world.status.memory.hold == Hold("web-v2", HoldState.PLACED)


def test_a_hold_of_another_breaker_is_taken_over_by_one_that_has_a_memory() -> None:
    """It only reported while the other one acted."""
    world = tripped()
    world.change(mark=Mark("web-v2", "uid-other", completed="web-v1"))
    memory = replace(world.status, memory=replace(world.status.memory, hold=None))
    world.command(status=memory).settle()
    assert world.status.memory.hold == Hold("web-v2", HoldState.PLACED)
    assert world.workload is not None
    assert world.workload.mark == Mark("web-v2", BREAKER, completed="web-v1")


def test_a_hold_that_was_observed_for_a_while_is_taken_over() -> None:
    """G7: it was a pause for the breaker that observed."""
    world = tripped()
    _make_breaker_again(world)
    world.settings(mode=Mode.OBSERVE).settle()
    assert world.state() is RolloutStatus.PENDING
    world.settings(mode=Mode.ENFORCE).settle(later=20.0)
    assert world.status.memory.hold == Hold("web-v2", HoldState.PLACED)
    assert world.state() is RolloutStatus.ROLLBACK_SUCCESSFUL


def test_a_hold_of_a_revision_that_completed_since_is_a_persons_pause() -> None:
    world = completed()
    world.change(paused=True, mark=Mark("web-v1", "uid-other"))
    assert world.look().actions == ()
    assert world.status.memory.hold is None


def _undo_to_the_failed_revision() -> GuardedWorld:
    """Correct a trip, then undo: kubectl copies the annotations of the ReplicaSet, and these hold our mark."""
    world = tripped()
    assert world.workload is not None
    copied = world.workload.mark
    world.apply(3).settle()
    world.resize(1).put(revision_view(3, *ready_many(3, 4, world.now))).change(complete=True)
    world.settle(later=20.0)
    assert (world.state(), world.workload.mark) == (RolloutStatus.SUCCESSFUL, None)
    world.events.clear()
    world.put(replace(world.revisions["web-v2"], revision=4))
    return world.apply(2).change(mark=copied)


@pytest.mark.parametrize("breaker", [BREAKER, "uid-of-the-next"])
def test_a_mark_that_an_undo_brings_back_is_taken_away_and_the_rollout_watched(
    breaker: str,
) -> None:
    """G5: it says nothing about the workload as it is now, whichever breaker wrote it."""
    world = _undo_to_the_failed_revision()
    world.command(uid=breaker).settle()
    assert world.workload is not None
    assert (world.workload.paused, world.workload.mark) == (False, None)
    assert world.events == ["RolloutStarted"]
    assert (world.state(), world.rollout.revision) == (RolloutStatus.IN_PROGRESS, 4)
    world.resize(2, *ready_many(2, 4, world.now)).resize(3).change(complete=True)
    world.settle(later=20.0)
    assert world.state() is RolloutStatus.SUCCESSFUL
    assert world.status.memory.hold is None


def test_a_pause_after_such_an_undo_is_a_persons() -> None:
    """G6: the operator was away, and finds mark and pause together as if they were a hold."""
    world = _undo_to_the_failed_revision()
    world.change(paused=True, paused_by_others=True, holder="kubectl-rollout").settle()
    assert world.workload is not None
    assert (world.workload.paused, world.workload.mark) == (True, None)
    assert world.state() is RolloutStatus.PENDING
    world.change(paused=False, paused_by_others=False).settle()
    assert (world.state(), world.rollout.revision) == (RolloutStatus.IN_PROGRESS, 4)


def test_a_pause_beside_the_mark_of_a_breaker_that_is_gone_is_no_trip_of_the_next_one() -> None:
    """G6: the revision may be good by now, and must not be rolled back for what it once was."""
    world = _undo_to_the_failed_revision()
    world.change(paused=True, paused_by_others=True, holder="kubectl-rollout")
    _make_breaker_again(world)
    assert world.look().actions == ()
    assert "HoldFound" not in world.events
    world.change(paused=False, paused_by_others=False).settle()
    assert world.workload is not None
    assert world.workload.mark is None
    assert world.state() is RolloutStatus.IN_PROGRESS


def _delete_and_make_again(world: GuardedWorld) -> None:
    world.change(uid="uid-again", mark=None, paused=False, stalled=False)
    world.revisions.clear()


def test_a_workload_made_again_starts_anew() -> None:
    """Counts, the completed revision and history were of the one that was deleted."""
    world = failing()
    world.resize(2, crashing_pod("web-v2-0", runs=2))
    world.command(retry="seen").look()
    assert world.status.memory.circuit_breaker.failure_count == 2
    _delete_and_make_again(world)
    world.put(replace(revision_view(2, pending_pod("web-again-0")), revision=1))
    world.look()
    assert world.events[-2:] == ["WorkloadMadeAnew", "RolloutStarted"]
    assert world.messages[-2] == (
        "Deployment web was deleted and created again: its history starts empty, and no rollback is possible "
        "until a revision completes"
    )
    assert [one.revision for one in world.status.memory.revisions] == [1]
    assert world.status.memory.last_completed_revision is None
    assert world.status.memory.circuit_breaker.failure_count == 0
    assert world.status.memory.hold is None
    assert (world.status.memory.target_uid, world.status.memory.observed_retry) == (
        "uid-again",
        "seen",
    )


def test_the_status_says_which_generation_of_the_workload_it_is_about() -> None:
    """A status of before a change that its controller or a watch has not told yet says nothing about it."""
    world = completed()
    assert world.status.memory.target_generation == 1
    world.change(generation=2)  # labels or replicas: nothing else of the status changes
    world.look()
    assert world.status.memory.target_generation == 1
    stored = world.snapshot.guarded.status
    decision = world.change(observed_generation=2).look()
    alone = replace(stored.memory, target_generation=2)
    assert decision.status == replace(stored, memory=alone), "it is written for this alone"
    world.apply(2).change(generation=3, observed_generation=3).look()
    assert world.status.memory.target_generation == 2, "there is no ReplicaSet of it yet"
    world.put(revision_view(2, pending_pod("web-v2-0"))).look()
    assert world.status.memory.target_generation == 3
    assert world.state() is RolloutStatus.IN_PROGRESS


def test_a_good_workload_made_again_completes() -> None:
    world = completed()
    _delete_and_make_again(world)
    world.put(revision_view(1, *ready_many(1, 4, world.now))).change(complete=True)
    world.settle(later=20.0)
    assert world.state() is RolloutStatus.SUCCESSFUL
    assert world.done == []


def test_a_workload_made_again_is_told_also_before_it_has_a_revision() -> None:
    world = completed()
    _delete_and_make_again(world)
    world.look()
    assert world.events[-1] == "WorkloadMadeAnew"
    assert world.status.memory.revisions == ()
    world.put(revision_view(1, *ready_many(1, 4)))
    world.look()
    assert world.events.count("WorkloadMadeAnew") == 1


def test_a_workload_that_is_gone_for_a_while_and_comes_back_the_same_keeps_its_memory() -> None:
    """A restored backup of the API server, or a watch that begins late: the UID is the same."""
    world = completed()
    known, world.workload = world.workload, None
    world.look()
    world.workload = known
    world.look()
    assert world.status.memory.last_completed_revision == 1
    assert "WorkloadMadeAnew" not in world.events


def test_a_memory_that_an_earlier_version_wrote_is_kept() -> None:
    """It has no UID of its target."""
    world = completed()
    world.command(status=replace(world.status, memory=replace(world.status.memory, target_uid="")))
    world.look()
    assert world.status.memory.last_completed_revision == 1
    assert world.status.memory.target_uid == "uid-web"


def test_a_hold_that_was_never_written_is_not_placed_on_a_workload_made_again() -> None:
    world = failing()
    world.most_writes = 0
    world.look()
    world.most_writes = None
    world.change(uid="uid-again")
    world.revisions.clear()
    world.put(revision_view(2, pending_pod("web-v2-0")))
    world.settle()
    assert world.workload is not None
    assert not world.workload.paused
