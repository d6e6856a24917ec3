"""Real pulls: a registry that is down, and one that comes back."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.e2e.namespace import Namespace, breaker, conditions, revision, rollout
from tests.e2e.prober import Prober
from tests.e2e.real import GOOD, PATIENCE, service
from tools.cluster.faulty_registry import FaultyRegistry
from tools.cluster.images import PULLED, Image, write_archive
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


@dataclass
class Outage:
    """A registry that can be exchanged for one that denies access."""

    node: Path
    host: str
    good: str
    bad: str

    def begin(self) -> None:
        """From now on the node is denied access."""
        trust_registry(self.node, self.host, self.bad)

    def end(self) -> None:
        """From now on the node gets its images."""
        trust_registry(self.node, self.host, self.good)


@pytest.fixture
def outage(world: Namespace, tmp_path: Path) -> Iterator[Outage]:
    """A registry with two versions in a repository that the faulty one denies access to."""
    address = urlsplit(world.api.configuration.host).hostname
    assert address is not None
    with Registry(tmp_path / "registry", address) as registry, FaultyRegistry(address) as faulty:
        for tag in ("1", "2"):
            image = Image(f"outage-{tag}", (*PULLED.command[:2], f": {tag}; {PULLED.command[2]}"))
            registry.push(write_archive(image, tmp_path / f"{tag}.tar"), f"status-401/web:{tag}")
        node = Path(world.environment.directory) / "cluster" / "real-0"
        found = Outage(node, f"outage-{secrets.token_hex(3)}.test", registry.url, faulty.url)
        found.end()
        yield found


def test_f9_a_registry_that_denies_everybody_is_an_outage_and_the_good_rollout_waits(
    world: Namespace, outage: Outage
) -> None:
    """A bad tag fails for what it is meanwhile."""
    other = service(2, f"{outage.host}/status-401/web:1", imagePullPolicy="Always")
    other["metadata"]["name"] = "other"
    other["spec"]["selector"]["matchLabels"] = {"app": "other"}
    other["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    missing = service(1, f"{outage.host}/status-404/web:1")
    missing["metadata"]["name"] = "missing"
    missing["spec"]["selector"]["matchLabels"] = {"app": "missing"}
    missing["spec"]["template"]["metadata"]["labels"] = {"app": "missing"}
    world.completed(other, PATIENCE)
    world.completed(service(2), PATIENCE)
    outage.begin()
    victim = world.pods("other")[0].metadata.name
    world.kubectl("delete", "pod", victim, "--wait=false")
    world.until(lambda s: "RegistryOutage" in conditions(s), "other", PATIENCE)
    with Prober(world, GOOD, f"{outage.host}/status-401/web:2") as prober:
        world.apply(service(2, f"{outage.host}/status-401/web:2", imagePullPolicy="Always"))
        status = world.until(lambda s: "RegistryOutage" in conditions(s), seconds=PATIENCE)
        told = conditions(status)["RegistryOutage"]["message"]
        assert f"registry {outage.host} denies access" in told
        assert "1 pod of completed revisions of 1 workload" in told
        world.apply(missing)
        world.until_rollout("FAILED", "missing", PATIENCE)
        status = world.status()
        assert (rollout(status), status["circuitBreaker"]["failureCount"]) == ("IN_PROGRESS", 0)
        outage.end()
        status = world.until(lambda s: rollout(s) != "IN_PROGRESS", seconds=PATIENCE)
    prober.assert_everybody_was_served(at_least=2)
    assert rollout(status) == "SUCCESSFUL"
    assert revision(status, 2)["failedTasks"] == 0
    world.until(lambda s: "RegistryOutage" not in conditions(s), seconds=PATIENCE)
