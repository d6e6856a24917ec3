"""The one way through: actions, their order, W1 and W3, and when to look again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.builders import (
    START,
    breaker_spec,
    crashing_pod,
    guarded,
    pending_pod,
    ready_pod,
    ready_pods,
    replica_set,
    replica_set_name,
    revision,
    rollout,
    snapshot,
    stuck_pod,
    template,
    terminating,
    unready_pod,
)
from tests.support.invariants import check_decision
from tests.support.manual_cluster import ManualCluster, assert_settled, completed, started
from tripswitch.domain.decide import decide
from tripswitch.domain.rules.health import FIRST_PATIENCE, LEAST_PATIENCE
from tripswitch.domain.values.decision import (
    AdoptReplicaSet,
    CreateReplicaSet,
    DeletePod,
    DeleteReplicaSet,
    MarkCompleted,
    ReleaseReplicaSet,
    ScaleReplicaSet,
)
from tripswitch.domain.values.memory import Memory
from tripswitch.domain.values.pods import PodView
from tripswitch.domain.values.replica_sets import CreateError
from tripswitch.domain.values.snapshot import Snapshot
from tripswitch.domain.values.states import Reason, RolloutState, RolloutStatus
from tripswitch.domain.values.status import Status
from tripswitch.domain.values.workload import Percentages, Recreate

S = RolloutStatus
V1, V2, V3 = (replica_set_name(template(version)) for version in ("v1", "v2", "v3"))


def going(world: ManualCluster) -> dict[str, int]:
    """Return the sizes that the next look asks for, by template."""
    names = {rs.name: rs.template.digest for rs in world.replica_sets.values()}
    decision = decide(world.snapshot, world.now)
    return {names[a.name]: a.size for a in decision.actions if isinstance(a, ScaleReplicaSet)}


# --- W1, W3 ---------------------------------------------------------------------------------------


def test_w3_nothing_is_decided_about_a_fleet_in_which_nothing_changed() -> None:
    world = completed()
    before = world.status
    decision = world.look(86_400.0)
    assert decision.status == before
    assert (decision.actions, decision.events, decision.failures) == ((), (), ())
    assert decision.wake_at is None


@pytest.mark.parametrize(
    "world",
    [
        pytest.param(ManualCluster(), id="an object never looked at"),
        pytest.param(ManualCluster(guarded=guarded(0)), id="no replicas"),
        pytest.param(ManualCluster(guarded=guarded(paused=True)), id="paused"),
        pytest.param(started().crash("v1"), id="it trips and stalls"),
        pytest.param(completed().apply("v2").settle().crash("v2"), id="it trips and goes back"),
        pytest.param(completed().apply("v2"), id="another template"),
        pytest.param(started().heal("v1"), id="it completes"),
        pytest.param(completed().command(retry="x", stop="1/ABORT"), id="commands"),
    ],
)
def test_w1_a_second_look_at_the_same_snapshot_finds_nothing_more(world: ManualCluster) -> None:
    now = world.now + 7.0
    first = decide(world.snapshot, now)
    assert first.status != world.status
    written = replace(world.snapshot, guarded=replace(world.guarded, status=first.status))
    assert_settled(first, decide(written, now))
    assert check_decision(world.snapshot, first, now) == []


def test_w1_the_same_snapshot_and_moment_give_the_same_decision() -> None:
    world = completed().apply("v2").settle(1.0).crash("v2")
    assert decide(world.snapshot, START + 60) == decide(world.snapshot, START + 60)


def test_w1_actions_carry_the_version_that_was_looked_at() -> None:
    world = completed().apply("v2").settle(1.0).heal("v2")
    found = world.replica_set("v1")
    world.replica_sets[found.name] = replace(found, resource_version="4711")
    [action] = decide(world.snapshot, world.now).actions
    assert action == ScaleReplicaSet(V1, f"uid-{V1}", "4711", 0, sized_for=4)


def test_w1_the_observed_generation_is_that_of_the_snapshot() -> None:
    world = ManualCluster(guarded=guarded(generation=7))
    world.look()
    assert world.status.memory.observed_generation == 7


# --- sizes ----------------------------------------------------------------------------------------


def test_the_first_look_creates_the_replica_set() -> None:
    decision = decide(snapshot(), START)
    assert decision.actions == (CreateReplicaSet(V1, 1, 4, sized_for=4),)


def test_a_create_that_did_not_get_through_is_decided_again() -> None:
    first = decide(snapshot(), START)
    again = decide(snapshot(guarded(status=first.status)), START + 5)
    assert again.actions == first.actions
    assert again.status == first.status


def test_r3_the_new_replica_set_is_made_as_large_as_u_allows() -> None:
    world = completed(strategy=Percentages(100, 150)).apply("v2")
    decision = world.look(1.0)
    assert decision.actions == (CreateReplicaSet(V2, 2, 2, sized_for=4),)


def test_r3_raising_comes_before_lowering() -> None:
    world = completed(strategy=Percentages(50, 150)).apply("v2").settle(1.0).heal("v2", count=2)
    old, new = world.replica_set("v1"), world.replica_set("v2")
    world.replica_sets[old.name] = replace(old, size=3, pods=ready_pods(3))
    world.replica_sets[new.name] = replace(new, size=2, pods=new.pods[:2])
    decision = decide(world.snapshot, world.now)
    assert [(a.name, a.size) for a in decision.actions if isinstance(a, ScaleReplicaSet)] == [
        (V2, 3),
        (V1, 0),
    ]


def test_r3_a_whole_rolling_update_keeps_the_bounds() -> None:
    world = completed(replicas=10, strategy=Percentages(80, 130)).apply("v2")
    for _ in range(30):
        world.settle(1.0)
        live = sum(p.live for rs in world.replica_sets.values() for p in rs.pods)
        assert live <= 13
        assert world.healthy() >= 8
        world.heal("v2", count=1)
    assert (world.state(), world.sizes()) == (S.SUCCESSFUL, {"v2": 10})


def test_r3_what_failed_goes_before_what_completed_and_older_before_newer() -> None:
    records = (
        revision(4, RolloutState.IN_PROGRESS),
        revision(3, RolloutState.FAILED),
        revision(2, RolloutState.COMPLETED),
        revision(1, RolloutState.STOPPED),
    )
    status = Status(
        Memory(rollout=rollout(4), desired_revision=4, last_completed_revision=2, revisions=records)
    )
    sets = [replica_set(number, *ready_pods(1, f"v{number}")) for number in (2, 3, 1)]
    sizes = []
    for healthy in range(4):
        target = replica_set(4, *ready_pods(healthy, "v4"), *_pending(3 - healthy))
        seen = snapshot(guarded(3, template("v4"), status=status), target, *sets)
        actions = decide(seen, START).actions
        sizes.append([a.name for a in actions if isinstance(a, ScaleReplicaSet)])
    names = [replica_set_name(template(version)) for version in ("v1", "v3", "v2")]
    assert [sorted(gone) for gone in sizes] == [sorted(names[:number]) for number in range(4)]


def _pending(count: int) -> tuple[PodView, ...]:
    return tuple(pending_pod(f"pending{number}") for number in range(count))


def test_r3_a_replica_set_without_a_number_goes_first() -> None:
    stranger = replica_set(0, *ready_pods(1, "x"), of=template("unknown"))
    world = completed(strategy=Percentages(100, 200)).apply("v2").settle(1.0)
    world.replica_sets[stranger.name] = stranger
    world.heal("v2", count=1)
    assert going(world) == {"unknown": 0, "v1": 3}


def test_r3_one_that_history_does_not_know_goes_before_all_that_it_does() -> None:
    records = (
        revision(3, RolloutState.IN_PROGRESS),
        revision(2),
        revision(1, RolloutState.FAILED),
    )
    status = Status(
        Memory(rollout=rollout(3), desired_revision=3, last_completed_revision=2, revisions=records)
    )
    sets = [replica_set(number, *ready_pods(1, f"v{number}")) for number in (2, 1)]
    stranger = replica_set(0, *ready_pods(1, "x"), of=template("unknown"))
    target = replica_set(3, *ready_pods(1, "v3"), *_pending(2))
    seen = snapshot(guarded(3, template("v3"), status=status), target, *sets, stranger)
    actions = decide(seen, START).actions
    assert [a.name for a in actions if isinstance(a, ScaleReplicaSet)] == [stranger.name]


def test_r1_recreate_takes_all_old_pods_before_any_new_one() -> None:
    world = completed(strategy=Recreate()).apply("v2")
    world.look(1.0)
    assert world.sizes() == {}
    old = world.replica_set("v1")
    world.replica_sets[old.name] = replace(old, pods=(terminating(ready_pod("last")),))
    world.look(1.0)
    assert world.sizes() == {}
    world.replica_sets[old.name] = replace(old, pods=())
    world.look(1.0)
    assert world.sizes() == {"v2": 4}


def test_r4_scaling_applies_at_once_whatever_the_rollout_does() -> None:
    world = completed().apply("v2").settle(1.0)
    world.want(replicas=6).settle(1.0)
    assert world.sizes() == {"v1": 6, "v2": 6}
    world.heal("v1")
    world.want(replicas=3).settle(1.0)
    assert world.sizes() == {"v1": 3, "v2": 3}


def test_r4_a_completed_fleet_follows_replicas_without_a_rollout() -> None:
    world = completed()
    before = world.rollout
    for replicas in (9, 1, 4):
        world.want(replicas=replicas).settle(1.0)
        assert world.sizes() == {"v1": replicas}
    assert world.rollout == before


def test_a_replica_set_scaled_by_hand_is_set_right() -> None:
    world = completed()
    found = world.replica_set("v1")
    world.replica_sets[found.name] = replace(found, size=9)
    world.settle(1.0)
    assert world.sizes() == {"v1": 4}


def test_a_replica_set_that_is_being_deleted_is_left_alone() -> None:
    world = completed().apply("v2").settle(1.0).heal("v2")
    found = world.replica_set("v1")
    world.replica_sets[found.name] = replace(found, deleting=True)
    assert decide(world.snapshot, world.now).actions == ()


def test_r3_pods_of_a_replica_set_that_is_being_deleted_are_not_relied_on() -> None:
    """The two pods of v2 are all that is left for sure; those of v1 will go any moment."""
    world = completed(2, strategy=Percentages(100, 200)).apply("v2").settle()
    world.heal("v2")
    leaving = world.replica_set("v1")
    world.replica_sets[leaving.name] = replace(leaving, deleting=True)
    world.apply("v3").look()
    assert world.replica_set("v2").size == 2
    assert world.healthy() == 4


def test_r1_a_fleet_of_recreate_without_a_pod_is_not_available() -> None:
    world = completed(2, strategy=Recreate())
    assert world.condition("Available").status  # type: ignore[union-attr]
    found = world.replica_set("v1")
    world.replica_sets[found.name] = replace(found, pods=())
    world.look()
    assert not world.condition("Available").status  # type: ignore[union-attr]
    assert not world.condition("Ready").status  # type: ignore[union-attr]


def test_a_rollout_goes_on_when_an_orphan_of_its_template_turns_up_under_another_name() -> None:
    """After a hash collision, and an object made anew before its orphans could be seen."""
    world = started(2)
    orphan = replica_set(4, of=template("v1"), name="shop-after-collision", uid="other")
    world.replica_sets[orphan.name] = replace(orphan, owned=False)
    world.settle()
    assert (world.rollout.revision, world.state()) == (1, RolloutStatus.IN_PROGRESS)
    assert "RolloutStopped" not in world.events
    assert [r.revision for r in world.status.memory.revisions] == [4, 1]


def test_b3_a_stalled_first_revision_that_never_was_created_is_not_created() -> None:
    world = ManualCluster()
    world.look()
    world.replica_sets.clear()
    world.command(stop="1/ABORT")
    assert world.look(1.0).actions == ()
    assert world.state() is S.STOPPED


def test_b3_when_a_revision_stalls_all_others_keep_what_they_have() -> None:
    world = completed().apply("v2").settle(1.0)
    world.heal("v2", count=2).settle(1.0)
    assert world.sizes() == {"v1": 2, "v2": 4}
    world.command(stop="2/ABORT").settle(1.0)
    assert world.sizes() == {"v1": 2, "v2": 2}


def test_r7_in_a_pause_nothing_is_created() -> None:
    world = ManualCluster()
    world.look()
    world.replica_sets.clear()
    world.want(paused=True)
    assert world.look(1.0).actions == ()


def test_r7_what_a_size_was_decided_for_is_written_also_if_the_size_stays() -> None:
    world = completed(replicas=10, strategy=Percentages(50, 100)).apply("v2").settle(1.0)
    assert world.sizes() == {"v1": 5, "v2": 5}
    world.want(replicas=11)
    actions = [a for a in world.look(1.0).actions if isinstance(a, ScaleReplicaSet)]
    assert sorted((a.size, a.sized_for) for a in actions) == [(5, 11), (6, 11)]
    assert world.look(1.0).actions == ()


def test_r7_a_paused_fleet_is_lowered_only_as_far_as_is_safe() -> None:
    world = completed().want(paused=True).apply("v2").settle(1.0).want(replicas=2)
    found = world.replica_set("v1")
    # Only two of the three Ready pods have been it for long enough.
    fresh = ready_pod("fresh", world.now + 0.5)
    pods = (*found.pods[:2], fresh, unready_pod("up"))
    world.replica_sets[found.name] = replace(found, pods=pods)
    world.want(min_ready_seconds=1)
    world.now += 1.0
    assert going(world) == {"v1": 3}


def test_b8_a_replica_set_is_not_made_again_before_its_name_is_free() -> None:
    world = completed()
    found = world.replica_set("v1")
    world.replica_sets[found.name] = replace(found, deleting=True)
    assert world.look(1.0).actions == ()
    world.forget_replica_set("v1")
    assert [type(a) for a in world.look(1.0).actions] == [CreateReplicaSet]


# --- adoption -------------------------------------------------------------------------------------


def test_an_orphan_that_carries_our_marks_is_adopted_and_then_scaled() -> None:
    world = completed()
    found = world.replica_set("v1")
    world.replica_sets[found.name] = replace(found, owned=False, size=2)
    assert world.look(1.0).actions == (AdoptReplicaSet(V1, f"uid-{V1}", "1"),)
    assert world.look(1.0).actions == (ScaleReplicaSet(V1, f"uid-{V1}", "1", 4, sized_for=4),)


def test_an_orphan_that_is_being_deleted_is_not_adopted() -> None:
    world = completed().apply("v2").settle(1.0)
    found = world.replica_set("v1")
    world.replica_sets[found.name] = replace(found, owned=False, deleting=True)
    assert not any(isinstance(a, AdoptReplicaSet) for a in world.look(1.0).actions)


def test_w5_a_replica_set_that_left_the_selector_is_released_and_counts_no_more() -> None:
    world = completed().apply("v2").settle(1.0).relabel_replica_set("v1")
    stray = world.strays[V1]
    assert ReleaseReplicaSet(V1, stray.uid, stray.resource_version) in world.look(1.0).actions
    assert world.status.memory.last_completed_revision is None
    assert world.strays == {}
    world.crash("v2").settle(1.0)
    assert (world.state(), world.rollout.reason) == (S.FAILED, Reason.NO_COMPLETED_REVISION)


def test_w5_the_wanted_revision_gets_another_replica_set_beside_the_released_one() -> None:
    world = completed()
    world.relabel_replica_set("v1")
    made = world.look(1.0).actions
    assert [type(action) for action in made] == [ReleaseReplicaSet, CreateReplicaSet]
    world = completed().relabel_replica_set("v1")
    world.create_error = CreateError("v1", V1, name_taken=True)
    _, create = world.look(1.0).actions
    assert isinstance(create, CreateReplicaSet)
    assert create.name != V1
    world.create_error = None
    assert world.settle(1.0).sizes() == {"v1": 4}
    assert world.status.memory.last_completed_revision == 1


def test_w5_a_released_replica_set_that_matches_again_is_adopted() -> None:
    world = completed().apply("v2").settle(1.0)
    found = world.replica_set("v1")
    world.relabel_replica_set("v1").look(1.0)
    world.replica_sets[V1] = replace(found, owned=False)
    adopted = AdoptReplicaSet(V1, found.uid, found.resource_version)
    assert adopted in world.look(1.0).actions
    assert "v1" in [record.digest for record in world.status.memory.revisions]


def test_w5_one_that_is_being_deleted_is_left_alone() -> None:
    world = completed().apply("v2").settle(1.0).relabel_replica_set("v1")
    world.strays[V1] = replace(world.strays[V1], deleting=True)
    assert not any(isinstance(action, ReleaseReplicaSet) for action in world.look(1.0).actions)


# --- F4 -------------------------------------------------------------------------------------------


def late_world(*pods: PodView, **fields: Any) -> ManualCluster:
    """Return a world whose first rollout has these pods."""
    world = started(breaker=breaker_spec(100), **fields)
    found = world.replica_set("v1")
    world.replica_sets[found.name] = replace(found, pods=pods, size=len(pods))
    world.want(replicas=len(pods))
    return world


def replaced(world: ManualCluster, later: float = 0.0) -> list[str]:
    """Return the names of the pods that a look replaces."""
    actions = decide(world.snapshot, world.now + later).actions
    return [a.name for a in actions if isinstance(a, DeletePod)]


def test_f4_only_late_pods_of_the_target_are_replaced() -> None:
    world = late_world(
        unready_pod("late", START - 300),
        unready_pod("slow", START - 260),
        ready_pod("fine"),
        crashing_pod("bad"),
        stuck_pod("stuck"),
        replace(unready_pod("moved", START - 300), disrupted=True),
        terminating(unready_pod("going", START - 300)),
        unready_pod("lost", START - 300, unready_by_node=True),
    )
    assert replaced(world) == ["late"]


def test_f4_a_late_pod_is_named_by_its_uid_and_version() -> None:
    world = late_world(unready_pod("late", START - 300, resource_version="77"))
    assert DeletePod("late", "uid-late", "77") in decide(world.snapshot, world.now).actions


def test_f4_a_pod_that_was_counted_and_became_ready_after_all_is_kept() -> None:
    world = late_world(unready_pod("late", START - 300))
    first = decide(world.snapshot, world.now)
    world.guarded = replace(world.guarded, status=first.status)
    world.heal("v1")
    assert replaced(world) == []


def test_f4_a_pod_that_was_counted_and_lost_its_readiness_again_has_its_budget() -> None:
    world = late_world(unready_pod("late", START - 300))
    first = decide(world.snapshot, world.now)
    world.guarded = replace(world.guarded, status=first.status)
    world.become("v1", lambda name, _: unready_pod(name, START - 300, unready_since=START))
    assert replaced(world, LEAST_PATIENCE - 1.0) == []
    assert replaced(world, LEAST_PATIENCE) == ["late"]


def test_f4_a_late_pod_from_before_the_rollout_is_replaced_and_not_counted() -> None:
    world = completed(strategy=Percentages(50, 100)).apply("v2").settle(1.0)
    old = world.replica_set("v1")
    sick = unready_pod("sick", START - 60, unready_since=START - 300)
    world.replica_sets[old.name] = replace(old, pods=(old.pods[0], sick))
    decision = world.crash("v2", runs=2).look(1.0)
    assert world.state() is S.ROLLBACK_IN_PROGRESS
    assert [a.name for a in decision.actions if isinstance(a, DeletePod)] == ["sick"]
    assert world.breaker().failure_count == 0


def test_f4_no_pod_is_replaced_in_a_pause_or_once_the_rollout_is_over() -> None:
    late = unready_pod("late", START - 300)
    assert replaced(late_world(late).want(paused=True)) == []
    world = completed(replicas=1)
    found = world.replica_set("v1")
    world.replica_sets[found.name] = replace(found, pods=(late,))
    assert replaced(world, 900.0) == []


def test_f4_with_the_breaker_disabled_no_pod_is_replaced() -> None:
    world = late_world(unready_pod("late", START - 300)).want(breaker=breaker_spec(enable=False))
    assert replaced(world) == []


# --- W2 -------------------------------------------------------------------------------------------


def test_w2_the_completion_is_written_onto_the_replica_set() -> None:
    world = started().heal("v1")
    decision = world.look(1.0)
    assert decision.actions == (MarkCompleted(V1, f"uid-{V1}", "1", world.now),)
    assert world.look(1.0).actions == ()


def test_w2_a_completion_that_did_not_get_through_is_written_again() -> None:
    world = completed()
    found = world.replica_set("v1")
    world.replica_sets[found.name] = replace(found, completed_at=None)
    assert [type(a) for a in world.look(60.0).actions] == [MarkCompleted]


def test_w2_a_completed_revision_without_its_replica_set_is_marked_nowhere() -> None:
    world = completed().forget_replica_set("v1")
    assert [type(a) for a in decide(world.snapshot, world.now).actions] == [CreateReplicaSet]


# --- B8 -------------------------------------------------------------------------------------------


def test_b8_a_completed_revision_that_cannot_be_made_again_is_forgotten() -> None:
    world = completed().apply("v2").settle(1.0).forget_replica_set("v1")
    world.look(1.0)
    assert world.status.memory.last_completed_revision is None


def test_b8_one_that_history_does_not_know_is_forgotten() -> None:
    world = completed().apply("v2").settle(1.0)
    world.guarded = replace(
        world.guarded,
        status=replace(
            world.status, memory=replace(world.status.memory, last_completed_revision=7)
        ),
    )
    decision = decide(world.snapshot, world.now)
    assert decision.status.memory.last_completed_revision is None


# --- pruning --------------------------------------------------------------------------------------


def test_history_is_pruned_down_to_its_limit() -> None:
    world = completed(revision_history_limit=2)
    for version in ("v2", "v3", "v4", "v5"):
        world.roll_out(version)
    world.settle(1.0)
    assert sorted(rs.template.digest for rs in world.replica_sets.values()) == ["v3", "v4", "v5"]
    assert [r.revision for r in world.status.memory.revisions] == [5, 4, 3]


def test_history_keeps_the_last_completed_and_the_failed_desired_revision() -> None:
    world = completed(revision_history_limit=0)
    world.apply("v2").settle(1.0).crash("v2").settle(1.0)
    assert sorted(rs.template.digest for rs in world.replica_sets.values()) == ["v1", "v2"]
    world.roll_out("v3").settle(1.0)
    assert [rs.template.digest for rs in world.replica_sets.values()] == ["v3"]


def test_pruning_carries_the_version_that_was_looked_at() -> None:
    world = completed().roll_out("v2").want(revision_history_limit=0)
    assert world.look(1.0).actions == (DeleteReplicaSet(V1, f"uid-{V1}", "1"),)


def test_a_replica_set_is_not_pruned_in_the_look_that_makes_it_the_target_again() -> None:
    # Its old record was forgotten while its pods were terminating, then its template came back.
    old = replica_set(2, size=0)
    status = Status(
        Memory(
            rollout=rollout(4, S.SUCCESSFUL),
            desired_revision=4,
            last_completed_revision=4,
            revisions=(revision(4), revision(3, RolloutState.STOPPED)),
        )
    )
    running = replica_set(4, *ready_pods(4), completed_at=START)
    wish = guarded(4, template("v2"), status=status, revision_history_limit=0)
    decision = decide(snapshot(wish, running, old), START + 60)
    assert ScaleReplicaSet(V2, f"uid-{V2}", "1", 4, sized_for=4) in decision.actions
    assert [a for a in decision.actions if isinstance(a, DeleteReplicaSet)] == []


# --- waking ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "seconds"),
    [
        pytest.param(
            snapshot(guarded(4), replica_set(1, pending_pod(), size=4)),
            600.0,
            id="P1 the progress deadline",
        ),
        pytest.param(snapshot(), None, id="P1 stands still before there are pods"),
        pytest.param(snapshot(guarded(progress_deadline=0)), None, id="nothing to wait for"),
        pytest.param(snapshot(guarded(paused=True)), None, id="R7 a pause has no end of its own"),
        pytest.param(
            snapshot(guarded(4), replica_set(1, stuck_pod(), size=4)), 5.0, id="F2 its events"
        ),
        pytest.param(
            snapshot(guarded(4), replica_set(1, unready_pod(), size=4)), 5.0, id="S1 RUNNING"
        ),
        pytest.param(
            snapshot(guarded(4), replica_set(1, unready_pod("a", START - 6), size=4)),
            FIRST_PATIENCE - 6.0,
            id="F4 a health deadline",
        ),
        pytest.param(
            snapshot(
                guarded(4, min_ready_seconds=30),
                replica_set(1, ready_pod("a", START - 6), size=4),
            ),
            24.0,
            id="H1 a pod settles",
        ),
        pytest.param(
            snapshot(
                guarded(4, template("v2"), min_ready_seconds=30),
                replica_set(1, ready_pod("a", START - 6), size=4),
            ),
            24.0,
            id="H1 a pod of another revision settles",
        ),
    ],
)
def test_the_next_look_is_asked_for_when_time_alone_changes_something(
    seen: Snapshot, seconds: float | None
) -> None:
    wake_at = decide(seen, START).wake_at
    assert wake_at == (None if seconds is None else START + seconds)


def test_h1_a_pod_that_settles_is_waited_for_also_when_nothing_is_watched() -> None:
    world = completed(min_ready_seconds=10)
    found = world.replica_set("v1")
    again = ready_pod("again", world.now)
    world.replica_sets[found.name] = replace(found, pods=(*found.pods[1:], again))
    assert world.look().wake_at == world.now + 10.0


def test_the_memory_of_pods_is_written_only_while_it_is_of_use() -> None:
    world = started().crash("v1", count=1)
    world.look(1.0)
    assert world.breaker().counted != ()
    world.command(stop="1/ABORT").look(1.0)
    assert world.breaker().counted == ()
