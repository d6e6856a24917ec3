"""Several operators of one cluster, and what the API server's own books say about them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from tests.e2e.namespace import Namespace
from tests.e2e.tcp_proxy import TcpProxy
from tests.support.environment import Environment
from tools.cluster.audit import AuditLog, Request
from tools.cluster.control_plane import ControlPlane
from tools.operator_process import NAMESPACE, USER, OperatorProcess, install, write_kubeconfig


@dataclass(frozen=True)
class Written:
    """One write that the API server took from an operator, in the order in which it answered."""

    by: str
    """The replica's name."""
    at: float
    """When the server got the request."""
    verb: str
    resource: str
    name: str
    code: int


@dataclass
class Fleet:
    """Replicas that run for one Lease, each through a proxy of its own."""

    cluster: ControlPlane
    world: Namespace
    directory: Path
    proxies: dict[str, TcpProxy] = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def start(self, name: str, *arguments: str) -> OperatorProcess:
        """Start a replica and wait until its caches are filled."""
        return self.start_all([name], *arguments)[0]

    def start_all(self, names: Sequence[str], *arguments: str) -> list[OperatorProcess]:
        """Start several at the same time."""
        started = []
        for name in names:
            options = ("--leader-elect", "--identity", name, *arguments)
            kubeconfig = self._kubeconfig(name)
            operator = OperatorProcess(
                kubeconfig, self.directory / f"{name}.log", arguments=options
            )
            self._stack.callback(operator.stop)
            operator.launch()
            started.append(operator)
        for operator in started:
            operator.wait_until_ready()
        return started

    def _kubeconfig(self, name: str) -> Path:
        path = write_kubeconfig(self.cluster.kubectl, self.directory / f"{name}.kubeconfig")
        config = json.loads(path.read_text())
        target = urlsplit(self.cluster.server)
        assert target.hostname is not None
        assert target.port is not None
        proxy = self._stack.enter_context(TcpProxy(target.hostname, target.port))
        self.proxies[name] = proxy
        config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{proxy.port}"
        path.write_text(json.dumps(config))
        return path

    def lease(self) -> dict[str, Any]:
        """Return the Lease's spec, empty if there is none."""
        found = self.world.custom.list_namespaced_custom_object(
            "coordination.k8s.io",
            "v1",
            NAMESPACE,
            "leases",
            field_selector="metadata.name=tripswitch",
        )["items"]
        spec: dict[str, Any] = found[0]["spec"] if found else {}
        return spec

    def holder(self) -> str:
        """Return the name of the replica that holds the Lease, empty if none does."""
        return str(self.lease().get("holderIdentity", "")).rpartition("_")[0]

    def until_leads(self, name: str, seconds: float = 90.0) -> None:
        """Wait until a replica holds the Lease."""
        self.world.until_true(lambda: self.holder() == name, seconds)

    def writes(self, *, leases: bool = False) -> list[Written]:
        """Return what the operators have written; not what was refused."""
        found = [w for w in self.attempts() if w.code < 400]
        return [w for w in found if (w.resource == "leases") == leases]

    def attempts(self) -> list[Written]:
        """Return every write that an operator has asked for."""
        asked = AuditLog(self.cluster.audit_log, whole=True).read()
        return [write for write in map(_read, asked) if write is not None]


def assert_one_at_a_time(fleet: Fleet) -> list[str]:
    """Assert that no replica wrote while another held the Lease; return the names in order.

    The Lease's own writes say who held it: what another has written lies between two of them.
    """
    turns: list[str] = []
    for write in sorted(fleet.writes(), key=lambda write: write.at):
        if not turns or turns[-1] != write.by:
            turns.append(write.by)
    assert len(turns) == len(set(turns)), f"they took turns: {turns}"
    held: dict[str, list[float]] = {}
    for write in fleet.writes(leases=True):
        held.setdefault(write.by, []).append(write.at)
    for write in fleet.writes():
        assert write.at >= min(held[write.by]), f"{write} without ever having held the lease"
    for before, after in pairwise(turns):
        last = max(write.at for write in fleet.writes() if write.by == before)
        assert last < min(held[after]), f"{before} wrote when {after} had the lease"
    return turns


def _read(request: Request) -> Written | None:
    agent = str(request.raw.get("userAgent", ""))
    if request.user != USER or not request.writes or not agent.startswith("tripswitch/"):
        return None
    return Written(
        by=agent.removeprefix("tripswitch/").rpartition("_")[0],
        at=datetime.fromisoformat(request.raw["requestReceivedTimestamp"]).timestamp(),
        verb=request.verb,
        resource=request.resource,
        name=request.name,
        code=request.code,
    )


@contextmanager
def run_fleet(directory: Path) -> Iterator[Fleet]:
    """A cluster without any operator, and the means to start some."""
    with ControlPlane(directory / "cluster") as cluster:
        cluster.add_nodes(2)
        install(cluster.kubectl)
        environment = Environment(
            provider="kwok",
            kubeconfig=str(cluster.kubeconfig),
            kubectl_path=str(cluster.kubectl_path),
            directory=str(directory),
            audit_log=str(cluster.audit_log),
        )
        with Fleet(cluster, Namespace(environment, "default"), directory) as fleet:
            yield fleet
