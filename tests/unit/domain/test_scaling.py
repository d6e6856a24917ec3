"""Rules R1 to R5 and B3 in numbers: bounds, the next sizes, and when a rollout is complete."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from tests.support.builders import (
    START,
    crashing_pod,
    failed_pod,
    pending_pod,
    ready_pod,
    ready_pods,
    replica_set,
    spec,
    template,
    terminating,
    unready_pod,
)
from tripswitch.domain.rules.bounds import Bounds, compute_bounds, compute_needed
from tripswitch.domain.rules.pod_counts import PodCounts, count_pods
from tripswitch.domain.rules.scaling import is_complete, lower, resize, roll, take_in_order
from tripswitch.domain.values.pods import PodPhase
from tripswitch.domain.values.workload import Amount, Percentages, Recreate, RollingUpdate, Strategy


def percent(value: int) -> Amount:
    return Amount(value, percent=True)


def full(name: str, size: int, healthy: int | None = None, ready: int | None = None) -> PodCounts:
    """Return a ReplicaSet whose pods all are there; all healthy unless it is said otherwise."""
    best = size if healthy is None else healthy
    return PodCounts(name, size, size, best if ready is None else ready, best, gone=size == 0)


# --- R1, R2 ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("strategy", "replicas", "lower", "upper"),
    [
        pytest.param(Percentages(), 4, 4, 8, id="R1 the defaults: 100 and 200"),
        pytest.param(Percentages(50, 200), 3, 2, 6, id="R1 minimumHealthyPercent rounds up"),
        pytest.param(Percentages(100, 150), 3, 3, 4, id="R1 maximumPercent rounds down"),
        pytest.param(Percentages(0, 100), 4, 0, 4, id="R1 stop before start"),
        pytest.param(Percentages(50, 100), 4, 2, 4, id="R1 no pod more than replicas"),
        pytest.param(Percentages(100, 100), 4, 4, 5, id="R2 100/100 would stall in ECS"),
        pytest.param(Percentages(100, 110), 4, 4, 5, id="R2 rounding leaves no room"),
        pytest.param(Percentages(90, 100), 4, 4, 5, id="R2 also from below"),
        pytest.param(Percentages(100, 125), 4, 4, 5, id="R2 not needed: 125 % of 4 is 5"),
        pytest.param(Percentages(100, 125), 1, 1, 2, id="R2 with one replica"),
        pytest.param(Percentages(150, 200), 4, 4, 8, id="never more healthy than replicas"),
        pytest.param(Percentages(50, 50), 4, 2, 4, id="never fewer pods than replicas"),
        pytest.param(Percentages(), 0, 0, 0, id="R6 no replicas, no bounds"),
        pytest.param(RollingUpdate(), 10, 8, 13, id="R1 a Deployment's defaults"),
        pytest.param(
            RollingUpdate(percent(25), percent(25)), 3, 3, 4, id="surge up, unavailable down"
        ),
        pytest.param(RollingUpdate(Amount(2), Amount(1)), 4, 3, 6, id="numbers of pods"),
        pytest.param(RollingUpdate(Amount(0), Amount(0)), 4, 3, 4, id="both 0: one unavailable"),
        pytest.param(RollingUpdate(Amount(0), percent(25)), 3, 2, 3, id="both round to 0"),
        pytest.param(RollingUpdate(Amount(0), Amount(9)), 4, 0, 4, id="more than there are"),
        pytest.param(RollingUpdate(Amount(0), percent(100)), 4, 0, 4, id="all of them"),
        pytest.param(RollingUpdate(percent(200), Amount(0)), 4, 4, 12, id="a large surge"),
        pytest.param(RollingUpdate(), 0, 0, 0, id="R6 a Deployment's strategy with no replicas"),
        pytest.param(Recreate(), 4, 0, 4, id="R1 Recreate"),
        pytest.param(Recreate(), 0, 0, 0, id="R6 Recreate with no replicas"),
    ],
)
def test_r1_the_bounds_of_a_rolling_update(
    strategy: Strategy, replicas: int, lower: int, upper: int
) -> None:
    assert compute_bounds(strategy, replicas) == Bounds(lower, upper)


def test_r2_there_always_is_room_to_move() -> None:
    for low, high, replicas in product(range(0, 101, 7), range(100, 201, 7), range(1, 30)):
        bounds = compute_bounds(Percentages(low, high), replicas)
        assert bounds.lower <= replicas <= bounds.upper
        assert bounds.lower < bounds.upper


# --- all_counts ---------------------------------------------------------------------------------------


def test_pod_counts_are_a_replica_set_in_numbers() -> None:
    found = replica_set(
        1,
        ready_pod("healthy", START - 40),
        ready_pod("ready", START),
        unready_pod("up"),
        pending_pod("new"),
        terminating(ready_pod("going", START - 40)),
        failed_pod("gone"),
        size=6,
        of=template("v1", probed=False),
    )
    assert count_pods(found, spec(), START) == PodCounts(
        found.name,
        size=6,
        live=4,
        ready=2,
        healthy=1,
        unhealthy=found.pods[1:4],
        gone=False,
        running=3,
        served=2,
        next_healthy_at=START + 40,
        starting=2,
    )
    later = count_pods(found, spec(min_ready_seconds=0), START)
    assert (later.healthy, later.next_healthy_at) == (2, None)


def test_h1_a_pod_is_healthy_at_the_very_moment() -> None:
    found = replica_set(1, ready_pod(), of=template("v1", probed=False))
    young, old = (count_pods(found, spec(), START + age) for age in (39.999, 40))
    assert (young.healthy, young.next_healthy_at) == (0, START + 40)
    assert (old.healthy, old.next_healthy_at) == (1, None)


def test_f4_pods_that_lost_their_readiness_are_late_after_their_budget_or_60_s() -> None:
    lost = unready_pod("lost", START, unready_since=START)
    found = replica_set(1, lost, unready_pod("never"), crashing_pod("crashed", unready_since=START))

    def count(seconds: float, budget: float) -> tuple[int, int, float | None]:
        of = replace(found, template=template("v1", budget=budget))
        counts = count_pods(of, spec(), START + seconds)
        return counts.served, counts.returning, counts.next_late_at

    assert count(59.999, 30.0) == (1, 1, START + 60)
    assert count(60.0, 30.0) == (1, 0, None)
    assert count(60.0, 90.0) == (1, 1, START + 90)


@pytest.mark.parametrize(
    ("pods", "gone"),
    [
        pytest.param([], True, id="no pod"),
        pytest.param([failed_pod("f")], True, id="a failed one"),
        pytest.param([ready_pod(phase=PodPhase.SUCCEEDED)], True, id="one that succeeded"),
        pytest.param([terminating(ready_pod("t"))], False, id="one that is terminating"),
        pytest.param([failed_pod("f"), terminating(ready_pod("t"))], False, id="both"),
        pytest.param([pending_pod("p")], False, id="a pending one"),
    ],
)
def test_r1_a_replica_set_is_gone_when_not_even_a_terminating_pod_is_left(
    *,
    pods: list[object],
    gone: bool,
) -> None:
    found = replica_set(1, *pods, size=0)  # type: ignore[arg-type]
    assert count_pods(found, spec(), START).gone is gone


def test_r1_a_replica_set_that_is_about_to_make_pods_is_not_gone() -> None:
    assert not count_pods(replica_set(1, size=4), spec(), START).gone


def test_r3_a_replica_set_that_is_being_deleted_makes_no_pods_and_keeps_none_for_sure() -> None:
    going = count_pods(replica_set(1, *ready_pods(2), size=4, deleting=True), spec(), START)
    assert (going.occupied, going.healthy, going.gone) == (2, 2, False)
    assert [going.surely_healthy(size) for size in (4, 2, 0)] == [0, 0, 0]
    assert count_pods(replica_set(1, size=4, deleting=True), spec(), START).gone


@pytest.mark.parametrize(
    ("strategy", "needed"),
    [
        pytest.param(Percentages(100, 200), 4, id="ECS's defaults"),
        pytest.param(Percentages(50, 200), 2, id="half"),
        pytest.param(RollingUpdate(Amount(1), Amount(1)), 3, id="one unavailable"),
        pytest.param(Recreate(), 4, id="Recreate: all, as in a Deployment"),
    ],
)
def test_r1_a_fleet_is_available_with_l_healthy_pods(strategy: Strategy, needed: int) -> None:
    assert compute_needed(strategy, 4) == needed
    assert compute_needed(strategy, 0) == 0


@pytest.mark.parametrize(
    ("of", "occupied"),
    [
        pytest.param(PodCounts("a", size=3, live=3), 3, id="as large as wanted"),
        pytest.param(PodCounts("a", size=3, live=1), 3, id="about to make pods"),
        pytest.param(PodCounts("a", size=1, live=3), 3, id="about to delete pods"),
    ],
)
def test_r3_pods_that_are_there_or_about_to_be_made_occupy_room(
    of: PodCounts, occupied: int
) -> None:
    assert of.occupied == occupied


@pytest.mark.parametrize(
    ("size", "left"),
    [
        pytest.param(9, 3, id="raised"),
        pytest.param(6, 3, id="as it is"),
        pytest.param(5, 3, id="the one that is not Ready goes first"),
        pytest.param(4, 2, id="then it may be a healthy one"),
        pytest.param(3, 1, id="or two"),
        pytest.param(2, 0, id="or all three"),
        pytest.param(0, 0, id="nobody is left"),
    ],
)
def test_r3_lowering_is_planned_against_the_worst_choice(size: int, left: int) -> None:
    of = PodCounts("a", size=6, live=6, ready=5, healthy=3)
    assert of.surely_healthy(size) == left


# --- R3 -------------------------------------------------------------------------------------------

NEW = PodCounts("new", 0)


@pytest.mark.parametrize(
    ("target", "others", "replicas", "bounds", "sizes"),
    [
        pytest.param(NEW, [], 4, Bounds(4, 8), {"new": 4}, id="the first rollout"),
        pytest.param(
            NEW, [full("old", 4)], 4, Bounds(4, 8), {"new": 4, "old": 4}, id="new pods first"
        ),
        pytest.param(
            NEW, [full("old", 4)], 4, Bounds(4, 5), {"new": 1, "old": 4}, id="as far as U allows"
        ),
        pytest.param(
            NEW, [full("old", 4)], 4, Bounds(2, 4), {"new": 0, "old": 2}, id="no room: lower first"
        ),
        pytest.param(
            full("new", 4, healthy=0),
            [full("old", 4)],
            4,
            Bounds(4, 8),
            {"new": 4, "old": 4},
            id="nothing healthy yet",
        ),
        pytest.param(
            full("new", 4, healthy=3),
            [full("old", 4)],
            4,
            Bounds(4, 8),
            {"new": 4, "old": 1},
            id="one for one",
        ),
        pytest.param(
            full("new", 4, healthy=3),
            [full("old", 4)],
            4,
            Bounds(2, 8),
            {"new": 4, "old": 0},
            id="more than L is healthy without the old ones",
        ),
        pytest.param(
            full("new", 4),
            [full("old", 4)],
            4,
            Bounds(4, 8),
            {"new": 4, "old": 0},
            id="all healthy",
        ),
        pytest.param(
            full("new", 2),
            [full("old", 4, healthy=1)],
            4,
            Bounds(4, 8),
            {"new": 4, "old": 1},
            id="unhealthy old pods go first, healthy ones stay",
        ),
        pytest.param(
            full("new", 2, healthy=0),
            [full("old", 4, healthy=2, ready=3)],
            4,
            Bounds(1, 6),
            {"new": 2, "old": 2},
            id="one that is Ready and not healthy may be the one to stay",
        ),
        pytest.param(
            full("new", 2),
            [full("older", 2), full("old", 2)],
            4,
            Bounds(4, 8),
            {"new": 4, "older": 0, "old": 2},
            id="in the order of their leaving",
        ),
        pytest.param(
            full("new", 1),
            [full("older", 2), full("old", 2)],
            4,
            Bounds(4, 6),
            {"new": 2, "older": 1, "old": 2},
            id="only as many as may be spared",
        ),
        pytest.param(
            full("new", 1),
            [full("older", 2, healthy=0), full("old", 3)],
            4,
            Bounds(4, 6),
            {"new": 1, "older": 0, "old": 3},
            id="the useless ones are spared at once",
        ),
        pytest.param(
            full("new", 2, healthy=0),
            [full("old", 4, healthy=3)],
            4,
            Bounds(4, 8),
            {"new": 4, "old": 3},
            id="fewer than L already: no healthy one is lost by our doing",
        ),
        pytest.param(
            full("new", 2, healthy=0),
            [full("older", 1), full("old", 2)],
            4,
            Bounds(4, 8),
            {"new": 4, "older": 1, "old": 2},
            id="fewer than L already, in two ReplicaSets",
        ),
        pytest.param(
            PodCounts("new", size=2, live=5, ready=5, healthy=5),
            [],
            4,
            Bounds(4, 8),
            {"new": 4},
            id="pods that go too slowly still occupy room",
        ),
        pytest.param(
            PodCounts("new", size=0, live=0),
            [PodCounts("old", size=0, live=4, ready=4, healthy=4)],
            4,
            Bounds(4, 5),
            {"new": 1, "old": 0},
            id="a lowered one whose pods are still there occupies room",
        ),
        pytest.param(
            full("new", 6), [], 4, Bounds(4, 8), {"new": 4}, id="R4 scaled down during a rollout"
        ),
        pytest.param(
            full("new", 4),
            [full("old", 4)],
            8,
            Bounds(8, 16),
            {"new": 8, "old": 4},
            id="R4 scaled up during a rollout",
        ),
        pytest.param(
            full("new", 3),
            [full("old", 9)],
            4,
            Bounds(4, 8),
            {"new": 3, "old": 1},
            id="R4 more than U after scaling down: none is launched",
        ),
        pytest.param(
            full("new", 2), [full("old", 3)], 0, Bounds(0, 0), {"new": 0, "old": 0}, id="R6 to zero"
        ),
    ],
)
def test_r3_new_pods_first_then_the_others_down_to_what_l_allows(
    target: PodCounts, others: list[PodCounts], replicas: int, bounds: Bounds, sizes: dict[str, int]
) -> None:
    assert roll(target, others, replicas, bounds, recreate=False) == sizes


@pytest.mark.parametrize(
    ("target", "others", "replicas", "sizes"),
    [
        pytest.param(NEW, [], 4, {"new": 4}, id="nothing old"),
        pytest.param(NEW, [full("old", 4)], 4, {"new": 0, "old": 0}, id="the old ones first"),
        pytest.param(
            NEW,
            [PodCounts("old", size=0, gone=False)],
            4,
            {"new": 0, "old": 0},
            id="one is still terminating",
        ),
        pytest.param(
            NEW, [PodCounts("old", size=0)], 4, {"new": 4, "old": 0}, id="all old ones gone"
        ),
        pytest.param(
            full("new", 2),
            [PodCounts("old", size=0, gone=False)],
            4,
            {"new": 2, "old": 0},
            id="new ones that are there stay",
        ),
        pytest.param(
            full("new", 6),
            [PodCounts("old", size=0, gone=False)],
            4,
            {"new": 4, "old": 0},
            id="R4 scaled down",
        ),
    ],
)
def test_r1_recreate_waits_until_all_old_pods_are_gone(
    target: PodCounts, others: list[PodCounts], replicas: int, sizes: dict[str, int]
) -> None:
    assert roll(target, others, replicas, Bounds(0, replicas), recreate=True) == sizes


def test_r3_no_step_ever_breaks_a_bound_by_our_doing() -> None:
    third = (PodCounts("x", 0), full("x", 1), full("x", 1, healthy=0), PodCounts("x", 0, 1, 1, 1))
    for bounds in (Bounds(2, 3), Bounds(1, 2), Bounds(2, 4)):
        for target, old, other in product(
            _possible_counts("new", 2), _possible_counts("old", 2), third
        ):
            _assert_bounds_hold(target, [old, other], bounds)


def test_r3_pods_that_are_just_being_taken_from_the_target_are_not_relied_on() -> None:
    # It was lowered to 1 a moment ago, its pods are still there, and now it is the target again.
    target = PodCounts("new", size=1, live=4, ready=4, healthy=4, gone=False)
    sizes = roll(target, [full("old", 3)], 4, Bounds(4, 8), recreate=False)
    assert sizes == {"new": 2, "old": 3}


def _possible_counts(name: str, most: int) -> list[PodCounts]:
    return [
        PodCounts(name, size, live, ready, healthy, gone=False)
        for size, live, ready, healthy in product(range(most + 1), repeat=4)
        if healthy <= ready <= live
    ]


def _assert_bounds_hold(target: PodCounts, others: list[PodCounts], bounds: Bounds) -> None:
    sizes = roll(target, others, 2, bounds, recreate=False)
    everyone = [target, *others]
    raised = sizes["new"] > target.size
    occupied = sum(max(c.live, c.size, sizes[c.name]) for c in everyone)
    assert not raised or occupied <= bounds.upper, (target, others, bounds, sizes)
    before = sum(c.surely_healthy(c.size) for c in everyone)
    after = sum(c.surely_healthy(min(c.size, sizes[c.name])) for c in everyone)
    assert after >= min(bounds.lower, before), (target, others, bounds, sizes)
    assert all(sizes[c.name] <= c.size for c in others)


def test_r3_a_rollout_whose_pods_become_healthy_always_ends() -> None:
    for low, high, replicas in product((0, 50, 90, 100), (100, 110, 150, 200), range(1, 8)):
        bounds = compute_bounds(Percentages(low, high), replicas)
        new, old = NEW, full("old", replicas)
        for _ in range(2 * replicas + 2):
            sizes = roll(new, [old], replicas, bounds, recreate=False)
            new, old = full("new", sizes["new"]), full("old", sizes["old"])
        assert is_complete(new, [old], replicas), (low, high, replicas, new, old)


@pytest.mark.parametrize(
    ("of", "replicas", "spare", "size"),
    [
        pytest.param(full("a", 4), 9, 0, 9, id="up at once"),
        pytest.param(full("a", 4), 4, 0, 4, id="as it is"),
        pytest.param(full("a", 4), 1, 9, 1, id="down"),
        pytest.param(full("a", 4), 1, 3, 1, id="down, with just enough to spare"),
        pytest.param(full("a", 4), 1, 2, 2, id="down as far as is safe"),
        pytest.param(full("a", 4), 1, -2, 4, id="with fewer than L healthy, not at all"),
        pytest.param(full("a", 4, healthy=2), 1, 0, 2, id="those that are not Ready go first"),
        pytest.param(
            full("a", 4, healthy=2, ready=4), 2, 0, 4, id="between Ready ones it may be the healthy"
        ),
        pytest.param(full("a", 4, healthy=0), 1, 0, 1, id="nothing to lose"),
        pytest.param(
            full("a", 3, healthy=1, ready=3), 0, 1, 0, id="all that could be lost is to spare"
        ),
    ],
)
def test_r4_a_size_goes_up_at_once_and_down_as_far_as_is_safe(
    of: PodCounts, replicas: int, spare: int, size: int
) -> None:
    assert resize(of, replicas, spare) == size


# --- B3 -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "others", "replicas", "most", "sizes"),
    [
        pytest.param(
            full("bad", 4, healthy=1),
            [full("old", 4)],
            4,
            8,
            {"bad": 1, "old": 4},
            id="the failed one is lowered, the others keep what they have",
        ),
        pytest.param(full("bad", 4, healthy=0), [], 4, 8, {"bad": 0}, id="nothing is Ready"),
        pytest.param(full("bad", 4), [], 4, 8, {"bad": 4}, id="all are healthy"),
        pytest.param(
            full("bad", 4, healthy=1, ready=3), [], 4, 8, {"bad": 3}, id="Ready ones stay"
        ),
        pytest.param(
            PodCounts("bad", size=1, live=3, ready=3, healthy=3),
            [],
            4,
            8,
            {"bad": 1},
            id="it is never raised",
        ),
        pytest.param(
            full("bad", 2),
            [full("old", 3, healthy=0)],
            4,
            8,
            {"bad": 2, "old": 3},
            id="the others keep also what is not healthy",
        ),
        pytest.param(
            PodCounts("bad", 0),
            [full("old", 2)],
            4,
            8,
            {"bad": 0, "old": 2},
            id="the failed one was never made",
        ),
        pytest.param(
            full("bad", 3),
            [full("old", 4)],
            4,
            4,
            {"bad": 0, "old": 4},
            id="scaling down takes the failed one first",
        ),
        pytest.param(
            full("bad", 1),
            [full("older", 2), full("old", 4)],
            4,
            4,
            {"bad": 0, "older": 0, "old": 4},
            id="then the others in the order of their leaving",
        ),
        pytest.param(
            full("bad", 0),
            [full("older", 2), full("old", 4)],
            4,
            5,
            {"bad": 0, "older": 1, "old": 4},
            id="no more than needed",
        ),
        pytest.param(full("bad", 2), [full("old", 4)], 0, 0, {"bad": 0, "old": 0}, id="R6 to zero"),
        pytest.param(
            full("bad", 1),
            [full("old", 4, healthy=3)],
            4,
            4,
            {"bad": 1, "old": 3},
            id="scaling down keeps L",
        ),
        pytest.param(
            full("bad", 1),
            [full("older", 2), full("old", 3, healthy=2)],
            4,
            4,
            {"bad": 0, "older": 2, "old": 2},
            id="what was taken is not to spare once more",
        ),
    ],
)
def test_b3_when_stalled_nothing_is_launched(
    target: PodCounts, others: list[PodCounts], replicas: int, most: int, sizes: dict[str, int]
) -> None:
    kept = [replace(target, size=min(target.size, target.ready)), *others]
    assert lower(kept, take_in_order(kept, most), most, replicas) == sizes


# --- R5 -------------------------------------------------------------------------------------------

DONE = full("new", 4)


@pytest.mark.parametrize(
    ("target", "others", "complete"),
    [
        pytest.param(DONE, [], True, id="all healthy"),
        pytest.param(DONE, [PodCounts("old", 0)], True, id="the others are at 0"),
        pytest.param(
            DONE, [PodCounts("old", 0, gone=False)], True, id="terminating pods do not hold it up"
        ),
        pytest.param(DONE, [PodCounts("old", 1)], False, id="another one is to have a pod"),
        pytest.param(DONE, [PodCounts("old", 0, live=1)], False, id="another one still has a pod"),
        pytest.param(DONE, [PodCounts("x", 0), PodCounts("old", 1)], False, id="one of several"),
        pytest.param(replace(DONE, healthy=3), [], False, id="one is not healthy"),
        pytest.param(replace(DONE, size=5), [], False, id="another size is written"),
        pytest.param(replace(DONE, live=5), [], False, id="there is one pod too many"),
        pytest.param(full("new", 3), [], False, id="one is missing"),
        pytest.param(full("new", 5), [], False, id="one is too many"),
    ],
)
def test_r5_a_rollout_is_complete_when_all_are_healthy_and_nothing_else_runs(
    *,
    target: PodCounts,
    others: list[PodCounts],
    complete: bool,
) -> None:
    assert is_complete(target, others, 4) is complete


def test_r6_without_replicas_nothing_has_to_be_healthy() -> None:
    assert is_complete(NEW, [], 0)


def test_old_pods_that_serve_but_are_young_stay_until_healthy_ones_stand_in() -> None:
    """R3: with minReadySeconds just raised not one old pod is healthy, and all of them serve."""
    old = PodCounts("old", 4, 4, 4, 0, gone=False)
    bounds = Bounds(4, 8)
    assert roll(PodCounts("new", 0), [old], 4, bounds, recreate=False) == {"new": 4, "old": 4}
    for healthy in range(5):
        new = PodCounts("new", 4, 4, 4, healthy, gone=False)
        assert roll(new, [old], 4, bounds, recreate=False)["old"] == 4 - healthy


def test_healthy_old_pods_are_not_lost_for_young_ones() -> None:
    """Which pods a ReplicaSet deletes is not ours to say: both counts hold."""
    old = PodCounts("old", 4, 4, 4, 2, gone=False)
    assert roll(PodCounts("new", 0), [old], 4, Bounds(2, 4), recreate=False)["old"] == 4


@pytest.mark.parametrize(
    ("young", "sizes"),
    [
        pytest.param(
            full("young", 4, healthy=2, ready=4),
            {"new": 4, "old": 0, "young": 4},
            id="what the first may lose the second must keep",
        ),
        pytest.param(
            full("young", 4, healthy=0, ready=4),
            {"new": 4, "old": 2, "young": 2},
            id="who serves in the first is not relied on for the second",
        ),
    ],
)
def test_r3_what_is_to_spare_is_spent_once_though_there_are_two_to_go(
    young: PodCounts, sizes: dict[str, int]
) -> None:
    target, old = full("new", 4, healthy=2, ready=4), full("old", 2)
    assert roll(target, [old, young], 4, Bounds(4, 10), recreate=False) == sizes
