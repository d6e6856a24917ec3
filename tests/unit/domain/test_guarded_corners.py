"""Rules G where objects are deleted, made again or put back at a bad moment."""

from __future__ import annotations

from dataclasses import replace

from tests.support.builders import crashing_pod, pending_pod
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
from tripswitch.domain.values.protection import HOLD_PARTITION, Hold, HoldState, Mark, WorkloadKind
from tripswitch.domain.values.status import RolloutStatus


def test_a_failed_replica_set_that_a_person_deletes_does_not_end_the_trip() -> None:
    """G5: the template still is the failed one, also while no ReplicaSet of it is there."""
    world = tripped()
    del world.revisions["web-v2"]
    world.settle()
    assert world.workload is not None
    assert world.workload.paused
    assert world.status.hold is not None
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
    assert world.status.hold == Hold("web-v2", HoldState.RELEASING)
    world.apply(2)
    world.most_writes = None
    world.settle()
    assert world.workload is not None
    assert world.workload.paused
    assert world.status.hold == Hold("web-v2", HoldState.PLACED)


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
    """G9: the new breaker leaves it alone, and says why nothing is rolled out."""
    world = completed()
    world.change(paused=True, mark=Mark("web-v2", "uid-other"))
    world.look()
    told = world.status.rollout_state_reason
    assert "Deployment web" in told
    assert "resume it by hand" in told
    world.change(mark=Mark("web-v9", BREAKER))
    world.settle()
    assert "resume it by hand" not in world.status.rollout_state_reason


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


def _delete_and_make_again(world: GuardedWorld) -> None:
    world.change(uid="uid-again", mark=None, paused=False, stalled=False)
    world.revisions.clear()


def test_a_workload_made_again_starts_anew() -> None:
    """Counts, the completed revision and history were of the one that was deleted."""
    world = failing()
    world.resize(2, crashing_pod("web-v2-0", runs=2))
    world.command(retry="seen").look()
    assert world.status.circuit_breaker.failure_count == 2
    _delete_and_make_again(world)
    world.put(replace(revision_view(2, pending_pod("web-again-0")), revision=1))
    world.look()
    assert world.events[-2:] == ["WorkloadMadeAnew", "RolloutStarted"]
    assert [one.revision for one in world.status.revisions] == [1]
    assert world.status.last_completed_revision is None
    assert world.status.circuit_breaker.failure_count == 0
    assert world.status.hold is None
    assert (world.status.target_uid, world.status.observed_retry) == ("uid-again", "seen")


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
    assert world.status.revisions == ()
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
    assert world.status.last_completed_revision == 1
    assert "WorkloadMadeAnew" not in world.events


def test_a_memory_that_an_earlier_version_wrote_is_kept() -> None:
    """It has no UID of its target."""
    world = completed()
    world.command(status=replace(world.status, target_uid=""))
    world.look()
    assert world.status.last_completed_revision == 1
    assert world.status.target_uid == "uid-web"


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
