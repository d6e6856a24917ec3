"""What nodes and people do to pods is not the new version's fault: none of it ever trips.

On a cluster of two real nodes, so that pods have somewhere else to go.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client

from tests.e2e.namespace import Namespace, Object, revision, rollout
from tests.e2e.prober import Prober
from tests.e2e.real import GOOD, NEXT, PATIENCE, STARTUP, service
from tests.support.environment import Environment
from tools.cluster.control_plane import ControlPlane
from tools.cluster.images import IMAGES, load_images
from tools.cluster.real_node import SOCKET
from tools.operator_process import OperatorProcess, install, write_kubeconfig

pytestmark = pytest.mark.own_nodes

SLOW = IMAGES["slow-starter"].reference
LEAVE_SOON = [
    {
        "key": f"node.kubernetes.io/{what}",
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": 2,
    }
    for what in ("not-ready", "unreachable")
]


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ControlPlane, Environment]]:
    """Two real nodes; the controller takes one for lost after 20 s instead of 50."""
    folder = tmp_path_factory.mktemp("two-nodes")
    sooner = {"kube-controller-manager": ["--node-monitor-grace-period=20s"]}
    with ControlPlane(folder / "cluster", node="real", extra_arguments=sooner) as cluster:
        cluster.add_real_node()
        load_images(folder, cluster.load_image)
        install(cluster.kubectl)
        rights = write_kubeconfig(cluster.kubectl, folder / "operator.kubeconfig")
        environment = Environment(
            provider="real",
            kubeconfig=str(cluster.kubeconfig),
            kubectl_path=str(cluster.kubectl_path),
            directory=str(folder),
        )
        with OperatorProcess(rights, folder / "operator.log"):
            yield cluster, environment


@pytest.fixture
def two(nodes: tuple[ControlPlane, Environment]) -> Namespace:
    """A namespace on the two nodes."""
    cluster, environment = nodes
    namespace = f"disruption-{secrets.token_hex(3)}"
    cluster.kubectl("create", "namespace", namespace)
    return Namespace(environment, namespace)


def _slow(replicas: int, **pod: object) -> Object:
    manifest = service(replicas, SLOW, startupProbe=STARTUP)
    manifest["spec"]["template"]["spec"] |= pod
    return manifest


def _held(manifest: Object) -> Object:
    """Keep a rollout from ending before what happens to it; the same one without this ends it."""
    return manifest | {"spec": manifest["spec"] | {"minReadySeconds": 600}}


def _completed_without_a_failure(world: Namespace) -> Object:
    status = world.until(
        lambda s: s["desiredRevision"] == 2 and rollout(s) != "IN_PROGRESS", seconds=PATIENCE
    )
    assert rollout(status) == "SUCCESSFUL"
    assert status["lastCompletedRevision"] == 2
    assert revision(status, 2)["failedTasks"] == 0
    return status


def _new_pods(world: Namespace, node: str | None = None) -> list[Any]:
    """Pods of the slow starter whose container runs (on a node)."""
    return [
        pod
        for pod in world.pods()
        if pod.spec.containers[0].image == SLOW
        and pod.status.phase == "Running"
        and node in (None, pod.spec.node_name)
    ]


def test_a_cordoned_node(two: Namespace) -> None:
    """It takes no more pods; the other one does."""
    two.completed(service(4), PATIENCE)
    two.environment.kubectl("cordon", "real-1")
    try:
        with Prober(two, GOOD, NEXT) as prober:
            two.apply(service(4, NEXT))
            _completed_without_a_failure(two)
        prober.assert_everybody_was_served(at_least=4)
        assert {pod.spec.node_name for pod in two.pods()} == {"real-0"}
    finally:
        two.environment.kubectl("uncordon", "real-1")


def test_a_node_that_is_drained_in_the_middle_of_a_rollout(two: Namespace) -> None:
    """Old and new pods on it are evicted, and made again on the other one."""
    two.completed(service(4), PATIENCE)
    two.apply(_held(_slow(4)))
    try:
        two.until_true(lambda: _new_pods(two, "real-1"), PATIENCE)
        two.environment.kubectl("drain", "real-1", "--pod-selector=app=web", "--timeout=90s")
        assert rollout(two.status()) == "IN_PROGRESS"
        two.apply(_slow(4))
        _completed_without_a_failure(two)
        assert {pod.spec.node_name for pod in two.pods()} == {"real-0"}
    finally:
        two.environment.kubectl("uncordon", "real-1")


def test_a_new_pod_that_is_evicted(two: Namespace) -> None:
    """Through the API, as autoscalers do."""
    two.completed(service(4), PATIENCE)
    with Prober(two, GOOD) as prober:
        two.apply(_held(_slow(4)))
        victim = two.until_true(lambda: _new_pods(two), PATIENCE)[0].metadata.name
        eviction = client.V1Eviction(metadata=client.V1ObjectMeta(name=victim))
        two.core.create_namespaced_pod_eviction(victim, two.namespace, eviction)
        two.until_true(lambda: len(_new_pods(two)) == 4, PATIENCE)
        assert victim not in [pod.metadata.name for pod in two.pods()]
        assert revision(two.status(), 2)["failedTasks"] == 0
    assert prober.failures == []
    two.apply(_slow(4))
    _completed_without_a_failure(two)


def test_a_container_of_the_old_revision_that_is_killed(
    two: Namespace, nodes: tuple[ControlPlane, Environment]
) -> None:
    """It restarts, which is counted in its pod, but not against the new revision."""
    two.completed(service(2), PATIENCE)
    victim = two.pods()[0]
    two.apply(_held(_slow(2)))
    two.until_true(lambda: _new_pods(two), PATIENCE)
    container = victim.status.container_statuses[0].container_id.removeprefix("containerd://")
    box = nodes[0].real_nodes[victim.spec.node_name].box
    ctr = ("ctr", f"--address={SOCKET}", "--namespace=k8s.io")
    box.run(*ctr, "tasks", "kill", "--signal=SIGKILL", container)

    def restarted() -> bool:
        pod = two.core.read_namespaced_pod(victim.metadata.name, two.namespace)
        return bool(pod.status.container_statuses[0].restart_count == 1)

    two.until_true(restarted, PATIENCE)
    two.apply(_slow(2))
    _completed_without_a_failure(two)


def test_a_node_that_vanishes_in_the_middle_of_a_rollout(
    two: Namespace, nodes: tuple[ControlPlane, Environment]
) -> None:
    """A third node's plug is pulled while new pods start on it; nothing says goodbye."""
    cluster, environment = nodes
    two.completed(service(6), PATIENCE)
    node = cluster.add_real_node()
    load_images(cluster.directory, cluster.load_image)
    two.apply(_held(_slow(6, tolerations=LEAVE_SOON)))
    lost = two.until_true(lambda: _new_pods(two, node.name), PATIENCE)
    node.remove()
    two.apply(_slow(6, tolerations=LEAVE_SOON))
    status = _completed_without_a_failure(two)
    assert status["circuitBreaker"]["failureCount"] == 0
    left = {pod.metadata.uid for pod in two.pods()}
    assert left.isdisjoint(pod.metadata.uid for pod in lost)
    conditions = json.loads(environment.kubectl("get", "node", node.name, "--output=json"))
    ready = {c["type"]: c["status"] for c in conditions["status"]["conditions"]}["Ready"]
    assert ready == "Unknown"
    environment.kubectl("delete", "node", node.name)


