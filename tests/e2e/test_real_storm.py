"""Rule R8 on a real kubelet: one that rejects every pod gets few of them, and the rollout completes afterwards."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from tests.e2e.namespace import Namespace, conditions, revision, rollout
from tests.e2e.prober import Prober
from tests.e2e.real import GOOD, NEXT, PATIENCE, service

pytestmark = pytest.mark.own_nodes

MOST_FAILED = 30
"""More than five make a storm, and some are on their way when it is seen. Without the brake each second had some."""


@pytest.fixture
def label(world: Namespace) -> Iterator[str]:
    """A label that the node does not have, and has not after the test."""
    key = f"storm-{secrets.token_hex(3)}"
    yield key
    world.kubectl("label", "node", find_node(world), f"{key}-")


def find_node(world: Namespace) -> str:
    """Return the name of the real node."""
    return str(world.core.list_node().items[0].metadata.name)


def test_r8_a_kubelet_that_rejects_every_pod_gets_few_and_the_good_rollout_waits(
    world: Namespace, label: str
) -> None:
    """Pods that name their node are bound without the scheduler; the kubelet wants a label that it lacks."""
    node = find_node(world)
    wanted = service(2, NEXT)
    wanted["spec"]["template"]["spec"] |= {"nodeName": node, "nodeSelector": {label: "yes"}}
    world.completed(service(2), PATIENCE)
    with Prober(world, GOOD, NEXT) as prober:
        world.apply(wanted)
        status = world.until(
            lambda s: "20 s after the last" in conditions(s).get("PodStorm", {}).get("message", ""),
            seconds=PATIENCE,
        )
        assert "NodeAffinity" in conditions(status)["PodStorm"]["message"]
        assert (rollout(status), status["circuitBreaker"]["failureCount"]) == ("IN_PROGRESS", 0)
        assert 5 < sum(pod.status.phase == "Failed" for pod in world.pods()) <= MOST_FAILED
        world.kubectl("label", "node", node, f"{label}=yes")
        status = world.until(lambda s: rollout(s) != "IN_PROGRESS", seconds=PATIENCE)
    prober.assert_everybody_was_served(at_least=2)
    assert rollout(status) == "SUCCESSFUL"
    assert revision(status, 2)["failedTasks"] == 0
    # The last pods have to stay for 10 s before the storm is over.
    world.until(lambda s: "PodStorm" not in conditions(s), seconds=PATIENCE)
