"""The cluster under test: a throwaway one, or whatever KUBECONFIG names (``E2E=``)."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from tests.cluster.control_plane import ControlPlane
from tests.operator_process import OperatorProcess, install, write_kubeconfig

PROVIDERS = ("kwok", "current")

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

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        """Run kubectl as the admin; subprocess.CalledProcessError with stderr if it fails."""
        return subprocess.run(
            [self.kubectl_path, f"--kubeconfig={self.kubeconfig}", *words],
            input=stdin,
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        ).stdout


_running: list[ControlPlane | OperatorProcess] = []


def start_environment(provider: str, directory: Path) -> Environment:
    """Start or find the cluster, install the CRD and the rights, and start the operator."""
    if provider == "kwok":
        cluster = ControlPlane(directory / "cluster")
        cluster.start()
        _running.append(cluster)
        cluster.add_nodes(2)
        environment = Environment(
            provider=provider,
            kubeconfig=str(cluster.kubeconfig),
            kubectl_path=str(cluster.kubectl_path),
            directory=str(directory),
            audit_log=str(cluster.audit_log),
        )
    elif provider == "current":
        kubectl = shutil.which("kubectl")
        if kubectl is None:
            raise RuntimeError("E2E=current needs kubectl on the PATH")
        kubeconfig = os.environ.get("KUBECONFIG", str(Path.home() / ".kube" / "config"))
        environment = Environment(provider, kubeconfig, kubectl, str(directory))
    else:
        raise RuntimeError(f"E2E={provider} is not known; choose one of {', '.join(PROVIDERS)}")
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
