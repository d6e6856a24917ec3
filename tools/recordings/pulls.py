"""Record what a real container runtime says about pulls that fail: ``python -m tools.recordings.pulls``.

It takes seven minutes and needs root: a registry that hangs is given up late.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tools.cluster.control_plane import ControlPlane
from tools.cluster.faulty_registry import FAULTS, FaultyRegistry
from tools.cluster.images import PULLED, write_archive
from tools.cluster.name_server import FAILS, SILENT, NameServer, use_name_server
from tools.cluster.real_node import trust_registry
from tools.cluster.registry import Registry

WORDS = Path(__file__).parents[2] / "tests" / "recordings" / "pulls" / "containerd.json"
SECONDS = 400.0
EVERY = 0.25
_PULLS = ("ErrImagePull", "ImagePullBackOff", "RegistryUnavailable")
_ADDRESS = re.compile(r"\b(?:10|127|169|172|192)(?:\.\d+){3}\b")
_PORT = re.compile(r"192\.0\.2\.1:(?!53\b)\d+")

IMAGES = {
    **{fault: f"faulty.test/{fault}/web:1" for fault in FAULTS},
    "certificate": "certificate.test/web:1",
    "plain-http": "plain.test/web:1",
    "gone": "gone.test/web:1",
    "no-name": "nowhere.invalid/web:1",
    "name-server-fails": "fails.invalid/web:1",
    "name-server-silent": "silent.invalid/web:1",
    "no-tag": "registry.test/server:missing",
    "no-repository": "registry.test/missing:1",
    "no-digest": f"registry.test/server@sha256:{'0' * 64}",
}
"""The image whose pull fails in each way."""
LAST = "hangs"
NAMES = {"fails.invalid": FAILS, "silent.invalid": SILENT}
"""What the node's name server does about these; it answers NXDOMAIN for all others."""


def main() -> None:
    """Start a node and the registries, make all pods at once, and write down what they show."""
    with tempfile.TemporaryDirectory(prefix="tripswitch-pulls-") as folder, ExitStack() as stack:
        base = Path(folder)
        cluster = stack.enter_context(ControlPlane(base / "cluster", node="real"))
        _trust(cluster, base, stack)
        found: dict[str, dict[str, str]] = {name: {} for name in IMAGES}
        # A kubelet pulls one image after the other: what hangs keeps all others waiting.
        for names in ([name for name in IMAGES if name != LAST], [LAST]):
            for name in names:
                cluster.kubectl("create", "-f", "-", input=json.dumps(_pod(name, IMAGES[name])))
            deadline = time.monotonic() + SECONDS
            while time.monotonic() < deadline and not all(found[name] for name in names):
                for pod in json.loads(cluster.kubectl("get", "pods", "-o", "json"))["items"]:
                    _look(pod, found)
                time.sleep(EVERY)
    WORDS.parent.mkdir(exist_ok=True)
    WORDS.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    for name, told in found.items():
        print(f"{name}: {told or 'nothing'}")


def _trust(cluster: ControlPlane, base: Path, stack: ExitStack) -> None:
    """Start the registries and the name server, and say to the node where they are."""
    node, address = base / "cluster" / "real-0", cluster.layout.address
    box = cluster.real_nodes["real-0"].box
    stack.enter_context(NameServer(box.host_address, NAMES))
    use_name_server(base / "cluster", "real-0", box.host_address)
    registry = stack.enter_context(Registry(base / "registry", address))
    registry.push(write_archive(PULLED, base / "server.tar"), "server:1")
    faulty = stack.enter_context(FaultyRegistry(address))
    secret = stack.enter_context(FaultyRegistry(address, _make_certificate(base)))
    for host, url in {
        "registry.test": registry.url,
        "faulty.test": faulty.url,
        "certificate.test": secret.url,
        "plain.test": faulty.url.replace("http:", "https:"),
        "gone.test": f"http://{address}:1",
    }.items():
        trust_registry(node, host, url)


def _make_certificate(folder: Path) -> Path:
    """Return a PEM file with a key and a certificate that signs itself."""
    path = folder / "certificate.pem"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-batch"]
    files = ["-subj", "/CN=certificate.test", "-keyout", str(path), "-out", str(path) + ".crt"]
    subprocess.run([*words, *files], check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


def _pod(name: str, image: str) -> dict[str, Any]:
    container = {"name": "web", "image": image, "imagePullPolicy": "Always"}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 1}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def _look(pod: dict[str, Any], found: dict[str, dict[str, str]]) -> None:
    for status in pod["status"].get("containerStatuses", []):
        waiting = status["state"].get("waiting", {})
        if waiting.get("reason") in _PULLS and waiting.get("message"):
            words = _PORT.sub("192.0.2.1:5000", _ADDRESS.sub("192.0.2.1", waiting["message"]))
            found[pod["metadata"]["name"]].setdefault(waiting["reason"], words)


if __name__ == "__main__":
    main()
