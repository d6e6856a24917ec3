"""Rule R8 in whole decisions: what is planned is cut down, and a condition and an event say so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.builders import ready_pod
from tests.support.manual_cluster import ManualCluster, completed
from tripswitch.domain.decide import decide
from tripswitch.domain.steps.brake_storms import brake_storms
from tripswitch.domain.steps.draft import begin_draft
from tripswitch.domain.steps.plan_sizes import Plan
from tripswitch.domain.values.states import Reason, RolloutStatus
from tripswitch.domain.values.workload import Recreate


def stormy(world: ManualCluster | None = None) -> ManualCluster:
    """Return a rollout of v2 of which a node has rejected more pods than may be."""
    world = world or completed(4)
    world.dated = True
    world.apply("v2").settle(1.0)
    while not world.status.memory.storms:
        world.reject("v2").look(0.5)
        assert world.pods_made < 100
    return world


def accept(world: ManualCluster, version: str) -> ManualCluster:
    """Have the node take the pods that are there; those that it rejected stay Failed."""
    found = world.replica_set(version)
    pods = tuple(
        ready_pod(pod.name, world.now, created_at=pod.created_at)
        if pod.live and pod.ready_since is None
        else pod
        for pod in found.pods
    )
    world.replica_sets[found.name] = replace(found, pods=pods)
    return world


def count_made(world: ManualCluster) -> int:
    """Return how many pods of v2 were ever made."""
    return len(world.replica_set("v2").pods)


def test_a_storm_holds_the_replica_set_and_says_so() -> None:
    world = stormy()
    assert world.events[-1] == "PodStorm"
    condition = world.condition("PodStorm")
    assert condition is not None
    assert condition.reason is Reason.POD_STORM
    assert "NodePorts: Pod was rejected" in condition.message
    name = world.replica_set("v2").name
    words = f"pods of ReplicaSet {name} fail as soon as they are created ("
    assert condition.message.startswith(words)
    assert condition.message.endswith(
        "): it is kept at its live pods, and another pod is tried 10 s after the last one"
    )
    world.reject("v2").look(0.5)
    made = count_made(world)
    for _ in range(18):
        world.reject("v2").look(0.5)
    assert count_made(world) == made
    assert world.sizes() == {"v1": 4}, "the completed revision serves on"
    assert world.events.count("PodStorm") == 1


def test_ten_minutes_of_a_storm_make_few_pods_and_end_by_the_progress_deadline() -> None:
    """P1: the clock runs on, although no pod is there to wait for. F5: nothing is counted."""
    world = stormy()
    for _ in range(130):
        if world.state() is not RolloutStatus.IN_PROGRESS:
            break
        world.reject("v2").look(5.0)
    assert world.state() is RolloutStatus.ROLLBACK_SUCCESSFUL
    assert "CircuitBreakerTriggered" in world.events
    assert world.record(2).failed_tasks == 0
    assert count_made(world) < 25
    assert world.status.memory.storms == ()
    assert world.condition("PodStorm") is None


def test_recreate_waits_for_no_pod_of_a_replica_set_that_a_storm_holds_at_0() -> None:
    """W1: its size without the brake is no pod, so the next revision begins at once (world 28 of storms)."""
    world = completed(4).want(strategy=Recreate())
    world.dated = True
    world.apply("v2").settle(1.0)
    while not world.status.memory.storms or world.sizes():
        world.reject("v2").look(0.5)
        assert world.pods_made < 100
    world.apply("v3").look(0.5)
    assert world.sizes() == {"v3": 4}


def test_w1_a_size_that_a_storm_holds_is_scaled_once() -> None:
    """R4: also if the operator ends between its status and the sizes (world 30000043)."""
    world = stormy().want(paused=True).settle(1.0)
    world.want(replicas=16)
    snapshot = world.snapshot
    first = decide(snapshot, world.now)
    guarded = replace(snapshot.guarded, status=first.status)
    again = decide(replace(snapshot, guarded=guarded), world.now)
    assert first.status.memory.storms[0].size > snapshot.guarded.status.memory.storms[0].size
    assert (again.status, again.actions) == (first.status, first.actions)


@pytest.mark.parametrize(("followed", "sized_for"), [(False, 4), (True, 8)])
def test_r4_a_held_size_is_for_the_replicas_that_it_was_planned_for(
    *, followed: bool, sized_for: int
) -> None:
    """A plan that cannot follow ``replicas`` yet leaves the next step its scaling."""
    world = stormy().want(replicas=8)
    plan = Plan({world.replica_set("v2").name: 4}, followed=followed)
    draft, _ = brake_storms(begin_draft(world.snapshot, world.now), plan)
    assert [(storm.size, storm.sized_for) for storm in draft.memory.storms] == [(4, sized_for)]


def leave(world: ManualCluster) -> ManualCluster:
    """Have the ReplicaSet controller be away: it makes no pod, and says nothing of the latest size."""
    found = world.replica_set("v2")
    failed = tuple(pod for pod in found.pods if not pod.live)
    return world.put(replace(found, pods=failed, observed=False))


def test_v_a_good_rollout_after_a_storm_waits_for_a_controller_that_is_away() -> None:
    """P1: a Failed pod that nobody replaces says nothing about the revision (world 10000420)."""
    world = stormy()
    for _ in range(200):
        leave(world).look(5.0)
    assert world.state() is RolloutStatus.IN_PROGRESS


def test_p1_a_controller_that_is_late_at_each_try_does_not_begin_the_clock_anew() -> None:
    """R8: one pod is healthy, all others are rejected; the clock only stands still meanwhile (world 30000126)."""
    world = stormy()
    while not any(pod.ready_since for pod in world.replica_set("v2").pods):
        world.look(5.0)
        accept(world, "v2")
    tries = 0
    for _ in range(150):
        if world.state() is not RolloutStatus.IN_PROGRESS:
            break
        size = world.sizes()["v2"]
        world.reject("v2").look(5.0)
        if (
            world.sizes().get("v2", 0) > size
        ):  # another pod is tried, and the controller has not looked yet
            tries += 1
            found = world.replica_set("v2")
            there = tuple(pod for pod in found.pods if pod.ready_since is not None or not pod.live)
            world.put(replace(found, pods=there, observed=False)).look(0.1)
            world.put(replace(world.replica_set("v2"), observed=True))
    assert tries > 3
    assert "CircuitBreakerTriggered" in world.events


def test_p1_the_clock_stands_still_at_once_when_a_stormy_rollout_is_scaled_to_0() -> None:
    """W3: the second look at the same snapshot finds nothing more (world 19030000018)."""
    world = stormy().want(replicas=0)
    snapshot = world.snapshot
    status = decide(snapshot, world.now).status
    again = replace(snapshot, guarded=replace(snapshot.guarded, status=status))
    assert decide(again, world.now).status == status
    assert status.memory.rollout is not None
    assert status.memory.rollout.held_at == world.now


def test_a_good_rollout_that_meets_a_short_storm_completes() -> None:
    world = stormy(completed(8))
    world.reject("v2").look(0.5)
    for _ in range(120):
        accept(world, "v2").look(1.0)
        if world.state() is RolloutStatus.SUCCESSFUL:
            break
    assert world.state() is RolloutStatus.SUCCESSFUL
    world.settle(20.0)
    assert world.sizes() == {"v2": 8}
    assert world.status.memory.storms == ()
    assert "CircuitBreakerTriggered" not in world.events


def test_a_storm_on_the_completed_revision_is_held_too() -> None:
    """A node comes back and rejects: no rollout runs."""
    world = completed(4)
    world.dated = True
    found = world.replica_set("v1")
    world.delete_pods(found.name)
    for _ in range(4):
        world.reject("v1").look(0.5)
    assert world.status.memory.storms
    made = len(world.replica_set("v1").pods)
    world.reject("v1").look(0.5)
    for _ in range(10):
        world.reject("v1").look(0.5)
    assert len(world.replica_set("v1").pods) <= made + 4
    for _ in range(80):
        accept(world, "v1").look(1.0)
    assert world.sizes() == {"v1": 4}
    assert world.condition("PodStorm") is None


def test_two_storms_are_written_in_one_order_whichever_replica_set_comes_first() -> None:
    """W3: else the status is written anew whenever the ReplicaSets come in another order."""
    world = stormy()
    failed = world.replica_set("v2").pods
    twins = tuple(replace(pod, name=f"{pod.name}-1", uid=f"{pod.uid}-1") for pod in failed)
    world.put(replace(world.replica_set("v1"), pods=twins))
    snapshot = world.snapshot
    turned = replace(snapshot, replica_sets=snapshot.replica_sets[::-1])
    storms = decide(snapshot, world.now).status.memory.storms
    assert len(storms) == 2
    assert decide(turned, world.now).status.memory.storms == storms
