"""Rule R8: a ReplicaSet whose pods fail as soon as they are made is held, and tried with back-off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.builders import START, failed_pod, pending_pod, ready_pods, replica_set
from tripswitch.domain.rules.storm import (
    compute_cap,
    count_live,
    describe_storm,
    find_next_look,
    watch_storm,
)
from tripswitch.domain.values.pods import PodView
from tripswitch.domain.values.replica_sets import ReplicaSetView
from tripswitch.domain.values.storm import Storm
from tripswitch.domain.values.time import Instant

Accepts = Callable[[Instant], bool]
"""Whether the node takes a pod that is made at a moment."""


@dataclass
class Node:
    """A ReplicaSet controller and a kubelet that rejects, second by second."""

    accepts: Accepts
    replicas: int = 4
    pods: list[PodView] = field(default_factory=list)
    storm: Storm | None = None
    now: Instant = START
    most_at_once: int = 10
    looks: int = 0

    def run(self, seconds: int) -> Node:
        """Let the controller fill up each second, have the kubelet answer, and then look."""
        for _ in range(seconds):
            self.now += 1.0
            size = self._look()
            for surplus in [pod for pod in self.pods if pod.live][size:]:  # the youngest ones
                self.pods.remove(surplus)
            missing = size - count_live(self._view())
            for _ in range(min(self.most_at_once, missing)):
                name = f"pod-{len(self.pods)}"
                made = (
                    pending_pod(name, node="node-1")
                    if self.accepts(self.now)
                    else failed_pod(name, "NodePorts", "Pod was rejected")
                )
                self.pods.append(replace(made, created_at=self.now))
        return self

    def _view(self) -> ReplicaSetView:
        return replica_set(1, *self.pods, size=self.replicas)

    def _look(self) -> int:
        view = self._view()
        storm = watch_storm(self.storm, view, self.replicas, self.replicas, self.now)
        assert watch_storm(storm, view, self.replicas, self.replicas, self.now) == storm
        self.storm = storm
        if storm is None:
            return self.replicas
        assert find_next_look(storm, view, self.now) > self.now
        cap = compute_cap(storm, view, self.now)
        stay = [pod for pod in view.pods if pod.live and pod.created_at + 10 <= self.now]
        assert cap >= len(stay), "a pod that stays is never taken"
        return min(self.replicas, cap)

    @property
    def live(self) -> int:
        """Pods that are there."""
        return count_live(self._view())


def test_r8_rejected_pods_are_few_in_ten_minutes() -> None:
    """Without the brake they would be four each second, 2400 in all."""
    node = Node(lambda _: False).run(600)
    assert node.storm is not None
    assert len(node.pods) <= 8 + 5
    assert node.storm.tries == 5


def test_the_waits_double_up_to_five_minutes() -> None:
    node = Node(lambda _: False).run(1300)
    began = node.storm.began_at if node.storm else 0.0
    made = [pod.created_at - began for pod in node.pods if pod.created_at > began]
    waits = [later - sooner for sooner, later in zip([0.0, *made], made, strict=False)]
    assert waits == pytest.approx([10, 20, 40, 80, 160, 300, 300, 300], abs=1.0)


def test_a_short_storm_costs_a_good_rollout_little_time() -> None:
    """The node takes pods again after 15 s; then one, two and four more."""
    node = Node(lambda at: at > START + 15, replicas=20).run(120)
    assert (node.live, node.storm) == (20, None)


def test_without_failed_pods_there_is_no_storm() -> None:
    node = Node(lambda _: True, replicas=50).run(30)
    assert (node.live, node.storm) == (50, None)


@pytest.mark.parametrize(
    ("replicas", "failed", "storms"), [(1, 5, False), (1, 6, True), (8, 8, False), (8, 9, True)]
)
def test_more_than_five_and_more_than_replicas_begin_a_storm(
    replicas: int, failed: int, *, storms: bool
) -> None:
    pods = [replace(failed_pod(f"f{n}"), created_at=START) for n in range(failed)]
    view = replica_set(1, *pods, size=replicas)
    assert (watch_storm(None, view, replicas, replicas, START + 1) is not None) is storms
    assert watch_storm(None, view, replicas, replicas, START + 61) is None, "they are old"
    assert watch_storm(None, view, 0, replicas, START + 1) is None, "nothing is to be made"


def test_pods_that_ran_for_long_and_failed_are_no_storm() -> None:
    """A node that evicts many at once: each is replaced once."""
    pods = [replace(failed_pod(f"f{n}", "Evicted"), created_at=START - 600) for n in range(30)]
    view = replica_set(1, *pods, size=4)
    assert watch_storm(None, view, 4, 4, START) is None


def test_a_pod_without_a_node_does_not_count_as_taken() -> None:
    node = Node(lambda _: False).run(12)
    assert node.storm is not None
    waiting = replace(pending_pod("waits", node=""), created_at=node.now)
    node.pods.append(waiting)
    node.run(15)
    assert node.storm is not None
    assert node.storm.tries >= 1


def test_what_is_wanted_less_of_ends_a_storm() -> None:
    """Scaled down to what is there."""
    pods = [replace(failed_pod(f"f{n}"), created_at=START) for n in range(9)]
    view = replica_set(1, *pods, *ready_pods(2), size=4)
    storm = watch_storm(None, view, 4, 4, START + 1)
    assert storm is not None
    assert compute_cap(storm, view, START + 1) == 2
    assert watch_storm(storm, view, 2, 2, START + 20) is None


def test_the_words_stay_when_the_failed_pods_are_deleted() -> None:
    node = Node(lambda _: False).run(5)
    assert node.storm is not None
    after = watch_storm(node.storm, replica_set(1, size=4), 4, 4, node.now)
    assert after is not None
    assert after.message == node.storm.message != ""


def test_the_words_name_the_set_the_cause_and_the_wait() -> None:
    node = Node(lambda _: False).run(5)
    assert node.storm is not None
    words = describe_storm(node.storm)
    assert "NodePorts: Pod was rejected" in words
    assert node.storm.replica_set in words
    assert "tried 10 s after" in words
    assert describe_storm(replace(node.storm, message="")).count("(") == 0


@given(
    st.integers(1, 30),
    st.lists(st.tuples(st.integers(1, 90), st.booleans()), min_size=1, max_size=8),
    st.integers(1, 20),
)
def test_in_any_weather_pods_are_few_and_all_come_back(
    replicas: int, weather: list[tuple[int, bool]], most_at_once: int
) -> None:
    """Rejections are bounded whatever the node does, and a node that is good again fills up."""
    ends, taken = [], START
    for seconds, good in weather:
        taken += seconds
        ends.append((taken, good))

    def accepts(at: Instant) -> bool:
        return next((good for end, good in ends if at <= end), True)

    node = Node(accepts, replicas, most_at_once=most_at_once)
    node.run(int(taken - START))
    rejected = sum(not pod.live for pod in node.pods)
    changes = sum(one[1] != other[1] for one, other in pairwise(weather))
    assert rejected <= (changes + 1) * (max(5, replicas) + 2 * replicas + 8)
    node.run(300 + 10 * 2 * replicas)
    assert (node.live, node.storm) == (replicas, None)
