"""A throwaway Kubernetes cluster: a real control plane, simulated nodes, no root, no containers."""

from __future__ import annotations

import json
import signal
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from tools.cluster import ownership
from tools.cluster.box import Box, BoxError, find_obstacle
from tools.cluster.build import ensure
from tools.cluster.components import (
    COMPONENTS,
    CONTROLLERS,
    NODE_PROVIDERS,
    STORE,
    required_programs,
)
from tools.cluster.layout import REAL_NODES, Layout, free_ports, prepare
from tools.cluster.nodes import simulated_node
from tools.cluster.processes import Process, Startable
from tools.cluster.real_node import RealNode, load_image
from tools.cluster.toolchain import Report, say

_START_SECONDS = 180.0
NODE_SECONDS = 180
"""How long a node may take until it is Ready, on a machine that is busy with something else."""
_TRIES = 3  # a free port may be taken by somebody else before the program listens on it


class ClusterError(Exception):
    """The cluster could not be started, or a kubectl command failed."""


class _PortTakenError(ClusterError):
    """A program found its port in use."""


class ControlPlane(Startable):
    """etcd, API server, controller manager, scheduler and kwok, in a directory of their own.

    The directory is emptied at every start; logs stay there after a stop. The programs end with
    this process, however it ends. Only one process can run the cluster of a directory.

        with ControlPlane(Path(".clusters/mine")) as cluster:
            cluster.add_nodes(2)
            print(cluster.kubectl("get", "nodes"))
    """

    def __init__(
        self,
        directory: Path,
        *,
        node: str = "kwok",
        extra_arguments: Mapping[str, Sequence[str]] | None = None,
        audit_bodies: bool = False,
        report: Report = say,
        choose_ports: Callable[[], Mapping[str, int]] = free_ports,
    ) -> None:
        """``node`` names a provider; ``extra_arguments`` go to the named programs, after ours.

        ``audit_bodies``: the audit log also has what each write made of a workload, a DeploymentCircuitBreaker
        or a pod (:class:`tools.cluster.audit.Trail` reads it). It is several times larger.
        """
        self.directory = directory.absolute()
        self.node = node
        self._extra = extra_arguments or {}
        self._audit_bodies = audit_bodies
        self._report = report
        self._choose_ports = choose_ports
        self._claim: ownership.Claim | None = None
        self._layout: Layout | None = None
        self._binaries: dict[str, Path] = {}
        self._processes: dict[str, Process] = {}
        self._boxes: list[Box] = []
        self.real_nodes: dict[str, RealNode] = {}

    def start(self) -> None:
        """Build what is missing, start everything, wait until it is ready.

        Raises ClusterError with the end of the log of the program that failed, AlreadyRunningError
        when another process has this directory, BuildError when a program cannot be built.
        """
        if self._claim is not None:
            raise ownership.AlreadyRunningError(f"the cluster in {self.directory} already runs")
        if self.node == "real" and (obstacle := find_obstacle()):
            raise ClusterError(obstacle)
        self._binaries = ensure(required_programs(self.node), self._report)
        self._claim = ownership.Claim(self.directory)
        try:
            ownership.kill_leftovers(self.directory)
            if self.node == "real":
                # One for each that may join: all their addresses stand in the certificate.
                self._boxes = [Box() for _ in REAL_NODES]
            self._start_on_free_ports()
            if self.node == "real":
                self.add_real_node()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Kill every program and wait for it; the logs stay. Does nothing when nothing runs."""
        for box in reversed(self._boxes):
            box.remove()
        self._boxes = []
        for process in reversed(self._processes.values()):
            process.kill()
        self._processes = {}
        self.real_nodes = {}
        if self._claim is not None:
            self._claim.release()
            self._claim = None

    @property
    def layout(self) -> Layout:
        """Every path, port and token; RuntimeError before the first start."""
        if self._layout is None:
            raise RuntimeError("the cluster was not started")
        return self._layout

    @property
    def server(self) -> str:
        """URL of the API server."""
        return self.layout.server

    @property
    def token(self) -> str:
        """Bearer token of the user ``admin``, who may do everything."""
        return self.layout.tokens["admin"]

    @property
    def kubeconfig(self) -> Path:
        """The admin's kubeconfig file."""
        return self.layout.kubeconfig()

    @property
    def certificate_authority(self) -> Path:
        """PEM file to verify the API server with."""
        return self.layout.certificates / "ca.crt"

    @property
    def logs(self) -> Path:
        """Folder with one log file per program."""
        return self.layout.logs

    @property
    def audit_log(self) -> Path:
        """JSON lines, one per answered request: user, verb, objectRef, responseStatus.code."""
        return self.layout.audit_log

    @property
    def programs(self) -> dict[str, int]:
        """Name and process number of everything that was started."""
        return {name: process.pid for name, process in self._processes.items()}

    @property
    def kubectl_path(self) -> Path:
        """The kubectl of the same version."""
        return self._binaries["kubectl"]

    def kubectl(
        self,
        *arguments: str,
        input: str | None = None,  # noqa: A002 - the word of subprocess.run
        seconds: float = 120,
    ) -> str:
        """Run kubectl as admin and return what it prints; ClusterError with its words if it fails."""
        command = [str(self.kubectl_path), f"--kubeconfig={self.kubeconfig}", *arguments]
        try:
            done = subprocess.run(
                command, input=input, capture_output=True, text=True, check=False, timeout=seconds
            )
        except subprocess.TimeoutExpired as error:
            words = " ".join(arguments)
            raise ClusterError(f"kubectl {words}: it has not ended within {seconds:g} s") from error
        if done.returncode != 0:
            raise ClusterError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def add_nodes(
        self, count: int, *, pods: int = 10_000, prefix: str = "node", reserved: bool = False
    ) -> list[str]:
        """Add simulated nodes with room for ``pods`` pods each; returns their names when Ready.

        ``reserved``: only pods that were placed there come on them (:func:`tools.cluster.nodes.place_on`).
        """
        names, port = [f"{prefix}-{number}" for number in range(count)], self.layout.ports["kwok"]
        items = [simulated_node(name, pods, port, reserved=reserved) for name in names]
        document = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        self.kubectl("create", "-f", "-", input=document)
        targets = [f"node/{name}" for name in names]
        self._wait("condition=Ready", *targets)
        return names

    def add_real_node(self, labels: Mapping[str, str] | None = None) -> RealNode:
        """Start the next real node; returns it when it is Ready. ClusterError when it is not."""
        number = len(self.real_nodes)
        if number >= len(self._boxes):
            raise ClusterError(f"this cluster has room for {len(self._boxes)} real nodes")
        node = RealNode(REAL_NODES[number], self._boxes[number], self.layout, self._binaries)
        self.real_nodes[node.name] = node
        try:
            node.start()
        except BoxError as error:
            raise ClusterError(str(error)) from error
        for program, process in node.processes.items():
            self._processes[f"{node.name}/{program}"] = process
        self._write_state()
        self._wait("create", f"node/{node.name}")
        self._wait("condition=Ready", f"node/{node.name}")
        return node

    def _wait(self, condition: str, *targets: str) -> None:
        """Wait for nodes; ClusterError with kubectl's words if they need longer than it may take."""
        timeout = f"--timeout={NODE_SECONDS}s"
        self.kubectl("wait", f"--for={condition}", timeout, *targets, seconds=NODE_SECONDS + 60)

    def load_image(self, archive: Path) -> None:
        """Bring an image (a docker-archive) onto every real node that was not removed."""
        for node in self.real_nodes.values():
            if not node.is_removed:
                load_image(node.box.pid, archive)

    def pause(self, program: str) -> None:
        """Freeze a program (SIGSTOP): connections stay open, nothing is answered."""
        self._processes[program].send(signal.SIGSTOP)

    def resume(self, program: str) -> None:
        """Let a paused program go on."""
        self._processes[program].send(signal.SIGCONT)

    def restart(self, program: str) -> None:
        """Kill a program and start it again on the same port; returns when it is ready.

        Those of a real node have names like ``real-0/kubelet``.
        """
        process = self._processes[program]
        process.kill()
        if program == "kwok":
            # Each run of kwok has a name of its own, and would wait for the leases to expire.
            self.kubectl("delete", "lease", "--all", "--namespace=kube-node-lease")
        process.start()
        node, _, part = program.rpartition("/")
        if node:
            self.real_nodes[node].await_program(part)
        else:
            self._await_ready([program])
        self._write_state()

    def _start_on_free_ports(self) -> None:
        for attempt in range(1, _TRIES + 1):
            addresses = [
                address for box in self._boxes for address in (box.host_address, box.address)
            ]
            self._layout = prepare(
                self.directory,
                ownership.LOCK,
                self._choose_ports(),
                addresses,
                audit_bodies=self._audit_bodies,
            )
            try:
                self._start_groups()
            except _PortTakenError:
                if attempt == _TRIES:
                    raise
                self._report("a port was taken in the meantime: starting again with others")
                for process in self._processes.values():
                    process.kill()
            else:
                return

    def _start_groups(self) -> None:
        for group in (STORE, CONTROLLERS, NODE_PROVIDERS[self.node]):
            self._start_group(group)

    def _start_group(self, names: Sequence[str]) -> None:
        for name in names:
            arguments = [*COMPONENTS[name].arguments(self.layout), *self._extra.get(name, ())]
            log = self.logs / f"{name}.log"
            self._processes[name] = Process(name, [str(self._binaries[name]), *arguments], log)
            self._processes[name].start()
        self._write_state()
        self._await_ready(names)

    def _await_ready(self, names: Iterable[str]) -> None:
        """Wait until each named program says that it is ready, or has ended."""
        deadline = time.monotonic() + _START_SECONDS
        for name in names:
            process = self._processes[name]
            url = COMPONENTS[name].health_url(name, self.layout)
            while not self._answers(url):
                code = process.exit_code()
                if code is not None:
                    self._fail(process, f"ended with code {code} while starting")
                if time.monotonic() > deadline:
                    self._fail(process, f"was not ready after {_START_SECONDS:.0f} s")
                time.sleep(0.05)

    def _fail(self, process: Process, what: str) -> None:
        text = f"{process.name} {what}. All logs: {self.logs}. The end of its own:"
        tail = process.tail()
        kind = _PortTakenError if "address already in use" in tail else ClusterError
        raise kind(f"{text}\n{tail}")

    def _answers(self, url: str) -> bool:
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {self.token}"})
        trust = ssl.create_default_context(cafile=str(self.certificate_authority))
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust)
        )
        try:
            with opener.open(request, timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _write_state(self) -> None:
        facts = {"kubeconfig": str(self.kubeconfig), "server": self.server}
        boxes = {f"box {node.name}": node.box.pid for node in self.real_nodes.values()}
        ownership.write_state(self.directory, {**self.programs, **boxes}, facts)
