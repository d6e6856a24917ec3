"""Rules G on a StatefulSet: held by its partition, and brought back pod by pod."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.builders import (
    START,
    crashing_pod,
    pending_pod,
    ready_pod,
    terminating,
    unready_pod,
)
from tests.unit.domain.guarded_world import GuardedWorld, completed, ready_many
from tripswitch.domain.values.decision import DeletePod
from tripswitch.domain.values.hold_actions import DisownFields, HoldWorkload, ReportTrip
from tripswitch.domain.values.pods import PodView
from tripswitch.domain.values.protection import (
    HOLD_PARTITION,
    Hold,
    HoldState,
    Mode,
    WorkloadKind,
)
from tripswitch.domain.values.states import Reason, RolloutStatus

DB = WorkloadKind.STATEFUL_SET


def rolling(*bad: PodView, good: int = 2) -> GuardedWorld:
    """Return three replicas of which the upper ones are of ``v2``, which is watched."""
    world = completed(DB, replicas=3)
    waiting = tuple(replace(pod, containers=pending_pod().containers) for pod in bad)
    plain = tuple(replace(pod, ready_since=None) for pod in waiting)
    world.roll(2, *plain)
    world.resize(1, *ready_many(1, good))
    world.look()
    return world.resize(2, *bad)


def deleted(world: GuardedWorld) -> list[str]:
    """Return the names of the pods that were deleted."""
    return [action.name for action in world.done if isinstance(action, DeletePod)]


def test_a_trip_sets_the_partition_and_deletes_the_failed_pod() -> None:
    """G4."""
    world = rolling(crashing_pod("web-v2-2", runs=3))
    actions = [*world.look().actions, *world.look().actions]
    assert [type(action) for action in actions] == [HoldWorkload, ReportTrip, DeletePod]
    assert deleted(world) == ["web-v2-2"]
    assert world.workload is not None
    assert world.workload.partition == HOLD_PARTITION
    world.resize(1, *ready_many(1, 3))
    world.look(later=20.0)
    assert world.state() is RolloutStatus.ROLLBACK_SUCCESSFUL


def test_nothing_is_deleted_before_the_controller_has_seen_the_partition() -> None:
    world = rolling(crashing_pod("web-v2-2", runs=3))
    world.look()
    world.change(generation=2)
    assert world.look().actions == ()
    world.change(observed_generation=2)
    world.look()
    assert deleted(world) == ["web-v2-2"]


def test_failed_pods_go_one_at_a_time_from_the_highest_ordinal() -> None:
    """G4: each when the one before is healthy again."""
    bad = [crashing_pod(f"web-v2-{ordinal}", runs=3) for ordinal in (1, 2)]
    world = rolling(*bad, good=1)
    world.look()
    world.look()
    assert deleted(world) == ["web-v2-2"]
    world.resize(2, bad[0], terminating(bad[1]))
    world.look()
    assert deleted(world) == ["web-v2-2"], "it is still on its way out"
    world.resize(2, bad[0])
    world.resize(1, *ready_many(1, 1), pending_pod("web-v1-2"))
    world.look()
    assert deleted(world) == ["web-v2-2"], "the one above is not healthy yet"
    world.resize(1, *ready_many(1, 1), ready_pod("web-v1-2"))
    world.look()
    assert deleted(world) == ["web-v2-2", "web-v2-1"]


def test_a_failed_pod_that_serves_nobody_goes_while_one_above_is_missing() -> None:
    """OrderedReady makes no pod above one that is not Ready."""
    bad = [crashing_pod(f"web-v2-{ordinal}", runs=3) for ordinal in (1, 2)]
    world = rolling(*bad, good=1)
    world.look()
    world.look()
    world.look()
    assert deleted(world) == ["web-v2-2", "web-v2-1"]


def test_a_failed_pod_that_serves_waits_for_the_one_above() -> None:
    world = rolling(ready_pod("web-v2-1"), crashing_pod("web-v2-2", runs=3), good=1)
    world.settle()
    assert deleted(world) == ["web-v2-2"]
    world.resize(1, ready_pod("web-v1-0"), ready_pod("web-v1-2"))
    world.settle(later=20.0)
    assert deleted(world) == ["web-v2-2", "web-v2-1"]


def test_a_failed_pod_below_one_that_serves_goes_while_one_above_is_missing() -> None:
    """OrderedReady would wait for it for ever, and the rollback for the one above."""
    world = rolling(crashing_pod("web-v2-0", runs=3), ready_pod("web-v2-1"), good=0)
    world.settle()
    assert deleted(world) == ["web-v2-0"]
    world.resize(1, ready_pod("web-v1-0"))
    world.settle(later=20.0)
    assert deleted(world) == ["web-v2-0"], "web-2 is still missing"
    world.resize(1, ready_pod("web-v1-0"), ready_pod("web-v1-2"))
    world.settle(later=20.0)
    assert deleted(world) == ["web-v2-0", "web-v2-1"]


def test_a_pod_of_the_good_revision_is_never_deleted() -> None:
    world = rolling(crashing_pod("web-v2-2", runs=3))
    world.settle()
    world.resize(1, *ready_many(1, 2), crashing_pod("web-v1-2", runs=9))
    world.settle(later=20.0)
    assert deleted(world) == ["web-v2-2"]


def test_a_corrected_template_gets_the_partition_back_as_it_was() -> None:
    """G5."""
    world = rolling(crashing_pod("web-v2-2", runs=3)).settle()
    world.roll(3, pending_pod("web-v3-2")).settle()
    assert world.workload is not None
    assert (world.workload.partition, world.workload.mark, world.workload.stalled) == (
        0,
        None,
        False,
    )
    assert world.rollout.revision == 3
    assert world.status.memory.hold is None


def test_a_partition_that_was_put_back_does_not_stay_ours() -> None:
    """G5: its managed fields would say so, and an apply of another one be a conflict."""
    world = rolling(crashing_pod("web-v2-2", runs=3)).settle()
    world.roll(3, pending_pod("web-v3-2"))
    world.look()
    world.change(owned=2)
    (action,) = world.look().actions
    assert isinstance(action, DisownFields)
    assert action.entry == 2
    world.settle()
    assert world.status.memory.hold is None
    assert world.change(owned=1).look().actions == (), "somebody else's, without a hold"


def test_a_partition_that_was_put_back_stays_ours_where_nothing_may_be_written() -> None:
    """G7."""
    world = rolling(crashing_pod("web-v2-2", runs=3)).settle()
    world.roll(3, pending_pod("web-v3-2"))
    world.look()
    world.change(owned=2).settings(mode=Mode.OBSERVE)
    assert world.look().actions == ()
    assert world.status.memory.hold is None


def test_a_partition_of_a_person_is_left_alone() -> None:
    """G6, R7."""
    world = completed(DB, replicas=3)
    world.roll(2, pending_pod("web-v2-2")).change(partition=2)
    world.look()
    world.resize(2, crashing_pod("web-v2-2", runs=9))
    assert world.look().actions == ()
    assert world.status.memory.circuit_breaker.failure_count == 0


def test_another_partition_during_a_trip_is_a_persons() -> None:
    world = rolling(crashing_pod("web-v2-2", runs=3)).settle()
    world.change(partition=1)
    world.look()
    assert world.status.memory.hold == Hold("web-v2", HoldState.YIELDED)


def test_a_partition_set_to_zero_by_hand_is_a_retry() -> None:
    """G5."""
    world = rolling(crashing_pod("web-v2-2", runs=3)).settle()
    world.change(partition=0)
    world.look()
    assert "WorkloadResumed" in world.events


def test_on_delete_has_no_rollout_to_watch() -> None:
    world = completed(DB)
    world.change(on_delete=True)
    world.look()
    stalled = world.condition("Stalled")
    assert stalled is not None
    assert stalled.reason is Reason.NO_ROLLOUT
    assert stalled.message == (
        "StatefulSet web has the update strategy OnDelete, so there is no rollout to watch; use RollingUpdate"
    )


@pytest.mark.parametrize("current", ["web-v1", "web-v2"])
def test_what_its_controller_makes_no_pods_of_is_no_candidate(current: str) -> None:
    """The controller takes a crash loop between two ends for complete, and gives the old one up."""
    world = rolling(crashing_pod("web-v2-2", runs=3))
    world.change(current_revision=current)
    world.look()
    assert (world.status.memory.hold is not None) == (current == "web-v1")


def test_pods_without_an_ordinal_are_last() -> None:
    world = rolling(crashing_pod("odd", runs=3))
    world.look()
    world.look()
    assert deleted(world) == ["odd"]


def test_an_old_pod_that_its_controller_waits_for_is_named() -> None:
    """With OrderedReady nothing of the new revision is launched: neither the count nor the clock of P1 moves."""
    world = completed(DB, replicas=3).change(ordered=True)
    world.roll(2)
    lost_at = world.now
    lost = unready_pod("web-v1-0", unready_since=lost_at)
    world.resize(1, lost, *ready_many(1, 3)[1:])
    assert world.look().wake_at == lost_at + 60
    progressing = world.condition("Progressing")
    assert progressing is not None
    assert progressing.reason is Reason.ROLLOUT_IN_PROGRESS, "a restart takes a moment, too"
    world.look(later=60)
    words = (
        "pod web-v1-0 of revision 1 is not Ready (running, not Ready), and with podManagementPolicy "
        "OrderedReady the StatefulSet changes no other pod until that one is Ready: repair or delete it"
    )
    for kind, status in (("Progressing", False), ("Ready", False), ("Reconciling", True)):
        told = world.condition(kind)
        assert told is not None
        assert (told.status, told.reason, told.message) == (status, Reason.WAITING_FOR_POD, words)
    assert words in world.status.report.rollout_state_reason
    world.look(later=3600)
    assert world.state() is RolloutStatus.IN_PROGRESS, "it is not the new revision's fault"
    world.resize(1, *ready_many(1, 3)).look()
    progressing = world.condition("Progressing")
    assert progressing is not None
    assert (progressing.status, progressing.reason) == (True, Reason.ROLLOUT_IN_PROGRESS)


def test_the_lowest_of_several_such_pods_is_named_also_without_a_record_of_its_revision() -> None:
    world = completed(DB, replicas=12).change(ordered=True)
    world.roll(3)
    old = [crashing_pod(f"web-v0-{ordinal}", created_at=START) for ordinal in (10, 9)]
    world.put(replace(world.revisions["web-v1"], name="web-v0", uid="uid-web-v0", revision=2))
    world.revisions["web-v0"] = replace(world.revisions["web-v0"], pods=tuple(old))
    world.look()
    records = tuple(one for one in world.status.memory.revisions if one.replica_set != "web-v0")
    memory = replace(world.status.memory, revisions=records)
    world.command(status=replace(world.status, memory=memory)).look()
    waits = world.condition("Progressing")
    assert waits is not None
    assert waits.message.startswith("pod web-v0-9 of revision 2 is not Ready (container web ")


@pytest.mark.parametrize("ordered", [True, False])
def test_a_pod_of_the_good_revision_that_a_rollback_waits_for_is_named(*, ordered: bool) -> None:
    """It is never deleted, and P1 ends the rollback."""
    world = rolling(crashing_pod("web-v2-2", runs=3)).change(ordered=ordered)
    world.resize(1, unready_pod("web-v1-0", unready_since=START), *ready_many(1, 2)[1:])
    world.settle()
    stalled = world.condition("Stalled")
    assert stalled is not None
    assert "3 failures" in stalled.message, "why it goes back comes first"
    assert ("pod web-v1-0 of revision 1 is not Ready" in stalled.message) == ordered
    world.look(later=300)
    world.look(later=601)
    assert world.state() is RolloutStatus.ROLLBACK_FAILED
    assert ("pod web-v1-0 of revision 1" in world.rollout.message) == ordered
