"""Where one cluster keeps its files, and the files that are written before it starts."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tools.cluster.certificates import write_certificates, write_private
from tools.cluster.ports import LOOPBACK, free_port
from tools.cluster.stages import write_stages

REPOSITORY = Path(__file__).parents[2]
CLUSTERS = REPOSITORY / ".clusters"
"""Where clusters have their directories unless somebody says otherwise; git does not see it."""

SERVICE_ADDRESS = "10.96.0.1"
"""Where pods on a real node find the API server."""

# Requests per second of each controller: about what a small machine can answer. With no limit
# they only fill the API server's queues, until it closes watches that it cannot serve in time.
CLIENT_QPS = 300
CLIENT_BURST = 100

REAL_NODES = ("real-0", "real-1", "real-2", "real-3")
"""Names that real nodes may have: a kubelet's user is named after its node."""

CLUSTER_DNS = "10.96.0.10"
"""What pods on a real node ask for names. Nobody answers: no test needs names inside a cluster."""

# User name -> groups. Everybody has a token and a name of their own, so that the audit log tells
# who made a request. The built-in RBAC roles for the two system users are bound by name.
USERS = {
    "admin": ["system:masters"],
    "system:kube-controller-manager": [],
    "system:kube-scheduler": [],
    "kwok": ["system:masters"],
    "system:kube-proxy": [],
    **{f"system:node:{name}": ["system:nodes"] for name in REAL_NODES},
}

_PORTS = (
    "etcd",
    "etcd-peer",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kwok",
)


@dataclass(frozen=True)
class Layout:
    """Paths, ports and tokens of one cluster."""

    directory: Path
    ports: Mapping[str, int]
    tokens: dict[str, str]
    address: str = LOOPBACK

    @property
    def server(self) -> str:
        """URL of the API server."""
        return f"https://{self.address}:{self.ports['kube-apiserver']}"

    @property
    def certificates(self) -> Path:
        """Folder of keys and certificates."""
        return self.directory / "certificates"

    @property
    def logs(self) -> Path:
        """Folder with one log per program, and the audit log."""
        return self.directory / "logs"

    @property
    def audit_log(self) -> Path:
        """One JSON line per request that the API server answered."""
        return self.logs / "audit.log"

    def kubeconfig(self, user: str = "admin") -> Path:
        """The kubeconfig file of one of ``USERS``; the admin's is the one for people."""
        name = "kubeconfig" if user == "admin" else f"kubeconfig-{user.rpartition(':')[2]}"
        return self.directory / name

    def settings(self, name: str) -> Path:
        """A configuration file made for one of the programs."""
        return self.directory / "settings" / name


def prepare(
    directory: Path,
    lock_name: str,
    ports: Mapping[str, int],
    addresses: Sequence[str] = (),
    *,
    audit_bodies: bool = False,
) -> Layout:
    """Empty the folder (all but the lock), choose tokens, write every file.

    The API server is at the first of the addresses, the others stand in its certificate, too.
    ``audit_bodies``: see :class:`~tools.cluster.control_plane.ControlPlane`.
    """
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != lock_name:
            path.unlink()
    tokens = {user: secrets.token_urlsafe(24) for user in USERS}
    layout = Layout(directory, ports, tokens, address=[*addresses, LOOPBACK][0])
    write_certificates(layout.certificates, [LOOPBACK, SERVICE_ADDRESS, *addresses])
    layout.settings("").mkdir()
    layout.logs.mkdir()
    write_private(layout.settings("tokens.csv"), _token_file(layout).encode())
    for user in USERS:
        write_private(layout.kubeconfig(user), yaml.safe_dump(_kubeconfig(layout, user)).encode())
    layout.settings("audit.yaml").write_text(yaml.safe_dump(_audit_policy(bodies=audit_bodies)))
    layout.settings("scheduler.yaml").write_text(yaml.safe_dump(_scheduler(layout)))
    write_stages(layout.settings("kwok.yaml"))
    return layout


def free_ports() -> dict[str, int]:
    """A port that is free now for each listener."""
    found: set[int] = set()
    while len(found) < len(_PORTS):
        found.add(free_port())
    return dict(zip(_PORTS, found, strict=True))


def _with_subresources(*plurals: str) -> list[str]:
    return [f"{plural}{sub}" for plural in plurals for sub in ("", "/status", "/scale")]


_AUDIT_BODIES = {
    "level": "RequestResponse",
    "verbs": ["create", "update", "patch", "delete", "deletecollection"],
    "resources": [
        {"group": "", "resources": ["pods", "pods/status"]},
        {
            "group": "apps",
            "resources": _with_subresources("replicasets", "deployments", "statefulsets"),
        },
        {
            "group": "tripswitch.dev",
            "resources": _with_subresources("guardeddeployments", "deploymentcircuitbreakers"),
        },
    ],
}


def _audit_policy(*, bodies: bool) -> dict[str, Any]:
    """One line for every request: who, verb, object, answer. A watch gives two, at start and end."""
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "omitManagedFields": True,
        "rules": [*([_AUDIT_BODIES] if bodies else []), {"level": "Metadata"}],
    }


def _token_file(layout: Layout) -> str:
    lines = [
        f'{layout.tokens[user]},{user},{user},"{",".join(groups)}"'
        for user, groups in USERS.items()
    ]
    return "\n".join(lines) + "\n"


def _kubeconfig(layout: Layout, user: str) -> dict[str, Any]:
    name = f"tripswitch-{layout.directory.name}"
    cluster = {
        "server": layout.server,
        "certificate-authority": str(layout.certificates / "ca.crt"),
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": user, "user": {"token": layout.tokens[user]}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
        "current-context": name,
    }


def _scheduler(layout: Layout) -> dict[str, Any]:
    return {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "leaderElection": {"leaderElect": False},
        "clientConnection": {
            "kubeconfig": str(layout.kubeconfig("system:kube-scheduler")),
            "qps": CLIENT_QPS,
            "burst": CLIENT_BURST,
        },
    }
