"""Real pulls by name: the DNS name of a registry that goes, comes back, or never was.

A node asks one name server, at one port, so these tests run one after the other (``tests/conftest.py``).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.e2e.namespace import Namespace, revision, rollout
from tests.e2e.prober import Prober
from tests.e2e.real import PATIENCE, service
from tools.cluster.images import PULLED, Image, write_archive
from tools.cluster.name_server import NameServer, forget_name_server, use_name_server
from tools.cluster.real_node import trust_registry
from tools.cluster.registry import Registry

pytestmark = pytest.mark.own_nodes


@dataclass
class NamedRegistry:
    """A registry that the node finds by a name, which can be taken away."""

    host: str
    name: str
    address: str
    names: dict[str, str]

    def publish(self) -> None:
        """Let the name have an address from now on."""
        self.names[self.name] = self.address

    def withdraw(self) -> None:
        """Let no name server know the name any more."""
        del self.names[self.name]


@pytest.fixture
def named(world: Namespace, tmp_path: Path) -> Iterator[NamedRegistry]:
    """A registry with two versions, whose name a name server of the test's own tells the node."""
    address, word = urlsplit(world.api.configuration.host).hostname, secrets.token_hex(3)
    assert address is not None
    cluster = Path(world.environment.directory) / "cluster"
    found = NamedRegistry(f"named-{word}.test", f"registry-{word}.test", address, {})
    with Registry(tmp_path / "registry", address) as registry, NameServer(address, found.names):
        for tag in ("1", "2"):
            image = Image(f"named-{tag}", (*PULLED.command[:2], f": {tag}; {PULLED.command[2]}"))
            registry.push(write_archive(image, tmp_path / f"{tag}.tar"), f"web:{tag}")
        port = registry.location.rpartition(":")[2]
        trust_registry(cluster / "real-0", found.host, f"http://{found.name}:{port}")
        use_name_server(cluster, "real-0", address)
        found.publish()
        yield found
        forget_name_server(cluster, "real-0")


def test_f8_a_registry_whose_name_is_gone_counts_nothing_if_it_was_there_before(
    world: Namespace, named: NamedRegistry
) -> None:
    """And the good rollout completes when the name is back."""
    first = f"{named.host}/web:1"
    world.completed(service(2, first), PATIENCE)
    with Prober(world, first, f"{named.host}/web:2") as prober:
        named.withdraw()
        world.apply(service(2, f"{named.host}/web:2", imagePullPolicy="Always"))
        status = world.until(lambda s: "no such host" in s["rolloutStateReason"], seconds=PATIENCE)
        assert status["circuitBreaker"]["failureCount"] == 0
        named.publish()
        status = world.until(lambda s: rollout(s) != "IN_PROGRESS", seconds=PATIENCE)
    prober.assert_everybody_was_served(at_least=2)
    assert rollout(status) == "SUCCESSFUL"
    assert revision(status, 2)["failedTasks"] == 0


def test_f8_a_registry_whose_name_never_was_trips(world: Namespace, named: NamedRegistry) -> None:
    """As with a typing error in the image."""
    world.completed(service(2, f"{named.host}/web:1"), PATIENCE)
    world.apply(service(2, f"no-{named.name}/web:2"))
    status = world.until_rollout("ROLLBACK_SUCCESSFUL", seconds=PATIENCE)
    assert "no such host" in revision(status, 2)["reason"]
    assert "no such host" in str(status["circuitBreaker"]["failures"])
