"""Rules T1 to T5: how many failures trip the breaker."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from tests.support.builders import breaker_spec
from tests.support.manual_cluster import completed, started
from tripswitch.domain.rules.threshold import compute_threshold, percent_down, percent_up
from tripswitch.domain.values.states import RolloutStatus
from tripswitch.domain.values.workload import ThresholdType

BOUNDED = ThresholdType.BOUNDED_PERCENT
UNBOUNDED = ThresholdType.UNBOUNDED_PERCENT
COUNT = ThresholdType.COUNT


@pytest.mark.parametrize(
    ("replicas", "threshold"),
    [
        pytest.param(1, 3, id="the seed: 1 task, the calculated value is less than the minimum"),
        pytest.param(25, 13, id="the seed: 25 tasks, the value is rounded up"),
        pytest.param(400, 200, id="the seed: 400 tasks"),
        pytest.param(800, 200, id="the seed: 800 tasks, more than the maximum"),
        pytest.param(0, 3, id="none"),
        pytest.param(6, 3, id="exactly the minimum"),
        pytest.param(7, 4, id="just over the minimum"),
        pytest.param(398, 199, id="just under the maximum"),
        pytest.param(399, 200, id="rounded up to the maximum"),
        pytest.param(401, 200, id="just over the maximum"),
    ],
)
def test_t1_half_of_the_replicas_rounded_up_and_bounded_is_the_default(
    replicas: int, threshold: int
) -> None:
    assert compute_threshold(breaker_spec(), replicas) == threshold


@pytest.mark.parametrize(
    ("kind", "value", "replicas", "threshold"),
    [
        pytest.param(BOUNDED, 100, 150, 150, id="T1 the whole fleet"),
        pytest.param(BOUNDED, 1, 800, 8, id="T1 one percent"),
        pytest.param(BOUNDED, 1, 201, 3, id="T1 one percent of a little more than 200"),
        pytest.param(BOUNDED, 29, 100, 29, id="T1 where floats would say 30"),
        pytest.param(UNBOUNDED, 50, 800, 400, id="T2 ECS's example: 800 at 50 is 400"),
        pytest.param(UNBOUNDED, 50, 3, 2, id="T2 rounded up"),
        pytest.param(UNBOUNDED, 50, 1, 1, id="T2 under the minimum of T1"),
        pytest.param(UNBOUNDED, 1, 1, 1, id="T2 at least 1"),
        pytest.param(UNBOUNDED, 50, 0, 1, id="T2 at least 1 with no replicas"),
        pytest.param(COUNT, 1, 0, 1, id="T3 a number"),
        pytest.param(COUNT, 7, 800, 7, id="T3 whatever the replicas"),
        pytest.param(COUNT, 500, 1, 500, id="T3 over the maximum of T1"),
    ],
)
def test_t1_t2_t3_each_type_reads_its_value_in_its_own_way(
    kind: ThresholdType, value: int, replicas: int, threshold: int
) -> None:
    spec = breaker_spec(threshold_type=kind, threshold_value=value)
    assert compute_threshold(spec, replicas) == threshold


def test_t1_and_t2_agree_with_exact_fractions_everywhere() -> None:
    for percent in range(1, 101):
        spec = breaker_spec(threshold_type=UNBOUNDED, threshold_value=percent)
        for replicas in (*range(60), 99, 199, 200, 201, 399, 400, 401, 799, 800):
            exact = math.ceil(Fraction(percent * replicas, 100))
            bounded = breaker_spec(threshold_value=percent)
            assert compute_threshold(spec, replicas) == max(1, exact)
            assert compute_threshold(bounded, replicas) == min(max(exact, 3), 200)


@pytest.mark.parametrize(
    ("percent", "of", "down", "up"),
    [
        pytest.param(0, 9, 0, 0, id="nothing"),
        pytest.param(100, 9, 9, 9, id="everything"),
        pytest.param(29, 100, 29, 29, id="no float error"),
        pytest.param(34, 3, 1, 2, id="a little more than a third"),
        pytest.param(150, 3, 4, 5, id="more than everything"),
    ],
)
def test_percentages_are_rounded_in_whole_numbers(
    percent: int, of: int, down: int, up: int
) -> None:
    assert (percent_down(percent, of), percent_up(percent, of)) == (down, up)


def test_t4_scaling_in_the_middle_of_a_rollout_moves_the_threshold() -> None:
    world = started(replicas=25)
    seen = [world.breaker().threshold]
    for replicas in (100, 1, 26):
        world.want(replicas=replicas).look()
        seen.append(world.breaker().threshold)
    assert seen == [13, 50, 3, 13]


def test_t4_scaling_down_can_trip_with_the_failures_already_counted() -> None:
    world = started(replicas=10)
    world.crash("v1", count=4).look()
    assert world.breaker().summary == "4/5"
    assert world.state() is RolloutStatus.IN_PROGRESS
    world.want(replicas=6).look()
    assert world.breaker().summary == "4/3"
    assert world.state() is RolloutStatus.FAILED


def test_t4_the_threshold_follows_the_replicas_when_nothing_is_watched() -> None:
    world = completed(replicas=4)
    world.want(replicas=25).look()
    assert world.breaker().threshold == 13


def test_t5_the_breaker_trips_when_the_count_equals_the_threshold() -> None:
    world = started(replicas=4)
    world.crash("v1", count=2).look()
    assert world.breaker().summary == "2/3"
    assert world.state() is RolloutStatus.IN_PROGRESS
    world.crash("v1", count=3).look()
    assert world.breaker().summary == "3/3"
    assert world.state() is RolloutStatus.FAILED


def test_t5_the_breaker_trips_once_per_rollout() -> None:
    world = started(replicas=4)
    world.crash("v1", runs=9).settle()
    world.crash("v1", runs=12).settle(600.0)
    assert world.events.count("CircuitBreakerTriggered") == 1
    assert world.state() is RolloutStatus.FAILED
