"""The cluster under test, chosen by ``E2E=``: one suite, four providers.

``kwok``     a throwaway control plane with simulated nodes; no root
``real``     the same with a real node: containerd and a kubelet; root, Linux (tools/cluster/box.py)
``kind``     a cluster made by kind for this run; needs Docker (tools/cluster/kind_cluster.py)
``current``  whatever KUBECONFIG names; the images must be there already (tools/cluster/images.py)
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from tools.cluster.build import ensure
from tools.cluster.control_plane import ControlPlane
from tools.cluster.images import PULLED, load_images, write_archive
from tools.cluster.kind_cluster import KindCluster
from tools.cluster.registry import REGISTRY, Registry
from tools.operator_process import OperatorProcess, install, write_kubeconfig

# With the Lease that it has in a cluster; patient, because tests leave a machine little time.
ELECTION = (
    "--leader-elect",
    "--lease-duration=60",
    "--lease-renew-deadline=45",
    "--lease-retry-period=5",
)


@dataclass(frozen=True)
class Environment:
    """Where the cluster is, and what it can do."""

    provider: str
    kubeconfig: str
    kubectl_path: str
    directory: str
    audit_log: str = ""

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The opposite of :meth:`as_dict`, in another process."""
        return cls(**values)

    def as_dict(self) -> dict[str, Any]:
        """Only what can be sent to another process."""
        return asdict(self)

    @property
    def simulated(self) -> bool:
        """Whether kwok plays the kubelets."""
        return self.provider == "kwok"

    @property
    def reaches_pods(self) -> bool:
        """Whether this machine reaches pods at their own addresses."""
        return self.provider == "real"

    @property
    def times(self) -> Path:
        """JSON lines: what the tests measured."""
        return Path(self.directory) / "times.jsonl"

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        """Run kubectl as the admin; subprocess.CalledProcessError with stderr if it fails."""
        try:
            return subprocess.run(
                [self.kubectl_path, f"--kubeconfig={self.kubeconfig}", *words],
                input=stdin,
                check=True,
                capture_output=True,
                text=True,
                timeout=120,
            ).stdout
        except subprocess.CalledProcessError as error:
            error.add_note(error.stderr)
            raise


class _Stoppable(Protocol):
    def stop(self) -> None: ...


_running: list[_Stoppable] = []


def start_environment(provider: str, directory: Path) -> Environment:
    """Start or find the cluster, install the CRD and the rights, and start the operator."""
    if provider not in PROVIDERS:
        raise RuntimeError(f"E2E={provider} is not known; choose one of {', '.join(PROVIDERS)}")
    environment = PROVIDERS[provider](directory)
    install(environment.kubectl)
    rights = write_kubeconfig(environment.kubectl, directory / "operator.kubeconfig")
    operator = OperatorProcess(rights, directory / "operator.log", arguments=ELECTION)
    operator.start()
    _running.append(operator)
    return environment


def stop_environment(environment: Environment) -> None:
    """Stop what was started; the logs stay only where something is to be read in them."""
    while _running:
        _running.pop().stop()
    log = Path(environment.directory) / "operator.log"
    if log.exists() and "Traceback" in log.read_text():
        print(f"\nthe operator's log has a traceback: {log}")
    else:
        shutil.rmtree(environment.directory, ignore_errors=True)


def _throwaway(cluster: ControlPlane, directory: Path) -> Environment:
    return Environment(
        provider=cluster.node,
        kubeconfig=str(cluster.kubeconfig),
        kubectl_path=str(cluster.kubectl_path),
        directory=str(directory),
        audit_log=str(cluster.audit_log),
    )


def _start_simulated(directory: Path) -> Environment:
    cluster = ControlPlane(directory / "cluster")
    cluster.start()
    _running.append(cluster)
    cluster.add_nodes(2)
    return _throwaway(cluster, directory)


def _start_real(directory: Path) -> Environment:
    cluster = ControlPlane(directory / "cluster", node="real")
    cluster.start()
    _running.append(cluster)
    load_images(directory, cluster.load_image)
    registry = Registry(directory / "registry", cluster.layout.address)
    registry.start()
    _running.append(registry)
    registry.push(write_archive(PULLED, directory / "server.tar"), "server:1")
    cluster.real_nodes["real-0"].trust_registry(REGISTRY, registry.url)
    return _throwaway(cluster, directory)


def _start_kind(directory: Path) -> Environment:
    cluster = KindCluster(directory)
    cluster.start()
    _running.append(cluster)
    load_images(directory, cluster.load_image)
    kubectl = ensure(["kubectl"])["kubectl"]
    return Environment("kind", str(cluster.kubeconfig), str(kubectl), str(directory))


def _find_current(directory: Path) -> Environment:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        raise RuntimeError("E2E=current needs kubectl on the PATH")
    kubeconfig = os.environ.get("KUBECONFIG", str(Path.home() / ".kube" / "config"))
    return Environment("current", kubeconfig, kubectl, str(directory))


PROVIDERS: dict[str, Callable[[Path], Environment]] = {
    "kwok": _start_simulated,
    "real": _start_real,
    "kind": _start_kind,
    "current": _find_current,
}
