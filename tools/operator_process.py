"""The operator as a process of its own, under the least privilege it ships with.

``python -m tools.operator_process up|down`` does the same for a cluster started by hand.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tools.cluster.control_plane import ClusterError
from tools.cluster.ports import free_port
from tools.cluster.processes import Startable, fork, leashed

ROOT = Path(__file__).parents[1]
NAMESPACE = "tripswitch-system"
USER = f"system:serviceaccount:{NAMESPACE}:tripswitch"
"""Who the operator is to the API server, as its audit log says."""
START_SECONDS = 60.0

Kubectl = Callable[..., str]


class OperatorError(Exception):
    """The operator could not be started."""


def install(kubectl: Kubectl) -> None:
    """Apply the CRD and the operator's ServiceAccount with its rights, and wait for the API."""
    kubectl("apply", "--server-side", "--filename", str(ROOT / "crds"))
    kubectl("apply", "--filename", str(ROOT / "manifests" / "rbac.yaml"))
    await_served(kubectl)


def await_served(kubectl: Kubectl) -> None:
    """Wait until the API server serves GuardedDeployments; its error if it never does."""
    # `kubectl wait` gives up on an object that has no conditions yet.
    deadline = time.monotonic() + START_SECONDS
    served = ("get", "--raw", "/apis/tripswitch.dev/v1alpha1/guardeddeployments?limit=1")
    while True:
        try:
            kubectl(*served)
        except (ClusterError, subprocess.CalledProcessError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def write_kubeconfig(kubectl: Kubectl, path: Path) -> Path:
    """Write a kubeconfig of the operator's own ServiceAccount."""
    token = kubectl(
        "create", "token", "tripswitch", "--namespace", NAMESPACE, "--duration=24h"
    ).strip()
    admin = json.loads(kubectl("config", "view", "--raw", "--minify", "--output=json"))
    cluster = admin["clusters"][0]["cluster"]
    if "certificate-authority" in cluster:
        authority = Path(cluster.pop("certificate-authority")).read_bytes()
        cluster["certificate-authority-data"] = base64.b64encode(authority).decode()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "tripswitch",
        "clusters": [{"name": "cluster", "cluster": cluster}],
        "users": [{"name": "tripswitch", "user": {"token": token}}],
        "contexts": [
            {"name": "tripswitch", "context": {"cluster": "cluster", "user": "tripswitch"}}
        ],
    }
    path.write_text(json.dumps(config))
    path.chmod(0o600)
    return path


class OperatorProcess(Startable):
    """One operator, in a process that tests may kill, pause and start again.

    It ends with the process that started it, however that one ends, unless it is to ``outlive`` it.
    """

    def __init__(
        self,
        kubeconfig: Path,
        log: Path,
        *,
        arguments: Sequence[str] = (),
        variables: Mapping[str, str] | None = None,
        outlive: bool = False,
    ) -> None:
        self.kubeconfig = kubeconfig
        self.log = log
        self.arguments = list(arguments)
        self.variables = dict(variables or {})
        self._outlive = outlive
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process number."""
        assert self._process is not None, "the operator was not started"
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until its caches are filled.

        Raises OperatorError with the end of its log when it ends instead.
        """
        self.launch()
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Wait until its caches are filled.

        Raises OperatorError with the end of its log when it ends instead.
        """
        deadline = time.monotonic() + START_SECONDS
        while not self.is_ready():
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                tail = "\n".join(self.log.read_text().splitlines()[-25:])
                raise OperatorError(
                    f"the operator did not become ready; {self.log} ends with\n{tail}"
                )
            time.sleep(0.05)

    def launch(self) -> None:
        """Start it without waiting."""
        self.port = free_port()
        command = [sys.executable, "-m", "tripswitch.shell", "--kubeconfig", str(self.kubeconfig)]
        command += ["--health-port", str(self.port), *self.arguments]
        with self.log.open("ab") as log:
            self._process = fork(
                command if self._outlive else leashed(command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.variables},
            )

    def is_ready(self) -> bool:
        """Whether it says that it is."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}/readyz", timeout=2
            ) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def has_ended(self) -> bool:
        """Whether it has ended by itself."""
        return self._process is not None and self._process.poll() is not None

    def metrics(self) -> str:
        """Return what it tells Prometheus."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
            return str(answer.read().decode())

    def wait(self, seconds: float) -> int:
        """Wait until it ends by itself; return its exit code."""
        assert self._process is not None, "the operator was not started"
        return self._process.wait(seconds)

    def kill(self) -> None:
        """End it with SIGKILL, as a node failure would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order; with SIGKILL after 20 s."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """Stop the process in its tracks (SIGSTOP)."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on."""
        os.kill(self.pid, signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(how)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def main(arguments: list[str] | None = None) -> int:
    """Run the operator beside a cluster that ``python -m tools.cluster up`` started."""
    parser = argparse.ArgumentParser(prog="python -m tools.operator_process")
    parser.add_argument("command", choices=("up", "down"))
    parser.add_argument("--name", default="default")
    options = parser.parse_args(arguments)
    directory = ROOT / ".clusters" / options.name
    pid_file = directory / "operator.pid"
    if options.command == "down":
        return _down(pid_file)
    _down(pid_file)

    def kubectl(*words: str) -> str:
        command = [str(directory / "kubectl"), *words]
        environment = {**os.environ, "KUBECONFIG": str(directory / "kubeconfig")}
        return subprocess.run(
            command, env=environment, check=True, capture_output=True, text=True
        ).stdout

    install(kubectl)
    log = directory / "logs" / "operator.log"
    kubeconfig = write_kubeconfig(kubectl, directory / "operator.kubeconfig")
    operator = OperatorProcess(kubeconfig, log, outlive=True)
    operator.start()
    pid_file.write_text(f"{operator.pid} {_start_time(operator.pid)}\n")
    print(f"operator runs; its log: {log}")
    print("try:  kubectl apply -f manifests/samples/web.yaml && kubectl get gdeploy -w")
    return 0


def _down(pid_file: Path) -> int:
    """End the operator that ``up`` left; never a stranger with the same process number."""
    if pid_file.exists():
        pid, started = pid_file.read_text().split()
        pid_file.unlink()
        if _start_time(int(pid)) == started:
            os.kill(int(pid), signal.SIGTERM)
            print("operator stopped")
    return 0


def _start_time(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


if __name__ == "__main__":
    sys.exit(main())
