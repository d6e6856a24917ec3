"""Rules G4 and B2: the way back from a revision of which every pod is available."""

from __future__ import annotations

import json

import pytest

from tests.e2e.guards import (
    circuit_breaker,
    deployment,
    find_writes,
    guard_status,
    images,
    until,
    until_guard,
)
from tests.e2e.namespace import Namespace, PodWatcher

MOST_WRITES = 120


@pytest.mark.parametrize("replicas", [1, 2, 3, 6])
def test_a_revision_that_is_whole_is_left_without_a_fight(world: Namespace, replicas: int) -> None:
    """The Deployment controller lowers every other ReplicaSet while that of the template is whole.

    Both write sizes until the pods of the two fit; without an end it was more than a thousand a minute.
    """
    world.apply(deployment("slow-start", replicas=replicas))
    world.apply(circuit_breaker())
    until_guard(world, "SUCCESSFUL")
    world.apply(circuit_breaker(bakeTimeInMinutes=10))
    world.apply(deployment("slow-start", image="web:2", replicas=replicas))
    until(lambda: guard_status(world), lambda s: "bakeEndsAt" in s.get("rollout", {}))
    with PodWatcher(world) as watcher:
        note = {"metadata": {"annotations": {"tripswitch.dev/stop": "2/ROLLBACK"}}}
        world.kubectl("patch", "dcb", "web", "--type=merge", "--patch", json.dumps(note))
        until_guard(world, "ROLLBACK_SUCCESSFUL")
    assert images(world) == ["web:1"] * replicas
    assert watcher.fewest_ready >= replicas - 1
    assert find_writes(world)["patch replicasets"] <= MOST_WRITES
