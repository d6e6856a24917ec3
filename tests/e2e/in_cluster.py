"""Tripswitch as a platform team installs it: the chart on a cluster with one real node."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.namespace import Namespace, Object
from tests.support.environment import Environment
from tools.cluster.control_plane import ControlPlane
from tools.helm import NAMESPACE, RELEASE, Helm
from tools.image.prebuilt import find_image

SELECTOR = f"app.kubernetes.io/name={RELEASE}"


@dataclass
class Installed:
    """A cluster with one real node and the chart on it, and a namespace for users."""

    cluster: ControlPlane
    helm: Helm
    world: Namespace

    def operator_pods(self) -> list[Object]:
        """The operator's pods."""
        words = ("get", "pods", f"--namespace={NAMESPACE}", f"--selector={SELECTOR}", "-ojson")
        found: list[Object] = json.loads(self.cluster.kubectl(*words))["items"]
        return found


@contextmanager
def install_chart(folder: Path, archives: Iterable[Path], *settings: str) -> Iterator[Installed]:
    """Start a cluster, bring images onto its node and install the chart with some settings."""
    archives = [*archives, find_image()]
    with ControlPlane(folder / "cluster", node="real") as cluster:
        for archive in archives:
            cluster.load_image(archive)
        cluster.kubectl("create", "namespace", NAMESPACE)
        restricted = "pod-security.kubernetes.io/enforce=restricted"
        cluster.kubectl("label", f"namespace/{NAMESPACE}", restricted)
        helm = Helm("helm", folder, str(cluster.kubeconfig))
        helm.install(*settings, "--timeout=300s")
        environment = Environment(
            "real",
            str(cluster.kubeconfig),
            str(cluster.kubectl_path),
            str(folder),
            str(cluster.audit_log),
        )
        cluster.kubectl("create", "namespace", "shop")
        yield Installed(cluster, helm, Namespace(environment, "shop"))
