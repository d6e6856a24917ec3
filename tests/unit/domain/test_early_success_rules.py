"""Rule E1: when a rollout may complete before all of its pods are healthy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripswitch.domain.rules.early_success import (
    compute_enough,
    describe_rest,
    is_cleaned_up,
    is_scaled_up,
)
from tripswitch.domain.rules.pod_counts import PodCounts
from tripswitch.domain.values.hooks import EarlySuccess


def healthy(number: int, size: int = 10, name: str = "new") -> PodCounts:
    return PodCounts(name, size, size, number, number, gone=False)


OLD = healthy(2, size=2, name="old")


@pytest.mark.parametrize(
    ("percent", "replicas", "enough"),
    [(50, 2, 1), (50, 3, 2), (80, 10, 8), (90, 100, 90), (0, 5, 1)],
)
def test_e1_the_percentage_is_rounded_up_and_one_pod_is_always_needed(
    percent: int, replicas: int, enough: int
) -> None:
    assert compute_enough(EarlySuccess(percent), replicas) == enough


def test_e1_enough_healthy_pods_are_enough_and_one_less_is_not() -> None:
    early = EarlySuccess(80)
    assert is_scaled_up(early, healthy(8), [OLD], 10)
    assert not is_scaled_up(early, healthy(7), [OLD], 10)


def test_r5_without_early_success_all_are_needed_and_nothing_else_may_run() -> None:
    assert is_scaled_up(None, healthy(10), [], 10)
    assert not is_scaled_up(None, healthy(9), [], 10)
    assert not is_scaled_up(None, healthy(10), [OLD], 10)


def test_r6_with_no_replicas_early_success_has_no_meaning() -> None:
    assert is_scaled_up(EarlySuccess(50), healthy(0, size=0), [], 0)
    assert not is_scaled_up(EarlySuccess(50), healthy(0, size=0), [OLD], 0)


def test_e1_only_a_blocking_clean_up_waits_for_older_revisions() -> None:
    assert not is_cleaned_up(EarlySuccess(80, blocking=True), [OLD])
    assert is_cleaned_up(EarlySuccess(80, blocking=True), [healthy(0, size=0, name="old")])
    assert is_cleaned_up(EarlySuccess(80, blocking=False), [OLD])
    assert not is_cleaned_up(None, [OLD])


def test_e1_what_is_left_is_said() -> None:
    assert describe_rest(healthy(8), [OLD], 10) == (
        "8 of 10 pods healthy, 2 of older revisions still to go"
    )
    assert describe_rest(healthy(10), [OLD], 10) == "2 of older revisions still to go"
    assert describe_rest(healthy(8), [], 10) == "8 of 10 pods healthy"
    assert describe_rest(healthy(10), [], 10) == ""


@given(st.integers(0, 100), st.integers(1, 500), st.integers(0, 500))
def test_e1_whatever_completes_late_completes_early_too(
    percent: int, replicas: int, number: int
) -> None:
    target = healthy(min(number, replicas), size=replicas)
    early = is_scaled_up(EarlySuccess(percent), target, [], replicas)
    assert early or not is_scaled_up(None, target, [], replicas)
    assert not early or (target.healthy >= 1 and target.healthy * 100 >= percent * replicas)