def test_a_node_that_dies_before_its_pods_were_ready(
    two: Namespace, nodes: tuple[ControlPlane, Environment]
) -> None:
    """V3: nobody says that they are not Ready any more, because they never were.

    They are late long before they are evicted: after a revision that was Ready at once they have 60 s.
    """
    cluster, environment = nodes
    two.completed(service(6), PATIENCE)
    node = cluster.add_real_node()
    load_images(cluster.directory, cluster.load_image)
    stay = [one | {"tolerationSeconds": 90} for one in LEAVE_SOON]
    late = service(6, SLOW)
    late["spec"]["template"]["spec"]["tolerations"] = stay
    two.apply(_held(late))
    lost = two.until_true(lambda: _new_pods(two, node.name), PATIENCE)
    assert not any(_is_ready(pod) for pod in lost)
    node.remove()
    two.apply(late)
    status = _completed_without_a_failure(two)
    assert status["circuitBreaker"]["failureCount"] == 0
    left = {pod.metadata.uid for pod in two.pods()}
    assert left.isdisjoint(pod.metadata.uid for pod in lost)
    environment.kubectl("delete", "node", node.name)


def _is_ready(pod: Any) -> bool:
    conditions = pod.status.conditions or []
    return any(one.type == "Ready" and one.status == "True" for one in conditions)
