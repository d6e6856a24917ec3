"""Our arithmetic against Kubernetes' own Go functions (rules R1, R3, R4, R7 and H1).

``tests/oracle/kubernetes.json`` holds what Kubernetes answers; ``tests/oracle/generate.sh`` asks again.
Where we differ it is on purpose, and each difference has a test of its own below:

- With no replicas at all there are no bounds (R6); Kubernetes still resolves an absolute surge.
- A target larger than ``replicas`` is lowered at once (R4); Kubernetes does that before it asks
  ``NewRSNewReplicas``, which would leave it as it is.
- Pods count for the room, not only wanted sizes: pods that a lowered ReplicaSet has not yet deleted
  still take their place (R3). Kubernetes sums ``spec.replicas``.
- Scaled in proportion, no ReplicaSet grows beyond ``replicas`` (R4): Kubernetes lets it, and lowers it at
  its next look. And none is lowered by the proportion alone, because healthy pods may be lost by it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.builders import START, pod
from tripswitch.domain.rules.bounds import Bounds, compute_bounds
from tripswitch.domain.rules.health import Expectations, healthy_at
from tripswitch.domain.rules.pod_counts import PodCounts
from tripswitch.domain.rules.proportion import Share, share_out, share_upper_bound
from tripswitch.domain.rules.scaling import roll
from tripswitch.domain.values.pods import PodPhase
from tripswitch.domain.values.workload import Amount, Readiness, RollingUpdate

ORACLE = Path(__file__).parents[2] / "oracle"
KUBERNETES: dict[str, Any] = json.loads((ORACLE / "kubernetes.json").read_text())


def amount(written: int | str) -> Amount:
    if isinstance(written, int):
        return Amount(written)
    return Amount(int(written.removesuffix("%")), percent=True)


def count_pods(name: str, size: int) -> PodCounts:
    return PodCounts(name, size, size, size, size, gone=size == 0)


def test_the_answers_are_those_of_the_pinned_kubernetes() -> None:
    module = (ORACLE / "go.mod").read_text()
    assert f"k8s.io/kubernetes {KUBERNETES['kubernetes']}\n" in module
    assert len(KUBERNETES["fenceposts"]) == 13 * 18
    assert len(KUBERNETES["new_replicas"]) == 7 * 6
    assert len(KUBERNETES["proportions"]) == 9 * 6
    assert len(KUBERNETES["pods"]) == 5 * 2 * 4


def rows(table: str, first: object) -> list[list[Any]]:
    """Return the rows of a table that begin alike, so that a test is no single row."""
    return [row for row in KUBERNETES[table] if row[0] == first]


def firsts(table: str) -> list[Any]:
    return list(dict.fromkeys(row[0] for row in KUBERNETES[table]))


@pytest.mark.parametrize("replicas", firsts("fenceposts"))
def test_r1_the_bounds_of_a_deployment_strategy_are_those_of_kubernetes(replicas: int) -> None:
    for _, max_surge, answers in rows("fenceposts", replicas):
        check_bounds(replicas, max_surge, answers)


def check_bounds(replicas: int, max_surge: int | str, answers: list[Any]) -> None:
    for max_unavailable, surge, unavailable, max_surge_pods, max_unavailable_pods, lower in answers:
        bounds = compute_bounds(RollingUpdate(amount(max_surge), amount(max_unavailable)), replicas)
        if replicas == 0:
            assert bounds == Bounds(0, 0)
            continue
        assert bounds == Bounds(lower, replicas + max_surge_pods)
        assert bounds == Bounds(max(0, replicas - unavailable), replicas + surge)
        assert bounds.lower == replicas - max_unavailable_pods


def test_r6_with_no_replicas_kubernetes_still_resolves_a_surge_and_we_have_no_bounds() -> None:
    surges = {
        row[1]: answer[3] for row in KUBERNETES["fenceposts"] if row[0] == 0 for answer in row[2]
    }
    assert surges[5] == 5
    assert compute_bounds(RollingUpdate(Amount(5), Amount(0)), 0) == Bounds(0, 0)


@pytest.mark.parametrize("replicas", firsts("new_replicas"))
def test_r3_the_target_is_raised_as_kubernetes_raises_it(replicas: int) -> None:
    for _, max_surge, answers in rows("new_replicas", replicas):
        check_raising(replicas, max_surge, answers)


def check_raising(replicas: int, max_surge: int | str, answers: list[Any]) -> None:
    bounds = compute_bounds(RollingUpdate(amount(max_surge), Amount(1)), replicas)
    for size, old, expected in answers:
        if size > replicas:
            continue  # the second difference
        sizes = roll(
            count_pods("new", size), [count_pods("old", old)], replicas, bounds, recreate=False
        )
        assert sizes["new"] == expected, (replicas, max_surge, size, old)


def test_r4_a_target_that_is_too_large_is_lowered_and_kubernetes_is_not_even_asked() -> None:
    larger = [
        (row[0], size, old, next_size)
        for row in KUBERNETES["new_replicas"]
        for size, old, next_size in row[2]
        if size > row[0]
    ]
    assert any(next_size == size for _, size, _, next_size in larger)
    for replicas, size, old, _ in larger:
        bounds = Bounds(0, replicas + 1)
        sizes = roll(
            count_pods("new", size), [count_pods("old", old)], replicas, bounds, recreate=False
        )
        assert sizes["new"] == replicas


def test_r3_pods_that_are_not_yet_gone_take_room_and_kubernetes_counts_only_wishes() -> None:
    [[_, _, answers]] = [row for row in KUBERNETES["new_replicas"] if row[:2] == [4, 1]]
    assert [0, 0, 4] in answers
    going = PodCounts("old", size=0, live=4, ready=4, healthy=4, gone=False)
    sizes = roll(PodCounts("new", 0), [going], 4, Bounds(3, 5), recreate=False)
    assert sizes == {"new": 1, "old": 0}


@pytest.mark.parametrize("before", firsts("proportions"))
def test_r7_revisions_are_scaled_in_proportion_as_kubernetes_scales_them(before: int) -> None:
    checked = 0
    for _, after, max_surge, answers in rows("proportions", before):
        strategy = RollingUpdate(amount(max_surge), Amount(1))
        most = compute_bounds(strategy, after).upper
        for sizes, expected in answers:
            shares = [
                Share(str(age), size, compute_bounds(strategy, before).upper)
                for age, size in enumerate(sizes)
            ]
            assert list(share_out(shares, most, most).values()) == expected, (
                after,
                max_surge,
                sizes,
            )
            checked += 1
    assert checked >= 12


def test_r4_in_proportion_kubernetes_grows_a_replica_set_beyond_replicas_and_we_do_not() -> None:
    [[_, _, _, answers]] = [row for row in KUBERNETES["proportions"] if row[:3] == [10, 30, 3]]
    assert [[3, 6], [8, 25]] in answers
    [[_, _, _, answers]] = [row for row in KUBERNETES["proportions"] if row[:3] == [10, 30, "25%"]]
    assert [[1, 12], [3, 35]] in answers
    sets = [
        replace(count_pods(name, size), sized_for=10) for name, size in (("old", 1), ("new", 12))
    ]
    strategy = RollingUpdate(amount("25%"), Amount(1))
    assert share_upper_bound(sets, 30, strategy, taken=0) == {"old": 3, "new": 30}


@pytest.mark.parametrize("phase", firsts("pods"))
def test_h1_a_pod_is_healthy_when_kubernetes_calls_it_active_and_available(phase: str) -> None:
    for _, deleting, ready, answers in rows("pods", phase):
        check_pod(PodPhase(phase), ready, answers, deleting=deleting)


def check_pod(phase: PodPhase, ready: str, answers: list[Any], *, deleting: bool) -> None:
    for age, min_ready_seconds, active, is_ready, available in answers:
        since = START - age if is_ready else None
        assert is_ready is (ready == "True")
        seen = pod("a", phase=phase, deleting=deleting, ready_since=since)
        assert seen.live is active
        at = healthy_at(seen, Expectations(Readiness(), min_ready_seconds))
        healthy = at is not None and at <= START
        if min_ready_seconds == 0 and age < 0:
            # Kubernetes does not look at the clock without minReadySeconds; no pod of ours became
            # Ready in the future, the edge sees to that.
            assert available is is_ready
            continue
        assert healthy is (active and available), (age, min_ready_seconds)
