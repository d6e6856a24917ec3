"""A good rollout meets a fault on a real node: nothing is counted, nothing replaced, it COMPLETES."""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from tests.e2e.namespace import Namespace, Object, revision, rollout
from tests.e2e.real import PATIENCE, service
from tests.support.shared_files import read_shared
from tools.cluster.images import PULLED, write_archive
from tools.cluster.real_node import trust_registry
from tools.cluster.registry import Registry
from tools.cluster.slow_registry import SlowRegistry

PULL_SECONDS = 75.0
"""By the kubelet's back-off alone three more attempts would have been made by then."""


def _assert_unharmed(world: Namespace, status: Object, number: int, replicas: int) -> None:
    """No failure of a revision was counted, none told, and none of its pods replaced."""
    assert rollout(status) == "SUCCESSFUL"
    assert status["lastCompletedRevision"] == number
    assert status["circuitBreaker"]["failureCount"] == 0
    assert revision(status, number)["failedTasks"] == 0
    assert revision(status, number)["healthy"] == replicas
    told = {reason for reason, _ in world.events()}
    assert not told & {"PodLaunchFailed", "PodHealthCheckFailed", "CircuitBreakerTriggered"}


def _slow_start(name: str) -> Object:
    """Return the case as a GuardedDeployment: up after 45 s, behind a probe with its defaults."""
    manifest: Object = yaml.safe_load(read_shared("cases/slow-start.yaml"))
    manifest |= {"apiVersion": "tripswitch.dev/v1alpha1", "kind": "GuardedDeployment"}
    manifest["metadata"]["name"] = name
    return manifest


@pytest.mark.own_nodes
def test_a_slow_start_behind_an_ordinary_probe_comes_up_as_it_does_in_a_deployment(
    world: Namespace,
) -> None:
    """F4: 300 s in a first rollout, and three times what the first took in the next ones."""
    manifest = _slow_start("web")
    world.apply(manifest)
    status = world.until(lambda s: rollout(s) != "IN_PROGRESS", seconds=PATIENCE)
    _assert_unharmed(world, status, 1, 1)
    first = revision(status, 1)["readySeconds"]
    assert 45 <= first <= 90
    container = manifest["spec"]["template"]["spec"]["containers"][0]
    container["env"] = [{"name": "VERSION", "value": "2"}]
    world.apply(manifest)
    status = world.until(
        lambda s: s["desiredRevision"] == 2 and rollout(s) != "IN_PROGRESS", seconds=PATIENCE
    )
    _assert_unharmed(world, status, 2, 1)


@pytest.mark.own_nodes
def test_an_image_that_comes_slowly_after_one_refused_pull(
    world: Namespace, tmp_path: Path
) -> None:
    """F2, F8: a registry that throttles. A pull in progress is no failure, nor is its first answer."""
    address = urlsplit(world.api.configuration.host).hostname
    assert address is not None
    host = f"slow-{secrets.token_hex(3)}.test"
    with Registry(tmp_path / "registry", address) as upstream:
        # Of its own: containerd does not pull again what another test has brought to the node.
        own = replace(PULLED, programs=(("bin/of-this-test", host),))
        upstream.push(write_archive(own, tmp_path / "server.tar"), "server:1")
        with SlowRegistry(upstream.url, address, refusals=1, seconds=PULL_SECONDS) as slow:
            node = Path(world.environment.directory) / "cluster" / "real-0"
            trust_registry(node, host, slow.url)
            world.completed(service(2), PATIENCE)
            world.apply(service(2, f"{host}/server:1"))
            status = world.until(
                lambda s: s["desiredRevision"] == 2 and rollout(s) != "IN_PROGRESS",
                seconds=PATIENCE,
            )
            assert slow.refused == 1
            assert slow.pulled >= 1
    _assert_unharmed(world, status, 2, 2)
