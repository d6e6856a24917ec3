"""The command line of every program, and how to see that it is ready.

Limits that protect a production cluster from its clients are raised, so that tests and benchmarks
meet the programs' own speed; what changes behaviour is left at its default.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tools.cluster.layout import CLIENT_BURST, CLIENT_QPS, Layout
from tools.cluster.ports import LOOPBACK

SIMULATED_NODE = {"kwok.x-k8s.io/node": "fake"}
"""The annotation that tells kwok which nodes are its own; a real node can stand beside them."""


@dataclass(frozen=True)
class Component:
    """One program: its arguments, and the path on its port that answers 200 when it is ready."""

    arguments: Callable[[Layout], list[str]]
    health: str
    scheme: str = "https"

    def health_url(self, name: str, layout: Layout) -> str:
        """Where to ask."""
        address = layout.address if name == "kube-apiserver" else LOOPBACK
        return f"{self.scheme}://{address}:{layout.ports[name]}{self.health}"


def _etcd(layout: Layout) -> list[str]:
    clients = f"http://{LOOPBACK}:{layout.ports['etcd']}"
    peers = f"http://{LOOPBACK}:{layout.ports['etcd-peer']}"
    return [
        f"--data-dir={layout.directory / 'etcd'}",
        f"--listen-client-urls={clients}",
        f"--advertise-client-urls={clients}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=default={peers}",
        "--unsafe-no-fsync",
        "--quota-backend-bytes=8589934592",
        "--log-level=warn",
    ]


def _serving(name: str, layout: Layout, address: str = LOOPBACK) -> list[str]:
    return [
        f"--bind-address={address}",
        f"--secure-port={layout.ports[name]}",
        f"--tls-cert-file={layout.certificates / 'server.crt'}",
        f"--tls-private-key-file={layout.certificates / 'server.key'}",
    ]


def _apiserver(layout: Layout) -> list[str]:
    key = layout.certificates / "service-account.key"
    return [
        *_serving("kube-apiserver", layout, layout.address),
        *_endpoint(layout),
        f"--cert-dir={layout.certificates}",
        f"--etcd-servers=http://{LOOPBACK}:{layout.ports['etcd']}",
        "--authorization-mode=Node,RBAC",
        f"--token-auth-file={layout.settings('tokens.csv')}",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--max-requests-inflight=3000",
        "--max-mutating-requests-inflight=1500",
        f"--audit-policy-file={layout.settings('audit.yaml')}",
        f"--audit-log-path={layout.audit_log}",
        # In megabytes: never. 0 would mean 100, and what is read from it would end there.
        "--audit-log-maxsize=1000000",
    ]


def _endpoint(layout: Layout) -> list[str]:
    """How pods reach the API server, and how it reaches kubelets."""
    if layout.address == LOOPBACK:
        # No pod can reach a loopback address, so there is no endpoint to announce.
        return [
            "--endpoint-reconciler-type=none",
            "--kubelet-preferred-address-types=InternalIP",
        ]
    return [
        f"--advertise-address={layout.address}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--kubelet-certificate-authority={layout.certificates / 'ca.crt'}",
        f"--kubelet-client-certificate={layout.certificates / 'server.crt'}",
        f"--kubelet-client-key={layout.certificates / 'server.key'}",
    ]


def _controller_manager(layout: Layout) -> list[str]:
    busy = ("deployment", "replicaset", "endpoint", "service-endpoint", "namespace")
    return [
        *_serving("kube-controller-manager", layout),
        f"--kubeconfig={layout.kubeconfig('system:kube-controller-manager')}",
        "--leader-elect=false",
        # Each controller under a name of its own in the audit log, and with its own rights.
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={layout.certificates / 'service-account.key'}",
        f"--root-ca-file={layout.certificates / 'ca.crt'}",
        f"--kube-api-qps={CLIENT_QPS}",
        f"--kube-api-burst={CLIENT_BURST}",
        *(f"--concurrent-{name}-syncs=20" for name in busy),
        "--concurrent-gc-syncs=40",
        "--concurrent-resource-quota-syncs=10",
        "--horizontal-pod-autoscaler-sync-period=2s",
    ]


def _scheduler(layout: Layout) -> list[str]:
    return [
        *_serving("kube-scheduler", layout),
        f"--config={layout.settings('scheduler.yaml')}",
    ]


def _kwok(layout: Layout) -> list[str]:
    selector = ",".join(f"{key}={value}" for key, value in SIMULATED_NODE.items())
    return [
        f"--kubeconfig={layout.kubeconfig('kwok')}",
        f"--config={layout.settings('kwok.yaml')}",
        f"--manage-nodes-with-annotation-selector={selector}",
        f"--server-address={LOOPBACK}:{layout.ports['kwok']}",
        f"--tls-cert-file={layout.certificates / 'server.crt'}",
        f"--tls-private-key-file={layout.certificates / 'server.key'}",
        "-v=WARN",
    ]


# In the order of starting: the programs of a group start together, when the group before is ready.
STORE = ("etcd", "kube-apiserver")
CONTROLLERS = ("kube-controller-manager", "kube-scheduler")
# Beside a real node there may be simulated ones.
NODE_PROVIDERS: Mapping[str, tuple[str, ...]] = {"kwok": ("kwok",), "real": ("kwok",)}
NODE_PROGRAMS = ("kubelet", "kube-proxy")

COMPONENTS: Mapping[str, Component] = {
    "etcd": Component(_etcd, "/health", "http"),
    "kube-apiserver": Component(_apiserver, "/readyz"),
    "kube-controller-manager": Component(_controller_manager, "/healthz"),
    "kube-scheduler": Component(_scheduler, "/healthz"),
    "kwok": Component(_kwok, "/healthz", "http"),
}


def required_programs(node: str) -> list[str]:
    """Every program a cluster with this kind of node needs, kubectl too."""
    of_node = NODE_PROGRAMS if node == "real" else ()
    return [*STORE, *CONTROLLERS, *NODE_PROVIDERS[node], *of_node, "kubectl"]
