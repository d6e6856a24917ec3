"""Real pulls: a registry that is down, and one that comes back."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.e2e.namespace import Namespace, breaker, revision, rollout
from tests.e2e.prober import Prober
from tests.e2e.real import GOOD, PATIENCE, service
from tools.cluster.images import PULLED, write_archive
from tools.cluster.real_node import trust_registry
from tools.cluster.registry import Registry

pytestmark = pytest.mark.own_nodes


@dataclass
class DownRegistry:
    """A registry that has the image and does not answer, until it is started."""

    registry: Registry
    image: str


@pytest.fixture
def down(world: Namespace, tmp_path: Path) -> Iterator[DownRegistry]:
    """A registry of the test's own, at an address that the node reaches."""
    address = urlsplit(world.api.configuration.host).hostname
    assert address is not None
    host = f"down-{secrets.token_hex(3)}.test"
    registry = Registry(tmp_path / "registry", address)
    with registry:
        registry.push(write_archive(PULLED, tmp_path / "server.tar"), "server:1")
    trust_registry(Path(world.environment.directory) / "cluster" / "real-0", host, registry.url)
    yield DownRegistry(registry, f"{host}/server:1")
    registry.stop()


def test_a_registry_that_is_down_trips_and_a_retry_completes_when_it_is_back(
    world: Namespace, down: DownRegistry
) -> None:
    """F8 with a policy, then C1: tried again by a person who knows that it was not at fault."""
    rule = {"action": "Count", "onReasons": ["RegistryUnavailable"]}
    wanted = service(4, down.image)
    wanted["spec"]["deploymentConfiguration"] = breaker(failurePolicy={"rules": [rule]})
    world.completed(service(4), PATIENCE)
    with Prober(world, GOOD, down.image) as prober:
        world.apply(wanted)
        status = world.until_rollout("ROLLBACK_SUCCESSFUL", seconds=PATIENCE)
        assert "connection refused" in str(status["circuitBreaker"]["failures"])
        down.registry.start()
        world.annotate("web", "retry", "the registry is back")
        status = world.until(
            lambda s: rollout(s) == "SUCCESSFUL" and s["rollout"]["revision"] == 2,
            seconds=PATIENCE,
        )
    prober.assert_everybody_was_served(at_least=4)
    assert status["lastCompletedRevision"] == 2


def test_f8_a_registry_that_is_down_counts_nothing_and_the_rollout_completes_when_it_is_back(
    world: Namespace, down: DownRegistry
) -> None:
    world.completed(service(4), PATIENCE)
    with Prober(world, GOOD, down.image) as prober:
        world.apply(service(4, down.image))
        status = world.until(
            lambda s: "connection refused" in s["rolloutStateReason"], seconds=PATIENCE
        )
        assert status["circuitBreaker"]["failureCount"] == 0
        down.registry.start()
        status = world.until(lambda s: rollout(s) != "IN_PROGRESS", seconds=PATIENCE)
    prober.assert_everybody_was_served(at_least=4)
    assert rollout(status) == "SUCCESSFUL"
    assert status["lastCompletedRevision"] == 2
    assert revision(status, 2)["failedTasks"] == 0
