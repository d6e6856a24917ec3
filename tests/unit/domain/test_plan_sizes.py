"""Rules R4 and R7 as stories: a GuardedDeployment is scaled while its rollout is on its way, or is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.builders import (
    breaker_spec,
    crashing_pod,
    guarded,
    ready_pods,
    replica_set,
    replica_set_name,
    revision,
    rollout,
    snapshot,
    template,
    unready_pod,
)
from tests.support.manual_cluster import ManualCluster, completed, started
from tripswitch.domain.decide import decide
from tripswitch.domain.values.decision import Decision, ScaleReplicaSet
from tripswitch.domain.values.memory import Breaker, Memory
from tripswitch.domain.values.states import BreakerState, RolloutState, RolloutStatus
from tripswitch.domain.values.status import Status
from tripswitch.domain.values.workload import Amount, Percentages, Recreate, RollingUpdate

S = RolloutStatus
THREE_MORE_TWO_FEWER = RollingUpdate(Amount(3), Amount(2))
NO_ROLLBACK = breaker_spec(3, rollback=False)
V1, V2 = (replica_set_name(template(version)) for version in ("v1", "v2"))


def stuck(replicas: int = 10, **fields: Any) -> ManualCluster:
    """Return a world whose second revision never becomes Ready: measured with a Deployment, too."""
    fields = {"strategy": THREE_MORE_TWO_FEWER, "progress_deadline": 0, **fields}
    return completed(replicas, **fields).apply("v2").settle(1.0).hang("v2").settle(1.0)


def scale(world: ManualCluster, replicas: int) -> ManualCluster:
    """Change ``replicas``; all that may become Ready of the first revision does."""
    world.want(replicas=replicas).settle(1.0)
    return world.heal("v1").settle(1.0)


def count_pods(world: ManualCluster) -> int:
    return sum(pod.live for rs in world.replica_sets.values() for pod in rs.pods)


# --- R4: the rollout goes on ----------------------------------------------------------------------


def test_r4_scaled_up_beside_a_stuck_revision_both_grow_as_in_a_deployment() -> None:
    world = stuck()
    assert world.sizes() == {"v1": 8, "v2": 5}
    scale(world, 30)
    assert world.sizes() == {"v1": 20, "v2": 13}
    assert world.healthy() == 20


def test_r4_scaled_down_again_the_upper_bound_holds() -> None:
    world = scale(scale(stuck(), 30), 10)
    assert world.sizes() == {"v1": 8, "v2": 5}
    assert (world.healthy(), count_pods(world)) == (8, 13)


def test_r4_more_than_u_of_a_stuck_revision_goes_also_if_nobody_knows_why_it_is_there() -> None:
    """An earlier version raised the new revision alone, and left 18 pods where 13 are allowed."""
    world = stuck()
    for found in list(world.replica_sets.values()):
        size = {"v1": 8, "v2": 10}[found.template.digest]
        pods = found.pods[:8] if size == 8 else tuple(unready_pod(f"u{n}") for n in range(10))
        world.replica_sets[found.name] = replace(found, size=size, pods=pods, sized_for=None)
    world.settle(1.0)
    assert world.sizes() == {"v1": 8, "v2": 5}


def test_r4_what_starts_of_a_proven_revision_is_not_taken_back() -> None:
    world = stuck().want(replicas=30).settle(1.0)
    for _ in range(3):
        world.settle(5.0)
        assert world.sizes() == {"v1": 20, "v2": 13}


def test_r4_what_fails_of_a_proven_revision_makes_room() -> None:
    """Its pods cannot start any more: it is the new revision that mends it."""
    world = stuck().want(replicas=30).settle(1.0)
    world.become("v1", lambda name, _: crashing_pod(name)).settle(1.0)
    assert world.sizes() == {"v1": 8, "v2": 25}


def test_r4_a_crash_between_two_sizes_loses_nothing_of_the_proportion() -> None:
    """W1: the size and what it was decided for are one write; the next look goes on from there."""
    world = stuck().want(replicas=30)
    [first, second] = world.look(1.0).actions
    assert isinstance(first, ScaleReplicaSet)
    assert isinstance(second, ScaleReplicaSet)
    for through, lost in ((first, second), (second, first)):
        half = replace(world, replica_sets=dict(world.replica_sets), events=[])
        before = next(rs for rs in stuck().replica_sets.values() if rs.name == lost.name)
        half.replica_sets[before.name] = before
        assert half.replica_sets[through.name].sized_for == 30
        assert half.settle(1.0).sizes() == {"v1": 20, "v2": 13}


def test_r4_a_good_rollout_completes_at_its_new_size() -> None:
    world = completed(4).apply("v2").settle(1.0).heal("v2", count=2).settle(1.0)
    assert world.sizes() == {"v1": 2, "v2": 4}
    world.want(replicas=12).settle(1.0)
    assert world.sizes() == {"v1": 6, "v2": 12}
    world.heal("v2").settle(1.0)
    assert (world.state(), world.sizes()) == (S.SUCCESSFUL, {"v2": 12})


def test_r4_a_rollout_that_was_not_begun_yet_finds_the_old_revision_scaled() -> None:
    """A new template and other replicas in one apply."""
    world = completed(4).want(replicas=12).apply("v2").settle(1.0)
    assert world.sizes() == {"v1": 12, "v2": 12}


def test_r4_what_never_completed_does_not_grow_with_the_others() -> None:
    """C3: the second revision was stopped by a third one."""
    world = completed(4).apply("v2").settle(1.0).heal("v2", count=2).settle(1.0)
    world.apply("v3").settle(1.0)
    assert world.sizes() == {"v1": 2, "v2": 2, "v3": 4}
    world.want(replicas=12).settle(1.0)
    assert world.sizes() == {"v1": 6, "v2": 2, "v3": 12}


def test_r4_in_a_rollback_only_its_target_grows() -> None:
    world = completed(4).apply("v2").settle(1.0).heal("v2", count=1).settle(1.0)
    assert world.sizes() == {"v1": 3, "v2": 4}
    world.crash("v2", runs=3).settle(1.0)
    assert world.state() is S.ROLLBACK_IN_PROGRESS
    world.want(replicas=12).settle(1.0)
    assert world.sizes() == {"v1": 12, "v2": 1}


def test_r4_with_recreate_there_is_no_proportion() -> None:
    world = completed(4, strategy=Recreate()).apply("v2").settle(1.0)
    world.want(replicas=9).settle(1.0)
    assert world.sizes() == {"v2": 9}


def test_r4_raising_waits_until_pods_that_are_to_go_have_gone() -> None:
    """R3: the ReplicaSet was lowered a moment ago, and its pods are still there."""
    world = stuck()
    new = world.replica_set("v2")
    surplus = tuple(unready_pod(f"s{number}") for number in range(25))
    world.replica_sets[new.name] = replace(new, pods=surplus)
    world.want(replicas=30)
    assert world.look(1.0).actions == ()
    world.replica_sets[new.name] = new
    world.settle(1.0)
    assert world.sizes() == {"v1": 20, "v2": 13}


def test_r4_an_unmarked_size_is_taken_as_one_of_the_same_time_as_the_others() -> None:
    """The old ReplicaSet was sized by an earlier version of the operator."""
    world = stuck()
    old = world.replica_set("v1")
    world.replica_sets[old.name] = replace(old, sized_for=None)
    assert world.look(1.0).actions == ()
    assert scale(world, 30).sizes() == {"v1": 20, "v2": 13}


# --- R7: paused -----------------------------------------------------------------------------------


def test_r7_a_paused_rollout_is_scaled_in_proportion_as_a_deployment() -> None:
    """frozen-size: 4 -> 12 in the middle of a rollout that is paused."""
    world = stuck(4, strategy=Percentages()).want(paused=True).settle(1.0)
    assert world.sizes() == {"v1": 4, "v2": 4}
    scale(world, 12)
    assert (world.sizes(), world.healthy()) == ({"v1": 12, "v2": 12}, 12)
    scale(world, 1)
    assert (world.sizes(), world.healthy()) == ({"v1": 1, "v2": 1}, 1)
    scale(world, 12)
    assert (world.sizes(), world.healthy()) == ({"v1": 12, "v2": 12}, 12)


def test_r7_a_paused_rollout_keeps_each_healthy_pod_that_replicas_asks_for() -> None:
    """In proportion one of the two healthy pods would go."""
    world = completed(10, strategy=Percentages(20, 120)).apply("v2").settle(1.0).hang("v2")
    world.settle(1.0)
    assert world.sizes() == {"v1": 2, "v2": 10}
    world.want(paused=True, replicas=5).settle(1.0)
    assert world.sizes() == {"v1": 2, "v2": 4}
    assert world.healthy() == 2


def test_r7_a_paused_rollout_of_two_healthy_revisions_shrinks_in_proportion() -> None:
    world = completed(8, strategy=Percentages(50, 150)).apply("v2").settle(1.0).heal("v2", count=2)
    world.settle(1.0)
    assert world.sizes() == {"v1": 2, "v2": 8}
    world.heal("v2").want(paused=True, replicas=4).settle(1.0)
    assert (world.sizes(), world.healthy()) == ({"v1": 2, "v2": 4}, 6)


def test_r7_lowering_goes_on_until_all_that_is_too_much_has_gone() -> None:
    """Young pods may be those that a ReplicaSet keeps, so it waits for them to be healthy."""
    world = stuck(4, strategy=Percentages(), min_ready_seconds=10)
    world.want(paused=True).heal("v2").settle(20.0)
    for found in list(world.replica_sets.values()):
        young = tuple(replace(pod, ready_since=world.now) for pod in found.pods[:2])
        world.replica_sets[found.name] = replace(found, pods=(*found.pods[2:], *young))
    world.want(replicas=2).settle(1.0)
    assert sum(world.sizes().values()) > 4
    world.settle(10.0)
    assert world.sizes() == {"v1": 2, "v2": 2}


def test_r7_a_paused_first_rollout_follows_replicas() -> None:
    world = started().want(paused=True, replicas=9).settle(1.0)
    assert world.sizes() == {"v1": 9}
    for replicas in (0, 3):
        world.want(replicas=replicas).settle(1.0)
        assert world.sizes() == ({"v1": replicas} if replicas else {})


def test_r7_without_any_pod_the_completed_revision_follows_replicas() -> None:
    world = stuck(4).want(paused=True, replicas=0).settle(1.0)
    assert world.sizes() == {}
    world.want(replicas=12).settle(1.0)
    assert world.sizes() == {"v1": 12}


def test_r7_a_rollout_that_waits_for_the_end_of_a_pause_has_no_pods_of_its_own() -> None:
    world = stuck(4, strategy=Percentages()).want(paused=True).settle(1.0)
    world.apply("v3").settle(1.0)
    assert world.state() is S.PENDING
    scale(world, 12)
    assert world.sizes() == {"v1": 12, "v2": 4}


def test_r7_a_paused_rollout_with_nothing_to_grow_says_so() -> None:
    world = started(4, breaker=NO_ROLLBACK).heal("v1", count=2).crash("v1", runs=3).settle(1.0)
    world.want(paused=True).apply("v2").settle(1.0)
    world.want(replicas=12).settle(1.0)
    assert (world.state(), world.sizes()) == (S.PENDING, {"v1": 2})
    assert "the size stays at 2 of 12 pods: the rollout is paused" in reason(world)


def test_r7_without_scaling_a_pause_holds_every_size() -> None:
    world = stuck(4, strategy=Percentages()).want(paused=True).settle(1.0)
    world.want(strategy=Percentages(100, 125)).settle(1.0)
    assert world.sizes() == {"v1": 4, "v2": 4}


# --- R3: old pods that are not Ready for a moment -------------------------------------------------


def _blink(world: ManualCluster, *, by_node: bool = False) -> ManualCluster:
    """Have all pods of v1 lose their readiness."""
    found, since = world.replica_set("v1"), world.now
    lost = [
        replace(one, ready_since=None, unready_since=since, unready_by_node=by_node)
        for one in found.pods
    ]
    return world.put(replace(found, pods=tuple(lost)))


@pytest.mark.parametrize("by_node", [False, True])
def test_r3_old_pods_that_are_not_ready_for_a_moment_stay(*, by_node: bool) -> None:
    """Their database, or their node, is away for some seconds, and the new revision has proved nothing yet."""
    world = _blink(completed(4).apply("v2").settle(1.0), by_node=by_node)
    assert world.settle(1.0).sizes() == {"v1": 4, "v2": 4}
    assert world.settle(58.0).sizes() == {"v1": 4, "v2": 4}
    assert world.settle(1.0).sizes() == {"v2": 4}, "they are late (F4)"


def test_r3_they_make_room_for_new_pods_that_are_healthy() -> None:
    world = _blink(completed(4).apply("v2").settle(1.0))
    assert world.heal("v2", count=3).settle(1.0).sizes() == {"v1": 1, "v2": 4}
    assert world.heal("v2").settle(1.0).sizes() == {"v2": 4}
    assert world.state() is S.SUCCESSFUL


def test_r3_old_pods_that_crashed_or_whose_revision_failed_go_at_once() -> None:
    world = completed(4).apply("v2").settle(1.0)
    found = world.replica_set("v1")
    crashed = [replace(crashing_pod(one.name), unready_since=world.now) for one in found.pods]
    world.put(replace(found, pods=tuple(crashed)))
    assert world.settle(1.0).sizes() == {"v2": 4}
    world = _blink(stalled(healthy=2).apply("v3").settle(1.0))
    failed = world.replica_set("v2")
    lost = [replace(one, ready_since=None, unready_since=world.now) for one in failed.pods]
    world.put(replace(failed, pods=tuple(lost))).settle(1.0)
    assert "v2" not in world.sizes()


# --- R7: stalled and aborted ----------------------------------------------------------------------


def stalled(replicas: int = 4, healthy: int = 0, **fields: Any) -> ManualCluster:
    """Return a world whose second revision tripped, with no rollback wanted."""
    world = completed(replicas, breaker=NO_ROLLBACK, **fields).apply("v2").settle(1.0)
    if healthy:
        world.heal("v2", count=healthy).settle(1.0)
    world.crash("v2", runs=3).settle(1.0)
    assert world.state() is S.FAILED
    return world


def aborted() -> ManualCluster:
    world = stuck(4, strategy=Percentages()).command(stop="2/ABORT").settle(1.0)
    assert world.state() is S.STOPPED
    return world


@pytest.mark.parametrize("world", [pytest.param(stalled, id="B4"), pytest.param(aborted, id="C2")])
def test_r7_the_revision_that_completed_before_follows_replicas(world: Any) -> None:
    """frozen-size: 4 -> 12 when stalled with ``rollback: false``, and after ``stop --abort``."""
    told = world()
    for replicas in (12, 1, 12, 0, 5):
        scale(told, replicas)
        assert told.sizes() == ({"v1": replicas} if replicas else {})
        assert told.healthy() == replicas
        assert "frozen" not in reason(told)


@pytest.mark.parametrize("world", [pytest.param(stalled, id="B4"), pytest.param(aborted, id="C2")])
def test_r7_it_comes_back_from_0_also_where_the_failed_replica_set_was_deleted(world: Any) -> None:
    """World 30000241: scaled to 0 for the night; nothing that has pods remembers ``replicas``."""
    told = world()
    del told.replica_sets[told.replica_set("v2").name]
    for replicas in (0, 5):
        scale(told, replicas)
        assert told.sizes() == ({"v1": replicas} if replicas else {})


def test_b3_without_scaling_nothing_grows() -> None:
    world = stalled(strategy=Percentages(50, 200), healthy=2)
    assert world.sizes() == {"v2": 2}
    world.settle(600.0)
    assert world.sizes() == {"v2": 2}


def test_r7_what_the_failed_revision_keeps_is_made_up_to_replicas() -> None:
    world = stalled(healthy=2)
    assert world.sizes() == {"v1": 2, "v2": 2}
    scale(world, 12)
    assert (world.sizes(), world.healthy()) == ({"v1": 10, "v2": 2}, 12)
    scale(world, 3)
    assert (world.sizes(), world.healthy()) == ({"v1": 3}, 3)


def test_r7_a_completed_revision_without_pods_grows_when_it_is_needed() -> None:
    world = scale(stalled(strategy=Percentages(50, 200), healthy=2), 12)
    assert (world.sizes(), world.healthy()) == ({"v1": 10, "v2": 2}, 12)


def test_r7_scaled_up_and_down_while_one_write_is_lost() -> None:
    """The marks are of different times; the sum is what counts."""
    world = scale(stalled(healthy=2), 12)
    old = world.replica_set("v1")
    world.replica_sets[old.name] = replace(old, sized_for=20)
    world.settle(1.0)
    assert world.sizes() == {"v1": 10, "v2": 2}


def test_r7_a_first_rollout_that_stalled_says_that_its_size_is_frozen_and_why() -> None:
    world = started(4).heal("v1", count=2).crash("v1", runs=3).settle(1.0)
    assert (world.state(), world.sizes()) == (S.FAILED, {"v1": 2})
    assert "frozen" not in reason(world)
    world.want(replicas=12).settle(1.0)
    assert world.sizes() == {"v1": 2}
    words = (
        "the size stays at 2 of 12 pods: nothing of revision 1 is launched any more, "
        "and no other revision has completed"
    )
    assert words in reason(world)
    for kind in ("Available", "Ready", "Stalled", "Progressing"):
        condition = world.condition(kind)
        assert condition is not None
        assert words in condition.message
    world.want(replicas=4).settle(1.0)
    assert "frozen" not in reason(world)


def test_r7_a_stalled_rollout_whose_replica_set_is_gone_says_that_its_size_is_frozen() -> None:
    """Nothing is left that remembers what it was sized for; nothing can be made of it either."""
    world = started(4).heal("v1", count=2).crash("v1", runs=3).settle(1.0)
    del world.replica_sets[world.replica_set("v1").name]
    world.want(replicas=12).settle(1.0)
    assert (world.state(), world.sizes()) == (S.FAILED, {})
    assert "the size stays at 0 of 12 pods: nothing of revision 1 is launched" in reason(world)
    world.want(replicas=0).settle(1.0)
    assert "frozen" not in reason(world)


def test_r7_beside_one_that_completed_a_replica_set_that_is_gone_freezes_nothing() -> None:
    world = stalled(healthy=2)
    del world.replica_sets[world.replica_set("v2").name]
    world.settle(1.0)
    assert "frozen" not in reason(world)
    before = world.sizes()["v1"]
    assert scale(world, 12).sizes() == {"v1": 12}
    assert before <= 4


def test_r7_what_was_frozen_follows_once_the_rollout_goes_on() -> None:
    world = started(4).heal("v1", count=2).crash("v1", runs=3).settle(1.0)
    world.want(replicas=12).settle(1.0).command(retry="again").settle(1.0)
    assert (world.state(), world.sizes()) == (S.IN_PROGRESS, {"v1": 12})
    assert "frozen" not in reason(world)


def test_r7_a_revision_that_failed_to_come_back_does_not_grow() -> None:
    """B5: ROLLBACK_FAILED; its target completed once, and has failed since."""
    world = completed(4).apply("v2").settle(1.0).heal("v2", count=2).settle(1.0)
    world.crash("v2", runs=3).settle(1.0)
    world.crash("v1", runs=3).settle(1.0)
    assert world.state() is S.ROLLBACK_FAILED
    before = world.sizes()
    world.want(replicas=12).settle(1.0)
    assert world.sizes() == before
    assert "the size stays" in reason(world)


def test_r7_several_healthy_revisions_are_scaled_in_proportion() -> None:
    """D1 came back half, D2 completed half, D3 stalled."""
    status = Status(
        Memory(
            rollout=rollout(3, S.FAILED, finished_at=1.0),
            desired_revision=3,
            last_completed_revision=2,
            circuit_breaker=Breaker(BreakerState.TRIGGERED),
            revisions=(
                revision(3, RolloutState.FAILED),
                revision(2),
                revision(1, RolloutState.STOPPED, completed_at=1.0),
            ),
        )
    )
    sets = [
        replica_set(number, *ready_pods(pods, f"v{number}"), sized_for=4, completed_at=1.0)
        for number, pods in ((2, 3), (1, 1))
    ]
    wish = guarded(12, template("v3"), status=status)
    assert sizes(decide(snapshot(wish, *sets), 2e9)) == {V2: 9, V1: 3}


def sizes(decision: Decision) -> dict[str, int]:
    return {a.name: a.size for a in decision.actions if isinstance(a, ScaleReplicaSet)}


def reason(world: ManualCluster) -> str:
    return world.status.report.rollout_state_reason
