"""What a real kubelet showed, through decoder and core; and that simulated pods show the same."""

from __future__ import annotations

import pytest

from tools.cluster.behaviours import BEHAVIOURS
from tools.cluster.looks import EXPECTED, seen
from tools.recordings import load, names
from tools.recordings.story import ONLY_REAL, STORIES, Told, tell

NOT_RECORDED = {
    "evicted-disruption",
    "evicted-storage",
    "deadline-exceeded",
    "node-shutdown",
    "node-affinity",
    "never-pull",
    "unsigned",
    "create-error",
    "slow-mount",
    "registry-down",
}
"""Behaviours that a node only shows when it is really short of memory or disk; and those that follow
the kubelet's source, not a recording of it."""

FASTER_THAN_LOOKS = {"init-fail", "liveness-kill", "ready-then-lost", "slow-start"}
"""A kubelet shows fewer or more steps of these than kwok; what counts is told by the stories."""


def test_there_is_a_recording_of_every_behaviour_that_a_node_can_be_brought_to() -> None:
    assert set(names()) == (set(BEHAVIOURS) - NOT_RECORDED) | {"normal"} | set(ONLY_REAL)
    assert set(STORIES) == set(BEHAVIOURS) - NOT_RECORDED


@pytest.mark.parametrize("name", [*STORIES, *ONLY_REAL])
def test_the_operator_makes_of_a_real_pod_what_it_makes_of_a_simulated_one(name: str) -> None:
    """The same stories are told of kwok's pods in tests/cluster/test_stages.py."""
    story = (STORIES | ONLY_REAL)[name]
    told = tell(load(name), probed=story.probed)
    assert [failure[:5] for failure in told][: len(story.failures)] == list(story.failures)
    assert len(told) >= len(story.failures)
    if story.complete:
        assert len(told) == len(story.failures)


@pytest.mark.parametrize("name", sorted(set(EXPECTED) - NOT_RECORDED - FASTER_THAN_LOOKS))
def test_a_real_pod_looks_like_a_simulated_one_at_every_step(name: str) -> None:
    expected = EXPECTED[name].split(", ")
    looks = [look for look in seen([v.pod for v in load(name)]) if look != "ContainerCreating/0"]
    assert looks[: len(expected)] == expected


@pytest.mark.parametrize("name", ["restart-all", "completes", "sandbox-killed"])
@pytest.mark.parametrize("missed", range(15))
def test_whichever_versions_the_operator_missed_it_counts_no_more_than_there_is(
    name: str, missed: int
) -> None:
    """A kubelet's restarts are told apart from failures also by what is left to be seen of them."""
    versions = load(name)
    ends = {failure[2] for failure in ONLY_REAL[name].failures}
    for shown in (versions[missed:] or versions[-1:], [*versions[:1], *versions[missed:]]):
        told = tell(shown, probed=False)
        assert {failure.container for failure in told} <= ends
        assert len(told) <= len(ends)


def test_a_healthy_pod_tells_nothing() -> None:
    assert tell(load("normal"), probed=False) == []


@pytest.mark.parametrize(
    ("name", "seconds"),
    [("crash", 17), ("start-error", 19), ("oom", 17), ("image-pull", 55)],
)
def test_the_third_failure_of_one_pod_is_seen_as_soon_as_the_kubelet_shows_it(
    name: str, seconds: float
) -> None:
    """One replica trips no sooner: the kubelet's first back-off is 10 s, looked at now and then."""
    third: Told = tell(load(name), probed=False)[2]
    assert third.at <= seconds
