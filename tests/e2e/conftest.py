"""Each test has a namespace of its own; some have a whole cluster of their own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.namespace import Namespace
from tests.support.environment import Environment
from tools.cluster.control_plane import ControlPlane
from tools.operator_process import OperatorProcess, install, write_kubeconfig


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Everything in this folder needs a cluster: simulated pods, or (``test_real_*``) real ones."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            real = item.path.name.startswith("test_real_")
            item.add_marker(pytest.mark.real if real else pytest.mark.cluster)
    # Pulling the plug, and a registry of our own: only where the nodes are ours.
    if os.environ.get("E2E", "kwok") in ("kind", "current"):
        ours = [item for item in items if item.get_closest_marker("own_nodes")]
        items[:] = [item for item in items if item not in ours]
        config.hook.pytest_deselected(items=ours)


@pytest.fixture
def world(environment: Environment, request: pytest.FixtureRequest) -> Iterator[Namespace]:
    """A fresh namespace in the shared cluster."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
    namespace = f"{words[:48].strip('-')}-{abs(hash(request.node.nodeid)) % 10**6}"
    made = Namespace(environment, namespace)
    made.core.create_namespace({"metadata": {"name": namespace}})
    yield made
    made.core.delete_namespace(namespace)


@dataclass
class OwnCluster:
    """A cluster whose operator a test may kill, starve of rights, or stop."""

    cluster: ControlPlane
    operator: OperatorProcess
    world: Namespace


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[OwnCluster]:
    """A cluster for one test alone, whose operator is not started."""
    with ControlPlane(tmp_path / "cluster") as cluster:
        cluster.add_nodes(2)
        install(cluster.kubectl)
        rights = write_kubeconfig(cluster.kubectl, tmp_path / "operator.kubeconfig")
        environment = Environment(
            provider="kwok",
            kubeconfig=str(cluster.kubeconfig),
            kubectl_path=str(cluster.kubectl_path),
            directory=str(tmp_path),
            audit_log=str(cluster.audit_log),
        )
        operator = OperatorProcess(rights, tmp_path / "operator.log")
        yield OwnCluster(cluster, operator, Namespace(environment, "default"))


@pytest.fixture
def own(empty: OwnCluster) -> Iterator[OwnCluster]:
    """A cluster and an operator for one test alone."""
    with empty.operator:
        yield empty
