"""``failedPodRetention``: which pods are set aside, when, and how they end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.builders import (
    START,
    crashing_pod,
    pending_pod,
    ready_pod,
    stuck_pod,
    terminating,
    unready_pod,
)
from tests.support.invariants import check_decision
from tests.support.manual_cluster import ManualCluster, completed, started
from tripswitch.domain.decide import decide
from tripswitch.domain.values.decision import Decision, DropPod, ScaleReplicaSet, SetAsidePod
from tripswitch.domain.values.inquiry import Evidence
from tripswitch.domain.values.pods import PodView, RetainedPod
from tripswitch.domain.values.states import RolloutStatus
from tripswitch.domain.values.workload import Retention

ONE = Retention(count=1, ttl=600)


def aside(decision: Decision) -> list[SetAsidePod]:
    return [action for action in decision.actions if isinstance(action, SetAsidePod)]


def dropped(decision: Decision) -> list[str]:
    return [action.name for action in decision.actions if isinstance(action, DropPod)]


def tripping(retention: Retention = ONE, *pods: PodView) -> ManualCluster:
    """The next look trips: all four pods of v2 have crashed, or what is given instead."""
    world = completed(retention=retention).apply("v2").settle(1.0).crash("v2")
    if pods:
        found = world.replica_set("v2")
        world.replica_sets[found.name] = replace(found, pods=pods)
    return world


def decided(world: ManualCluster) -> Decision:
    decision = decide(world.snapshot, world.now)
    assert check_decision(world.snapshot, decision, world.now) == []
    return decision


def test_it_is_off_by_default() -> None:
    assert aside(decided(tripping(Retention()))) == []


def test_at_the_trip_one_failing_pod_is_set_aside_before_its_replica_set_is_lowered() -> None:
    world = tripping()
    decision = decided(world)
    assert decision.status.memory.rollout is not None
    assert decision.status.memory.rollout.status is RolloutStatus.ROLLBACK_IN_PROGRESS
    [action] = aside(decision)
    found = world.replica_set("v2")
    assert action.replica_set_uid == found.uid
    assert action.name in {pod.name for pod in found.pods}
    assert (action.revision, action.ttl) == (2, 600)
    order = [
        type(one)
        for one in decision.actions
        if one == action or (isinstance(one, ScaleReplicaSet) and one.uid == found.uid)
    ]
    assert order == [SetAsidePod, ScaleReplicaSet]


def test_the_pod_that_the_status_speaks_of_goes_first() -> None:
    world = tripping()
    decision = decided(world)
    [record] = decision.status.memory.circuit_breaker.failures
    assert aside(decision)[0].name == record.pod


def test_no_more_are_set_aside_than_asked_for() -> None:
    assert len(aside(decided(tripping(Retention(count=3))))) == 3
    assert len(aside(decided(tripping(Retention(count=9))))) == 4


def test_in_a_stall_the_failing_pods_that_are_taken_away_are_kept_too() -> None:
    world = started(retention=ONE).heal("v1", count=1).settle(1.0).crash("v1")
    decision = decided(world)
    assert decision.status.memory.rollout is not None
    assert decision.status.memory.rollout.status is RolloutStatus.FAILED
    assert len(aside(decision)) == 1


def test_nothing_is_set_aside_while_the_rollout_runs() -> None:
    world = completed(8, retention=ONE).apply("v2").settle(1.0).crash("v2", count=1)
    assert aside(decided(world)) == []


def test_a_healthy_revision_that_gives_way_keeps_nothing() -> None:
    world = completed(retention=ONE).apply("v2").settle(1.0).heal("v2", count=2)
    assert aside(decided(world)) == []


@pytest.mark.parametrize(
    ("pod", "kept"),
    [
        pytest.param(crashing_pod("z", 3), True, id="it crashes"),
        pytest.param(stuck_pod("z"), True, id="its image is not there"),
        pytest.param(unready_pod("z"), True, id="it runs and is not Ready"),
        pytest.param(ready_pod("z"), False, id="it is Ready"),
        pytest.param(pending_pod("z"), False, id="it is being set up"),
        pytest.param(pending_pod("z", node=""), False, id="it is on no node"),
        pytest.param(crashing_pod("z", 3, disrupted=True), False, id="it is being disrupted"),
        pytest.param(terminating(crashing_pod("z", 3)), False, id="it is going already"),
    ],
)
def test_only_a_pod_with_something_to_see_is_kept(*, pod: PodView, kept: bool) -> None:
    world = tripping()
    # The trip is written, and the process ends before it acts.
    world.guarded = replace(world.guarded, status=decided(world).status)
    found = world.replica_set("v2")
    world.replica_sets[found.name] = replace(found, pods=(pod,), size=4)
    assert bool(aside(decided(world))) is kept


def test_a_pod_that_the_status_speaks_of_as_an_example_goes_before_others() -> None:
    world = tripping(Retention(count=2))
    status = decided(world).status
    [record] = status.memory.circuit_breaker.failures
    *_, example = sorted({p.name for p in world.replica_set("v2").pods} - {record.pod})
    records = (replace(record, evidence=Evidence(example, log_tail="bye")),)
    breaker = replace(status.memory.circuit_breaker, failures=records)
    world.guarded = replace(
        world.guarded,
        status=replace(status, memory=replace(status.memory, circuit_breaker=breaker)),
    )
    assert {action.name for action in aside(decided(world))} == {record.pod, example}


def test_nothing_is_set_aside_that_is_not_about_to_go() -> None:
    world = tripping()
    world.guarded = replace(world.guarded, status=decided(world).status)
    assert len(aside(decided(world))) == 1
    assert aside(decided(world.want(paused=True))) == []


def test_pods_of_a_replica_set_that_is_not_ours_yet_are_left_alone() -> None:
    world = tripping()
    found = world.replica_set("v2")
    world.replica_sets[found.name] = replace(found, owned=False)
    world.guarded = replace(world.guarded, status=decided(tripping()).status)
    assert aside(decide(world.snapshot, world.now)) == []


def test_after_a_refusal_it_is_left_alone_and_scaled_away() -> None:
    world = tripping()
    refused = replace(world.snapshot, retention_refused=True)
    decision = decide(refused, world.now)
    assert aside(decision) == []
    assert any(isinstance(action, ScaleReplicaSet) for action in decision.actions)


# --- afterwards ------------------------------------------------------------------------------------


def test_a_pod_that_was_set_aside_is_no_pod_of_the_fleet_and_counts_nothing() -> None:
    world = tripping()
    world.settle(1.0)
    assert len(world.retained) == 1
    assert world.state() is RolloutStatus.ROLLBACK_SUCCESSFUL
    assert (world.status.report.replicas, world.status.report.available_replicas) == (4, 4)
    assert [(one.revision, one.running) for one in world.status.report.revisions] == [
        (2, 0),
        (1, 4),
    ]
    before = world.record(2).failed_tasks
    world.look(100.0)
    assert world.record(2).failed_tasks == before


def test_it_is_deleted_when_its_time_is_up_and_the_operator_wakes_for_it() -> None:
    world = tripping()
    world.settle(1.0)
    [pod] = world.retained.values()
    decision = decided(world)
    assert decision.wake_at == pod.until
    assert dropped(decision) == []
    world.look(pod.until - world.now)
    assert world.retained == {}
    assert world.look().wake_at is None


def test_somebody_may_give_it_more_time() -> None:
    world = tripping()
    world.settle(1.0)
    [(name, pod)] = world.retained.items()
    world.retained[name] = replace(pod, until=pod.until + 3600)
    world.look(601.0)
    assert name in world.retained


def kept(name: str, until: float, revision: int = 1) -> RetainedPod:
    return RetainedPod(name, f"uid-{name}", "1", revision, until)


def test_the_newest_are_kept_and_older_ones_make_room() -> None:
    world = tripping()
    world.retained = {"old": kept("old", START + 5000)}
    decision = decided(world)
    assert len(aside(decision)) == 1
    assert dropped(decision) == ["old"]


def test_of_the_same_revision_the_one_that_is_there_is_enough() -> None:
    world = tripping()
    world.retained = {"there": kept("there", START + 5000, revision=2)}
    decision = decided(world)
    assert (aside(decision), dropped(decision)) == ([], [])


def test_of_those_that_are_there_the_newest_is_kept() -> None:
    world = completed(retention=ONE)
    world.retained = {
        "old": kept("old", START + 9e6),
        "new": kept("new", START + 9e6 + 60),
    }
    assert dropped(decided(world)) == ["old"]


def test_one_whose_time_is_up_makes_room_at_that_very_moment() -> None:
    world = tripping()
    world.retained = {"there": kept("there", world.now, revision=2)}
    decision = decided(world)
    assert len(aside(decision)) == 1
    assert dropped(decision) == ["there"]


def test_switched_off_again_all_of_them_go() -> None:
    world = completed(retention=Retention())
    world.retained = {name: kept(name, START + 9e6) for name in ("a", "b")}
    assert dropped(decided(world)) == ["a", "b"]


def test_one_that_is_being_deleted_is_not_deleted_again() -> None:
    world = completed(retention=Retention())
    world.retained = {"a": replace(kept("a", START), deleting=True)}
    assert dropped(decided(world)) == []


# --- the referee -----------------------------------------------------------------------------------


def violations(world: ManualCluster, made: Decision) -> list[str]:
    return [
        v for v in check_decision(world.snapshot, made, world.now) if "aside" in v or "its t" in v
    ]


def test_the_referee_sees_more_pods_set_aside_than_asked_for() -> None:
    world = tripping()
    world.guarded = replace(
        world.guarded, spec=replace(world.guarded.spec, retention=Retention(count=0))
    )
    assert violations(world, decided(tripping())) == ["1 pods are set aside, more than asked for"]


def test_the_referee_sees_a_pod_set_aside_that_was_not_about_to_go() -> None:
    world = tripping()
    made = decided(world)
    held = tuple(one for one in made.actions if not isinstance(one, ScaleReplicaSet))
    found = world.replica_set("v2").name
    assert violations(world, replace(made, actions=held)) == [
        f"pods of {found} are set aside that are not about to go"
    ]


def test_the_referee_sees_a_pod_set_aside_that_is_ready() -> None:
    world = tripping()
    made = decided(world)
    found = world.replica_set("v2")
    [action] = aside(made)
    pods = tuple(
        replace(pod, ready_since=START) if pod.uid == action.uid else pod for pod in found.pods
    )
    world.replica_sets[found.name] = replace(found, pods=pods)
    assert violations(world, made) == [f"pods of {found.name} are set aside that are not failing"]


def test_the_referee_sees_a_pod_deleted_before_its_time() -> None:
    world = completed(retention=ONE)
    world.retained = {"a": kept("a", START + 9e6)}
    early = replace(decided(world), actions=(DropPod("a", "uid-a", "1"),))
    assert violations(world, early) == ["a is deleted before its time"]
