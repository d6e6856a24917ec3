"""A cluster of our own for the demo: real containers where there can be any, else simulated ones."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tools.cluster.box import find_obstacle
from tools.cluster.control_plane import ControlPlane
from tools.cluster.images import IMAGES, PORT, REPOSITORY, write_archive
from tools.cluster.registry import Registry
from tools.demo.acts import Place
from tools.demo.feed import Object
from tools.operator_process import OperatorProcess, install, write_kubeconfig


@contextmanager
def throwaway_cluster() -> Iterator[Place]:
    """Start a cluster and the operator beside it; nothing is left afterwards."""
    obstacle = find_obstacle()
    with tempfile.TemporaryDirectory(prefix="tripswitch-demo-") as directory, ExitStack() as stack:
        base = Path(directory)
        cluster = ControlPlane(base / "cluster", node="kwok" if obstacle else "real")
        if obstacle:
            print(f"Simulated containers: {obstacle}.")
            print("Starting etcd, a real API server, its controllers, and two simulated nodes ...")
        else:
            print("Real containers. Starting etcd, an API server, its controllers, a kubelet ...")
        stack.enter_context(cluster)
        if obstacle:
            cluster.add_nodes(2)
        else:
            _bring_images(cluster, base, stack)
        install(cluster.kubectl)
        rights = write_kubeconfig(cluster.kubectl, base / "operator.kubeconfig")
        log = base / "operator.log"
        stack.enter_context(OperatorProcess(rights, log))
        yield Place(
            kubectl=cluster.kubectl,
            command=[str(cluster.kubectl_path), f"--kubeconfig={cluster.kubeconfig}"],
            namespace="default",
            adapt=_leave_as_it_is if obstacle else _use_local_images,
            log=log,
        )


def _bring_images(cluster: ControlPlane, base: Path, stack: ExitStack) -> None:
    """The good image onto the node, and a registry that says of the missing one that it is."""
    cluster.load_image(write_archive(IMAGES["server"], base / "server.tar"))
    registry = stack.enter_context(Registry(base / "registry", cluster.layout.address))
    cluster.real_nodes["real-0"].trust_registry(REPOSITORY, registry.url)


def _leave_as_it_is(_: Object) -> None:
    """Simulated pods pull nothing."""


def _use_local_images(manifest: Object) -> None:
    """The samples' nginx cannot be pulled from here: a busybox server of our own takes its place."""
    pod = manifest["spec"]["template"]["spec"]
    pod["terminationGracePeriodSeconds"] = 10
    for container in pod["containers"]:
        good = not container["image"].endswith("no-such-tag")
        container["image"] = IMAGES["server"].reference if good else f"{REPOSITORY}/server:missing"
        container["readinessProbe"]["httpGet"]["port"] = PORT
