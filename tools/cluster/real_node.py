"""A real node: containerd, runc, a kubelet and kube-proxy, in a box of their own.

What is set is what such a small machine needs; what a pod's status looks like, and when (back-offs,
probes, the order of things), is left at the kubelet's defaults, because that is what is tested.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tools.cluster.box import Box, BoxError, enter, run
from tools.cluster.images import PAUSE, write_archive
from tools.cluster.layout import CLUSTER_DNS, Layout
from tools.cluster.ownership import alive, read_state
from tools.cluster.processes import Process

SOCKET = "/run/containerd/containerd.sock"
_CNI_PROGRAMS = "/usr/lib/cni"
_HEALTH_PORTS = {"kubelet": 10248, "kube-proxy": 10256}
_SECONDS = 180.0


class RealNode:
    """One node of a cluster. The programs end with the box, and the box with this process."""

    def __init__(self, name: str, box: Box, layout: Layout, binaries: Mapping[str, Path]) -> None:
        self.name = name
        self.box = box
        self.is_removed = False
        self._layout = layout
        self._folder = layout.directory / name
        self.processes = {
            program: Process(f"{name}-{program}", box.command(*words), self._log(program))
            for program, words in {
                "containerd": ["containerd", f"--config={self._folder / 'containerd.toml'}"],
                "kubelet": [str(binaries["kubelet"]), *self._kubelet_arguments()],
                "kube-proxy": [str(binaries["kube-proxy"]), *self._proxy_arguments()],
            }.items()
        }

    def start(self) -> None:
        """Start everything; BoxError with the end of a log when a program ends instead."""
        (self._folder / "cni").mkdir(parents=True)
        (self._folder / "certs.d").mkdir()
        self._write("containerd.toml", _containerd(self._folder, self.box))
        self._write("cni/10-pods.conflist", json.dumps(_pod_network(self.box)))
        self._write("kubelet.yaml", yaml.safe_dump(self._kubelet_settings()))
        self.processes["containerd"].start()
        self.await_program("containerd")
        load_image(self.box.pid, write_archive(PAUSE, self._folder / "pause.tar"))
        self.processes["kubelet"].start()
        self.processes["kube-proxy"].start()
        self.await_program("kubelet")
        self.await_program("kube-proxy")

    def trust_registry(self, host: str, url: str) -> None:
        """Make images of ``host`` come from the registry at ``url``, over plain HTTP."""
        trust_registry(self._folder, host, url)

    def remove(self) -> None:
        """Pull the plug: nothing on the node gets a chance to say goodbye."""
        self.is_removed = True
        self.box.remove()
        for process in self.processes.values():
            process.kill()

    def await_program(self, program: str) -> None:
        """Wait until a program is ready; BoxError with the end of its log when it never is."""
        process, deadline = self.processes[program], time.monotonic() + _SECONDS
        while not self._is_ready(program):
            if process.exit_code() is not None or time.monotonic() > deadline:
                raise BoxError(
                    f"{program} of {self.name} did not become ready; the end of its log, "
                    f"{process.log}:\n{process.tail()}"
                )
            time.sleep(0.1)

    def _is_ready(self, program: str) -> bool:
        if program in _HEALTH_PORTS:
            return _answers(f"http://{self.box.address}:{_HEALTH_PORTS[program]}/healthz")
        try:
            self.box.run("ctr", f"--address={SOCKET}", "version")
        except BoxError:
            return False
        return True

    def _log(self, program: str) -> Path:
        return self._layout.logs / f"{self.name}-{program}.log"

    def _write(self, name: str, text: str) -> None:
        (self._folder / name).write_text(text)

    def _kubelet_arguments(self) -> list[str]:
        return [
            f"--config={self._folder / 'kubelet.yaml'}",
            f"--kubeconfig={self._layout.kubeconfig(f'system:node:{self.name}')}",
            f"--hostname-override={self.name}",
            f"--node-ip={self.box.address}",
            "--root-dir=/var/lib/kubelet",
        ]

    def _proxy_arguments(self) -> list[str]:
        return [
            f"--kubeconfig={self._layout.kubeconfig('system:kube-proxy')}",
            f"--hostname-override={self.name}",
            "--proxy-mode=nftables",
            f"--cluster-cidr={self.box.pod_network}",
            "--conntrack-max-per-core=0",
            f"--healthz-bind-address={self.box.address}:10256",
            "--metrics-bind-address=127.0.0.1:10249",
        ]

    def _kubelet_settings(self) -> dict[str, Any]:
        certificates = self._layout.certificates
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": self.box.address,
            "healthzBindAddress": self.box.address,
            # Only the API server's certificate opens it; then everything may be asked.
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": False},
                "x509": {"clientCAFile": str(certificates / "ca.crt")},
            },
            "authorization": {"mode": "AlwaysAllow"},
            "tlsCertFile": str(certificates / "server.crt"),
            "tlsPrivateKeyFile": str(certificates / "server.key"),
            "containerRuntimeEndpoint": f"unix://{SOCKET}",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": self.box.cgroup,
            "cgroupsPerQOS": False,
            "enforceNodeAllocatable": [],
            "failCgroupV1": False,
            "failSwapOn": False,
            "localStorageCapacityIsolation": False,
            "clusterDNS": [CLUSTER_DNS],
            "clusterDomain": "cluster.local",
            "maxPods": 250,
            # A full disk is the machine's business; no pod shall be evicted for it.
            "evictionHard": {"memory.available": "0%", "nodefs.available": "0%"},
            "imageGCHighThresholdPercent": 100,
        }


def load_image(pid: int, archive: Path) -> None:
    """Import a docker-archive into the node whose box has this process 1."""
    words = ["ctr", f"--address={SOCKET}", "--namespace=k8s.io", "images", "import", "-"]
    run(enter(pid, *words), archive.read_bytes())


def load_into(directory: Path, archive: Path) -> list[str]:
    """Import a docker-archive into every real node of the cluster in a folder; returns their names.

    For other processes than the one that runs the cluster. Raises BoxError when there is no node.
    """
    programs = read_state(directory).get("programs", {})
    boxes = {
        label.removeprefix("box "): entry
        for label, entry in programs.items()
        if label.startswith("box ") and alive(entry)
    }
    if not boxes:
        raise BoxError(f"no cluster with a real node runs in {directory}")
    for entry in boxes.values():
        load_image(entry["pid"], archive)
    return list(boxes)


def trust_registry(folder: Path, host: str, url: str) -> None:
    """The same as the method, for other processes; ``folder`` is the node's."""
    target = folder / "certs.d" / host
    target.mkdir(parents=True, exist_ok=True)
    (target / "hosts.toml").write_text(
        f'server = "{url}"\n[host."{url}"]\n  capabilities = ["pull", "resolve"]\n'
    )


def _containerd(folder: Path, box: Box) -> str:
    return f"""version = 2
root = "{folder / "containerd"}"
state = "/run/containerd"
[grpc]
  address = "{SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE.reference}"
  # Without CAP_SYS_RESOURCE (in many containers and virtual machines) no pod could start.
  restrict_oom_score_adj = true
  # Inside another container there may be no such files.
  disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  SystemdCgroup = false
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{_CNI_PROGRAMS}"
  conf_dir = "{folder / "cni"}"
[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "{folder / "certs.d"}"
"""


def _pod_network(box: Box) -> dict[str, Any]:
    """Each pod has a cable of its own to the node, which routes.

    With the bridge plugin, answers between two pods of one service would bypass kube-proxy, unless
    the kernel has the br_netfilter module.
    """
    addresses = {"type": "host-local", "ranges": [[{"subnet": box.pod_network}]]}
    return {
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [{"type": "ptp", "ipam": {**addresses, "routes": [{"dst": "0.0.0.0/0"}]}}],
    }


def _answers(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
