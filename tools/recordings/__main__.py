"""Record pods on a real kubelet: ``python -m tools.recordings [name ...]`` (2 minutes, root).

Without names every way to fail, and what only looks like one, is recorded again.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tools.cluster.behaviours import BEHAVIOUR
from tools.cluster.box import BoxError
from tools.cluster.control_plane import ClusterError, ControlPlane
from tools.cluster.images import IMAGES, PORT, load_images
from tools.cluster.real_node import SOCKET
from tools.cluster.recorder import Pod, Recorder
from tools.cluster.registry import REGISTRY, Registry
from tools.recordings import RECORDED, Version, save

# An in-place resize is not among them: a kubelet without cgroups of its own for pods, as this node's
# is, ends with an error when it is asked for one (Kubernetes 1.36.3).

_SECONDS = 100.0
_SETTLED = 10.0
"""Seconds after which something is done to the pods of ``ACTIONS``."""
_PROBE = {"httpGet": {"path": "/", "port": PORT}, "periodSeconds": 1}
_STARTUP = {**_PROBE, "failureThreshold": 60}
# Process 1 that does not end when told to, so that the kubelet kills it.
_DEAF: dict[str, Any] = {"command": ["httpd", "-f", "-p", str(PORT), "-h", "/www"]}
_FAILING = {"httpGet": {"path": "/no", "port": PORT}, "periodSeconds": 1, "initialDelaySeconds": 6}
_NO_ROOM = {"resources": {"requests": {"cpu": "1000"}}}
_WELL = {"command": ["true"]}
_HOST_PORT: dict[str, Any] = {"ports": [{"containerPort": PORT, "hostPort": 31999}]}
_CONFIG = {"configMapKeyRef": {"name": "missing", "key": "any"}}


def _pod(name: str, image: str, pod: dict[str, Any] | None = None, **container: Any) -> Pod:
    """Return a pod; it carries the name of the simulated behaviour that should look the same."""
    main = {"name": "web", "image": image, **container}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "annotations": {BEHAVIOUR: name}},
        "spec": {"containers": [main], "terminationGracePeriodSeconds": 1, **(pod or {})},
    }


def _restart_all(image: str) -> Pod:
    """Return a pod of which one container asks once that all of them are restarted (KEP-5532)."""
    shared: dict[str, Any] = {"volumeMounts": [{"name": "shared", "mountPath": "/shared"}]}
    once = "test -e /shared/done && exec sleep 9999; touch /shared/done; sleep 6; exit 88"
    rule = {
        "action": "RestartAllContainers",
        "exitCodes": {"operator": "In", "values": [88]},
    }
    lasting = {"image": image, "command": ["sh", "-c", "exec sleep 9999"]}
    others: dict[str, Any] = {
        "initContainers": [
            {"name": "setup", "image": image, "command": ["true"]},
            {"name": "mesh", "restartPolicy": "Always", **lasting},
        ],
        "volumes": [{"name": "shared", "emptyDir": {}}],
    }
    pod = _pod(
        "restart-all",
        image,
        others,
        command=["sh", "-c", once],
        restartPolicy="Never",
        restartPolicyRules=[rule],
        **shared,
    )
    pod["spec"]["containers"].append({"name": "log", **lasting})
    return pod


def _own_policies(image: dict[str, str]) -> list[Pod]:
    """Return pods of which a container has a restart policy of its own (KEP-5307)."""
    warm_up = {"name": "warm-up", "image": image["server"], "command": ["true"]}
    completes = _pod("completes", image["server"])
    completes["spec"]["containers"].append({**warm_up, "restartPolicy": "OnFailure"})
    check = {"name": "setup", "image": image["server"], "command": ["sh", "-c", "exit 1"]}
    never: dict[str, Any] = {"initContainers": [{**check, "restartPolicy": "Never"}]}
    return [completes, _pod("init-never", image["server"], never)]


def pods() -> list[Pod]:
    """Return one pod for each way."""
    image = {name: made.reference for name, made in IMAGES.items()}
    exits = {"name": "setup", "image": image["exit-2"], "command": ["sh", "-c", "exit 1"]}
    return [
        _pod("normal", image["server"]),
        _pod("crash", image["exit-2"]),
        _pod("exit-0", image["exit-2"], command=["sh", "-c", "exit 0"]),
        _pod("start-error", image["seed-exit-2"]),
        _pod("late-crash", image["exits-later"]),
        _pod("oom", image["out-of-memory"], resources={"limits": {"memory": "32Mi"}}),
        _pod("init-fail", image["server"], {"initContainers": [exits]}),
        _pod("liveness-kill", image["server"], livenessProbe=_FAILING, **_DEAF),
        _pod("never-ready", image["silent"], readinessProbe=_PROBE),
        _pod("ready-then-lost", image["loses-health"], readinessProbe=_PROBE),
        _pod("slow-start", image["slow-starter"], readinessProbe=_PROBE, startupProbe=_STARTUP),
        _pod("image-pull", f"{REGISTRY}/server:missing"),
        _pod("invalid-image", "Not/An:Image"),
        _pod("config-error", image["server"], env=[{"name": "X", "valueFrom": _CONFIG}]),
        _pod("out-of-cpu", image["server"], {"nodeName": "real-0"}, **_NO_ROOM),
        _restart_all(image["server"]),
        *_own_policies(image),
        _pod("sandbox-killed", image["silent"], {"initContainers": [{**exits, **_WELL}]}),
        _pod(_HOLDER, image["server"], {"nodeName": "real-0"}, **_HOST_PORT),
        _pod("port-taken", image["server"], {"nodeName": "real-0"}, **_HOST_PORT),
    ]


def _kill_sandbox(cluster: ControlPlane) -> None:
    """End the pause process of a pod: the kubelet makes a new sandbox and runs everything again."""
    box = cluster.real_nodes["real-0"].box
    ctr = ("ctr", f"--address={SOCKET}", "--namespace=k8s.io")
    labels = 'labels."io.kubernetes.pod.name"==sandbox-killed', "sandbox"
    sandbox = box.run(
        *ctr, "containers", "list", "--quiet",
        f'{labels[0]},labels."io.cri-containerd.kind"=={labels[1]}',
    ).strip()  # fmt: skip
    box.run(*ctr, "tasks", "kill", "--signal=SIGKILL", sandbox)


_HOLDER = "port-holder"
"""A pod that has the port that another one asks for; it is not recorded."""

ACTIONS: Mapping[str, Callable[[ControlPlane], None]] = {
    "sandbox-killed": _kill_sandbox,
}
"""What is done to a pod once it runs."""


def main(names: list[str]) -> int:
    """Start a real node, run the pods at once, and write what was shown."""
    chosen = [pod for pod in pods() if not names or pod["metadata"]["name"] in names]
    with tempfile.TemporaryDirectory(prefix="tripswitch-recordings-") as folder:
        base = Path(folder)
        try:
            with ControlPlane(base / "cluster", node="real") as cluster:
                load_images(base, cluster.load_image)
                with Registry(base / "registry", cluster.layout.address) as registry:
                    cluster.real_nodes["real-0"].trust_registry(REGISTRY, registry.url)
                    _record(cluster, chosen)
        except (BoxError, ClusterError) as error:
            print(error, file=sys.stderr)
            return 1
    return 0


def _record(cluster: ControlPlane, chosen: list[Pod]) -> None:
    cluster.kubectl("wait", "--for=create", "serviceaccount/default")
    with Recorder(cluster, "default") as recorder:
        for pod in chosen:  # one after the other: the machine shall not be what is recorded
            cluster.kubectl("create", "--filename=-", input=json.dumps(pod))
            time.sleep(2)
        recorder.wait(lambda: False, _SETTLED)
        for name in {pod["metadata"]["name"] for pod in chosen} & set(ACTIONS):
            ACTIONS[name](cluster)
        recorder.wait(lambda: False, _SECONDS - _SETTLED)
    recorder.pods.pop(_HOLDER, None)
    for name, versions in recorder.pods.items():
        save(name, [Version(*both) for both in zip(recorder.times[name], versions, strict=True)])
        print(f"{RECORDED / name}.jsonl: {len(versions)} versions")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
