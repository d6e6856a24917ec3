"""Record every way to fail on a real kubelet: ``python -m tests.recordings`` (2 minutes, root)."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.cluster.behaviours import BEHAVIOUR
from tests.cluster.box import BoxError
from tests.cluster.control_plane import ClusterError, ControlPlane
from tests.cluster.images import IMAGES, PORT
from tests.cluster.recorder import Pod, Recorder
from tests.cluster.registry import Registry
from tests.environment import REGISTRY, load_images
from tests.recordings import HERE, Version, save

_SECONDS = 100.0
_PROBE = {"httpGet": {"path": "/", "port": PORT}, "periodSeconds": 1}
_STARTUP = {**_PROBE, "failureThreshold": 60}
# Process 1 that does not end when told to, so that the kubelet kills it.
_DEAF: dict[str, Any] = {"command": ["httpd", "-f", "-p", str(PORT), "-h", "/www"]}
_FAILING = {"httpGet": {"path": "/no", "port": PORT}, "periodSeconds": 1, "initialDelaySeconds": 6}
_NO_ROOM = {"resources": {"requests": {"cpu": "1000"}}}
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
    ]


def main() -> int:
    """Start a real node, run all pods at once, and write what was shown."""
    with tempfile.TemporaryDirectory(prefix="tripswitch-recordings-") as folder:
        base = Path(folder)
        try:
            with ControlPlane(base / "cluster", node="real") as cluster:
                load_images(base, cluster.load_image)
                with Registry(base / "registry", cluster.layout.address) as registry:
                    cluster.real_nodes["real-0"].trust_registry(REGISTRY, registry.url)
                    _record(cluster)
        except (BoxError, ClusterError) as error:
            print(error, file=sys.stderr)
            return 1
    return 0


def _record(cluster: ControlPlane) -> None:
    cluster.kubectl("wait", "--for=create", "serviceaccount/default")
    with Recorder(cluster, "default") as recorder:
        for pod in pods():  # one after the other: the machine shall not be what is recorded
            cluster.kubectl("create", "--filename=-", input=json.dumps(pod))
            time.sleep(2)
        recorder.wait(lambda: False, _SECONDS)
    for name, versions in recorder.pods.items():
        save(name, [Version(*both) for both in zip(recorder.times[name], versions, strict=True)])
        print(f"{HERE / name}.jsonl: {len(versions)} versions")


if __name__ == "__main__":
    sys.exit(main())
