"""Rules V: no verdict without evidence, and the clocks that stand still."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.builders import START, failed_pod, pending_pod, ready_pod, unready_pod
from tests.support.manual_cluster import ManualCluster
from tripswitch.domain.rules.health import LEAST_PATIENCE
from tripswitch.domain.rules.node_life import follow_lease
from tripswitch.domain.rules.sight import compute_due, merge_needs, merge_standstills
from tripswitch.domain.values.decision import Decision, DeletePod
from tripswitch.domain.values.node_life import Life, Renewal
from tripswitch.domain.values.pods import PodView
from tripswitch.domain.values.sight import (
    AGAIN_SECONDS,
    CURRENT,
    NEVER,
    UNKNOWN,
    Check,
    Need,
    Sight,
    Standstill,
)
from tripswitch.domain.values.states import RolloutStatus as S
from tripswitch.domain.values.workload import Percentages, Recreate

NODE = "node-1"


def see(as_of: float, *, lost: bool = False, looked: bool = True) -> Sight:
    """Return what a reading of the pods proves that was begun at a moment.

    Their node was alive then, unless it is lost; ``looked`` is False if nobody looked at a node.
    """
    life = Life(as_of, Renewal(as_of), since=as_of, alive_at=as_of, lost=lost)
    return Sight(as_of, {NODE: life} if looked else {})


def look_at_lease(seen_at: float, *, alive_at: float = -NEVER, since: float = 0.0) -> Life:
    return Life(seen_at, Renewal(0.0), since=since, alive_at=alive_at)


# --- the parts ------------------------------------------------------------------------------------

PODS = Need(pods=True)
LEASE = Need(frozenset({NODE}))


@pytest.mark.parametrize(
    ("sight", "due", "need"),
    [
        pytest.param(UNKNOWN, 100.0, LEASE, id="nothing is known"),
        pytest.param(see(150.0, looked=False), 100.0, LEASE, id="V3 nobody looked at its node"),
        pytest.param(see(99.999), 100.0, LEASE, id="known from before"),
        pytest.param(see(150.0, lost=True), 160.0, LEASE, id="V3 its node may be dead"),
        pytest.param(
            Sight(150.0, {NODE: look_at_lease(100.0)}),
            110.0,
            LEASE,
            id="V3 one look proves nothing",
        ),
        pytest.param(
            Sight(150.0, {NODE: look_at_lease(130.0, alive_at=99.999, since=130.0)}),
            140.0,
            LEASE,
            id="V3 it was alive just before",
        ),
        pytest.param(
            Sight(109.9, {NODE: look_at_lease(110.0, alive_at=100.0, since=110.0)}),
            110.0,
            PODS,
            id="V3 it is alive, and the pods are known from before its renewal",
        ),
    ],
)
def test_v3_silence_is_proof_only_of_a_node_that_was_alive_after_the_deadline(
    sight: Sight, due: float, need: Need
) -> None:
    assert not sight.confirms(100.0, NODE)
    assert sight.find_need(100.0, NODE) == (due, need)


@pytest.mark.parametrize(
    "sight",
    [
        pytest.param(see(100.0), id="from the very moment"),
        pytest.param(see(150.0), id="from later"),
        pytest.param(
            Sight(110.0, {NODE: look_at_lease(110.0, alive_at=100.0, since=110.0)}),
            id="it renewed its Lease after a look at the deadline",
        ),
        pytest.param(
            Sight(110.0, {NODE: look_at_lease(118.0, alive_at=100.0, since=110.0)}),
            id="a later look at the Lease takes nothing away",
        ),
        pytest.param(CURRENT, id="everything is known"),
    ],
)
def test_v1_a_deadline_is_confirmed_by_what_was_read_after_it(sight: Sight) -> None:
    assert sight.confirms(100.0, NODE)


def test_v1_pods_without_a_node_are_confirmed_by_a_reading_alone() -> None:
    assert UNKNOWN.find_need(100.0) == (100.0, PODS)
    assert not see(99.999, looked=False).confirms(100.0)
    assert see(100.0, looked=False).confirms(100.0)


@pytest.mark.parametrize(
    ("sight", "lost"),
    [
        pytest.param(see(100.0, lost=True), True, id="at the very moment"),
        pytest.param(see(99.999, lost=True), False, id="it was before, nobody looked since"),
        pytest.param(see(100.0), False, id="it is alive"),
        pytest.param(UNKNOWN, False, id="nobody looked"),
        pytest.param(CURRENT, False, id="all nodes are alive"),
    ],
)
def test_v3_a_node_is_lost_if_a_look_after_the_deadline_says_so(
    sight: Sight, *, lost: bool
) -> None:
    assert sight.has_lost(NODE, 100.0) is lost


def test_needs_of_several_rules_are_one() -> None:
    assert merge_needs([]) is None
    needs = [Need(frozenset("a")), Need(events=True), Need(frozenset("b"))]
    assert merge_needs(needs) == Need(frozenset("ab"), events=True)
    assert merge_needs([Need(frozenset("a")), PODS]) == Need(frozenset("a"), pods=True)


@pytest.mark.parametrize(
    ("stood", "due"),
    [
        pytest.param([], 160.0, id="none"),
        pytest.param([(0, 100)], 160.0, id="before"),
        pytest.param([(160, 200)], 160.0, id="after"),
        pytest.param([(90, 110)], 170.0, id="over the begin"),
        pytest.param([(120, 130)], 170.0, id="in the middle"),
        pytest.param([(150, 250)], 260.0, id="over the end"),
        pytest.param([(120, 130), (165, 175)], 180.0, id="a second one, due to the first"),
        pytest.param([(120, NEVER)], NEVER, id="it lasts"),
        pytest.param([(160.001, NEVER)], 160.0, id="it began a moment later"),
    ],
)
def test_v2_a_clock_stands_still_in_an_outage(stood: list[tuple[float, float]], due: float) -> None:
    assert compute_due(100.0, 60.0, tuple(Standstill(*one) for one in stood)) == due


def test_v2_standstills_that_overlap_are_one() -> None:
    found = [Standstill(5, 9), Standstill(1, 3), Standstill(3, 4), Standstill(8, NEVER)]
    assert merge_standstills(found) == (Standstill(1, 4), Standstill(5, NEVER))


# --- F4: a good rollout meets a fault -------------------------------------------------------------


def rolling(sight: Sight = UNKNOWN) -> ManualCluster:
    """Return a rollout whose second revision has four pods that run and are not Ready yet."""
    world = ManualCluster().roll_out("v1").apply("v2").settle()
    world.hang("v2")
    world.sight = sight
    return world


def failures(decision: Decision) -> list[str]:
    return [failure.cause.reason for failure in decision.failures]


def test_v1_a_silent_watch_is_no_failure_until_the_pods_were_read_anew() -> None:
    world = rolling()
    decision = world.look(LEAST_PATIENCE + 0.001)
    target = world.replica_set("v2")
    assert decision.check == Check(target.name, target.uid, frozenset({NODE}), pods=False)
    assert failures(decision) == []
    assert not any(isinstance(action, DeletePod) for action in decision.actions)
    world.heal("v2").settle()
    assert world.state() is S.SUCCESSFUL


def test_v1_what_the_new_list_shows_too_is_a_failure() -> None:
    world = rolling()
    world.look(LEAST_PATIENCE + 0.001)
    world.sight = see(world.now)
    decision = world.look(0.1)
    assert failures(decision) == ["NotReadyInTime"] * 4
    assert decision.check is None


def test_v3_the_lease_is_read_twice_and_the_pods_once() -> None:
    """One reading serves all pods; no node costs more than two looks while it is alive."""
    world = rolling()
    world.look(LEAST_PATIENCE + 0.001)
    deadline = world.now
    world.sight = Sight(lives={NODE: follow_lease(None, Renewal(7.0), deadline)})
    decision = world.look(0.1)
    assert decision.check is None
    assert decision.wake_at == deadline + AGAIN_SECONDS
    decision = world.look(AGAIN_SECONDS)
    target = world.replica_set("v2")
    assert decision.check == Check(target.name, target.uid, frozenset({NODE}), pods=False)
    assert world.sight.lives is not None
    renewed = follow_lease(world.sight.lives[NODE], Renewal(17.0), world.now)
    world.sight = Sight(lives={NODE: renewed})
    decision = world.look(0.1)
    assert decision.check == Check(target.name, target.uid)
    assert failures(decision) == []
    world.sight = replace(world.sight, as_of=world.now)
    assert failures(world.look(0.1)) == ["NotReadyInTime"] * 4


def test_v3_a_node_that_died_just_before_the_deadline_gives_no_verdict() -> None:
    """Its Lease was renewed 2 s before, and looks like that of a living node for 20 s."""
    world = rolling()
    world.look(LEAST_PATIENCE + 0.001)
    renewal, life = Renewal(world.now - 2.0), None
    for _ in range(30):
        life = follow_lease(life, renewal, world.now)
        world.sight = Sight(world.now, {NODE: life})
        assert failures(world.look(AGAIN_SECONDS)) == []
    assert world.breaker().failure_count == 0
    assert world.state() is S.IN_PROGRESS


def test_v1_while_nothing_can_be_read_there_is_no_verdict() -> None:
    world = rolling()
    for _ in range(9):
        decision = world.look(61.0)
        assert failures(decision) == []
        assert decision.check is not None
    assert world.state() is S.IN_PROGRESS


def test_v3_a_node_that_may_be_dead_is_asked_for_again_until_it_is_back() -> None:
    world = rolling()
    world.look(LEAST_PATIENCE + 0.001)
    world.sight = see(world.now, lost=True)
    decision = world.look()
    assert decision.check is None
    assert decision.wake_at == world.now + AGAIN_SECONDS
    assert world.look(AGAIN_SECONDS).check is not None
    assert world.breaker().failure_count == 0
    world.sight = see(world.now)
    assert failures(world.look(0.1)) == ["NotReadyInTime"] * 4


def test_v3_pods_of_a_dead_node_that_are_evicted_never_count() -> None:
    world = rolling(see(START + 1_000_000, lost=True))
    world.look(LEAST_PATIENCE + 0.001)
    world.become("v2", lambda name, now: replace(unready_pod(name, now), disrupted=True))
    assert failures(world.look(340.0)) == []


# --- P1: the clock --------------------------------------------------------------------------------


def test_v1_the_progress_deadline_waits_for_a_fresh_view_too() -> None:
    world = ManualCluster().roll_out("v1").apply("v2").settle()
    world.sight = UNKNOWN
    decision = world.look(600.0)
    assert world.state() is S.IN_PROGRESS
    assert decision.check is not None
    world.sight = see(world.now, looked=False)
    world.become("v2", lambda name, _: replace(pending_pod(name), node=""))
    world.look(0.1)
    assert world.state() is S.ROLLBACK_IN_PROGRESS


def test_v3_pods_of_dead_nodes_alone_do_not_end_a_rollout() -> None:
    """What takes their place has the whole deadline."""
    world = ManualCluster().roll_out("v1").apply("v2").settle()
    world.become("v2", lambda name, _: replace(pending_pod(name), node=NODE))
    world.sight = see(world.now + 600.0, lost=True)
    world.look(600.0)
    assert world.state() is S.IN_PROGRESS
    world.sight = see(world.now + 599.0)
    world.look(599.0)
    assert world.state() is S.IN_PROGRESS
    world.sight = see(world.now + 1.0)
    world.look(1.0)
    assert world.state() is S.ROLLBACK_IN_PROGRESS


def test_v3_one_living_node_is_enough_to_judge_a_rollout() -> None:
    world = ManualCluster().roll_out("v1").apply("v2").settle()
    world.become("v2", lambda name, _: replace(pending_pod(name), node="node-2"), 1)
    world.become("v2", lambda name, _: replace(pending_pod(name), node=NODE), 3)
    nodes, later = (NODE, "node-2"), world.now + 600.0
    found = world.replica_set("v2")
    pods = [
        replace(pod, node="node-2" if number else NODE) for number, pod in enumerate(found.pods)
    ]
    world.replica_sets[found.name] = replace(found, pods=tuple(pods))
    lives = {name: Life(later, since=later, alive_at=later, lost=name == NODE) for name in nodes}
    world.sight = Sight(later, lives)
    world.look(600.0)
    assert world.state() is S.ROLLBACK_IN_PROGRESS


def test_v2_an_outage_holds_the_progress_deadline() -> None:
    world = ManualCluster().roll_out("v1").apply("v2").settle()
    began = world.now
    world.sight = replace(CURRENT, standstills=(Standstill(began + 10, began + 350),))
    world.look(939.9)
    assert world.state() is S.IN_PROGRESS
    world.look(0.1)
    assert world.state() is S.ROLLBACK_IN_PROGRESS


def test_v2_while_an_outage_lasts_the_rollout_is_looked_at_from_time_to_time() -> None:
    world = ManualCluster().roll_out("v1").apply("v2").settle()
    world.sight = replace(CURRENT, standstills=(Standstill(world.now - 10),))
    decision = world.look(5_000.0)
    assert world.state() is S.IN_PROGRESS
    assert decision.wake_at == world.now + 10.0


def _unscheduled(name: str, _: float) -> PodView:
    return replace(pending_pod(name), node="", scheduled=False)


def test_p1_stands_still_while_the_scheduler_is_away() -> None:
    world = ManualCluster().roll_out("v1").apply("v2").settle()
    world.become("v2", _unscheduled).look(1.0)
    world.look(11 * 60.0)
    world.become("v2", lambda name, _: pending_pod(name)).look(1.0)
    assert world.state() is S.IN_PROGRESS
    world.look(598.0)
    assert world.state() is S.IN_PROGRESS
    world.look(2.0)
    assert world.state() is S.ROLLBACK_IN_PROGRESS


def test_p1_stands_still_while_the_replica_set_controller_is_away() -> None:
    world = ManualCluster().roll_out("v1").apply("v2").settle()
    found = world.replica_set("v2")
    world.replica_sets[found.name] = replace(found, pods=())
    world.look(1.0)
    world.look(11 * 60.0)
    assert world.state() is S.IN_PROGRESS


def test_p1_stands_still_while_the_next_step_is_ours() -> None:
    """Everything that was launched was healthy when the operator went away for eleven minutes."""
    world = (
        ManualCluster().want(replicas=10, strategy=Percentages(100, 130)).roll_out("v1").apply("v2")
    )
    world.settle().heal("v2")
    world.look(11 * 60.0)
    assert world.state() is S.IN_PROGRESS
    world.settle(1.0)
    assert len(world.replica_set("v2").pods) == 6
    world.look(598.0)
    assert world.state() is S.IN_PROGRESS, "the new pods have the whole deadline"


def test_p1_stands_still_while_recreate_waits_for_old_pods_and_says_so() -> None:
    world = ManualCluster().want(strategy=Recreate()).roll_out("v1").apply("v2")
    old = world.replica_set("v1")
    going = tuple(replace(ready_pod(name), deleting=True) for name in ("a", "b"))
    world.replica_sets[old.name] = replace(old, pods=going)
    world.look(1.0)
    assert (
        "an old pod that is still terminating (Recreate) (x2)"
        in world.status.report.rollout_state_reason
    )
    world.look(900.0)
    assert world.state() is S.IN_PROGRESS
    world.replica_sets[old.name] = replace(old, pods=())
    world.settle(1.0)
    world.heal("v2").settle(1.0)
    assert world.state() is S.SUCCESSFUL


def test_p1_runs_while_pods_fail_as_fast_as_they_are_made() -> None:
    """No look needs to see one that is alive."""
    world = ManualCluster().roll_out("v1").apply("v2").settle()
    found = world.replica_set("v2")
    rejected = tuple(failed_pod(f"x{number}", "NodeAffinity") for number in range(9))
    world.replica_sets[found.name] = replace(found, pods=rejected)
    world.look(599.0)
    assert world.state() is S.IN_PROGRESS
    world.look(1.0)
    assert world.state() is S.ROLLBACK_IN_PROGRESS


def test_r7_a_pause_ends_a_standstill_and_keeps_its_length() -> None:
    world = ManualCluster().roll_out("v1").apply("v2").settle()
    world.become("v2", _unscheduled).look(1.0)
    held_since = world.now
    world.look(100.0)
    world.want(paused=True).look(1.0)
    assert world.rollout.held_at is None
    assert world.rollout.progressed_at == pytest.approx(held_since - 1.0 + 101.0)


def test_p1_progress_while_the_clock_stands_still_gives_the_whole_deadline_and_no_more() -> None:
    world = ManualCluster().roll_out("v1").apply("v2").settle()
    world.become("v2", _unscheduled).look(1.0)
    found = world.replica_set("v2")
    first = replace(ready_pod(found.pods[0].name), ready_since=world.now)
    world.replica_sets[found.name] = replace(found, pods=(first, *found.pods[1:]))
    world.look(100.0)
    assert world.rollout.held_at is not None
    assert world.rollout.progressed_at == world.now
    world.look(200.0)
    world.become("v2", lambda name, _: replace(pending_pod(name), node=NODE)).look(0.0)
    assert world.rollout.progressed_at == world.now


def test_v4_the_mark_of_progress_does_not_fall_when_the_clock_is_set_back() -> None:
    world = ManualCluster().roll_out("v1").apply("v2").settle()
    before = world.rollout.progressed_at
    world.now -= 60.0
    world.heal("v2", 1).look(0.0)
    assert world.rollout.healthy_high_water == 1
    assert world.rollout.progressed_at == before
    world.want(paused=True).look(1.0)
    world.now -= 60.0
    world.want(paused=False).look(0.0)
    assert world.rollout.progressed_at == before


@pytest.mark.parametrize(
    ("stood", "proves"),
    [
        ((50, 99), True),
        ((50, 100), True),
        ((50, 101), False),
        ((100, 140), False),
        ((101, 140), True),
    ],
)
def test_v2_what_is_read_before_kubelets_have_reported_proves_nothing(
    stood: tuple[float, float], *, proves: bool
) -> None:
    sight = replace(see(100.0), standstills=(Standstill(*stood),))
    assert sight.confirms(40.0, NODE) is proves
    if not proves:
        assert sight.find_need(40.0, NODE) == (stood[1], PODS)


def test_v2_after_a_restart_a_deadline_that_passed_in_an_outage_waits_for_the_kubelets() -> None:
    """The process that knew of the outage is gone; what is known is when this one began to lead."""
    world = rolling()
    world.look(LEAST_PATIENCE + 200.0)
    world.sight = replace(see(world.now), standstills=(Standstill(world.now - 1, world.now + 40),))
    decision = world.look()
    assert failures(decision) == []
    assert decision.check is None
    assert decision.wake_at == world.now + 40
    world.sight = replace(world.sight, as_of=world.now + 40)
    assert failures(world.look(40.0)) == ["NotReadyInTime"] * 4


def test_v2_the_progress_deadline_waits_for_the_kubelets_too() -> None:
    world = ManualCluster().roll_out("v1").apply("v2").settle()
    world.sight = see(world.now + 700.0, looked=False)
    stood = Standstill(world.now + 699, world.now + 740)
    world.sight = replace(world.sight, standstills=(stood,))
    world.become("v2", lambda name, _: replace(pending_pod(name), node=""))
    decision = world.look(700.0)
    assert world.state() is S.IN_PROGRESS
    assert decision.check is None
    assert decision.wake_at == stood.ended
    assert world.look(40.0).check is not None
    world.sight = replace(world.sight, as_of=world.now)
    world.look()
    assert world.state() is S.ROLLBACK_IN_PROGRESS
