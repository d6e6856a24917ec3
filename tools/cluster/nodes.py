"""The simulated nodes."""

from __future__ import annotations

from tools.cluster.components import SIMULATED_NODE

_NODE_INFO = {
    "architecture": "amd64",
    "operatingSystem": "linux",
    "kubeletVersion": "simulated",
    "containerRuntimeVersion": "kwok://",
    **dict.fromkeys(("bootID", "kernelVersion", "machineID", "osImage", "systemUUID"), ""),
    "kubeProxyVersion": "",
}


RESERVED = "tripswitch.dev/reserved"


def simulated_node(
    name: str, pods: int, kubelet_port: int, *, reserved: bool = False
) -> dict[str, object]:
    """A Node object that kwok keeps alive, with room for ``pods`` pods; its kubelet has logs.

    ``reserved``: only for pods that :func:`place_on` has put there.
    """
    taint = {"key": RESERVED, "value": name, "effect": "NoSchedule"}
    room = {"cpu": "10k", "memory": "100Ti", "ephemeral-storage": "100Ti", "pods": str(pods)}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": dict(SIMULATED_NODE),
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
            },
        },
        "spec": {"taints": [taint] if reserved else []},
        "status": {
            "capacity": room,
            "allocatable": room,
            "addresses": [
                {"type": "InternalIP", "address": "127.0.0.1"},
                {"type": "Hostname", "address": name},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet_port}},
            "nodeInfo": _NODE_INFO,
        },
    }


def place_on(name: str) -> dict[str, object]:
    """Return what a pod template's ``spec`` needs so that its pods come on a reserved node."""
    return {
        "nodeSelector": {"kubernetes.io/hostname": name},
        "tolerations": [{"key": RESERVED, "value": name, "effect": "NoSchedule"}],
    }
