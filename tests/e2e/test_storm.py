"""Rule R8 on the cluster: nodes that reject every pod get few of them, and one that stops is used again."""

from __future__ import annotations

import time

from tests.e2e.namespace import Namespace, conditions, guarded

WATCHED_SECONDS = 30.0
"""In this time one or two more pods are tried (after 10 and 20 s). Without the brake each second had some."""
SETTLING_SECONDS = 5.0
"""Pods that were on their way when the ReplicaSet was held are rejected within this time."""


def count_failed(world: Namespace) -> int:
    """Return how many pods are in phase Failed."""
    return sum(pod.status.phase == "Failed" for pod in world.pods())


def test_a_node_that_rejects_every_pod_gets_few_of_them(world: Namespace) -> None:
    """The rollout waits, says why, and completes when it is corrected. Nothing counts (F5)."""
    world.completed(guarded(image="web:1"))
    world.apply(guarded(image="web:2", behaviour="out-of-cpu"))
    status = world.until(lambda status: "PodStorm" in conditions(status))
    assert "OutOfcpu" in conditions(status)["PodStorm"]["message"]
    assert "OutOfcpu" in world.until_event("PodStorm")
    time.sleep(SETTLING_SECONDS)
    held = count_failed(world)
    time.sleep(WATCHED_SECONDS)
    assert held < count_failed(world) <= held + 4
    status = world.status()
    assert status["rollout"]["status"] == "IN_PROGRESS"
    assert status["circuitBreaker"]["failureCount"] == 0
    world.apply(guarded(image="web:3"))
    status = world.until(
        lambda status: (
            status["rollout"]["revision"] == 3 and status["rollout"]["status"] == "SUCCESSFUL"
        )
    )
    assert "PodStorm" not in conditions(status)
