"""What can become of a new version on a real kubelet: the images, and what the breaker must say."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.e2e.namespace import Object, guarded
from tools.cluster.images import IMAGES, PORT
from tools.cluster.registry import REGISTRY

GOOD = IMAGES["server"].reference
NEXT = IMAGES["server-next"].reference
PATIENCE = 300.0
"""Seconds: a loaded machine with many scenarios side by side is slow, and that proves nothing."""

STARTUP: Object = {
    "httpGet": {"path": "/", "port": PORT},
    "periodSeconds": 1,
    "failureThreshold": 120,
}
"""The slow starter's probe: it may take two minutes, though it needs 8 s."""

_PROBE: Object = {
    "httpGet": {"path": "/", "port": PORT},
    "periodSeconds": 1,
    "timeoutSeconds": 10,  # on a loaded machine good servers are slow, too; refusals come at once
}
"""Readiness budget (rule F4): 0 + 3 x 1 + 10 = 13 s."""

_NOWHERE: Object = {"httpGet": {"path": "/no-such-page", "port": PORT}, "periodSeconds": 1}


def service(replicas: int, image: str = GOOD, **container: object) -> Object:
    """Return the seed's service: a GuardedDeployment whose pods answer on port 3000."""
    manifest = guarded(replicas=replicas, image=image)
    pod = manifest["spec"]["template"]["spec"]
    pod["terminationGracePeriodSeconds"] = 10
    pod["containers"][0] |= {"readinessProbe": _PROBE, **container}
    return manifest


@dataclass(frozen=True)
class Bad:
    """A version that must trip: how it fails, and what must be said of it.

    ``words`` name the cause to a person, in the status, in an event and in the plugin's tree. ``serves`` is true when its pods are Ready for a while, so that requests to them may fail.
    """

    name: str
    image: str
    kind: str
    reason: str
    words: tuple[str, ...]
    container: str | None = "web"
    extra: Mapping[str, object] = field(default_factory=dict)
    init: bool = False
    sidecar: bool = False
    serves: bool = False

    def manifest(self, replicas: int) -> Object:
        """Return the service with this version of it."""
        manifest = copy.deepcopy(service(replicas, self.image, **self.extra))
        pod = manifest["spec"]["template"]["spec"]
        if self.init:
            pod["initContainers"] = [{"name": "setup", "image": IMAGES["exit-2"].reference}]
        if self.sidecar:
            pod["containers"].append({"name": "proxy", "image": IMAGES["exit-2"].reference})
            # Without a probe it is Ready at every start: H1's own 40 s are what this is about.
            manifest["spec"].pop("minReadySeconds", None)
        if self.serves:
            # A pod that is Ready for a while must not complete the rollout before it fails.
            manifest["spec"]["minReadySeconds"] = 30
        return manifest


def _image(name: str) -> str:
    return IMAGES[name].reference


UNREADY = ("NotReadyInTime", "Readiness probe failed")
PULL = ("container web cannot start: ErrImagePull",)

BAD = (
    Bad("exit-2", _image("exit-2"), "LAUNCH", "Error", ("container web exited 2",)),
    Bad("seed-exit-2", _image("seed-exit-2"), "LAUNCH", "StartError", ("exited 128 (StartError)",)),
    Bad(
        "exits-later",
        _image("exits-later"),
        "HEALTH",
        "Error",
        ("container web exited 1",),
        serves=True,
    ),
    Bad(
        "out-of-memory",
        _image("out-of-memory"),
        "LAUNCH",
        "OOMKilled",
        ("container web exited 137 (OOMKilled)",),
        extra={"resources": {"limits": {"memory": "32Mi"}}},
    ),
    Bad("init-fails", NEXT, "LAUNCH", "Error", ("container setup exited 2",), "setup", init=True),
    Bad(
        "liveness-fails",
        NEXT,
        "HEALTH",
        "Completed",  # told to end, the server ends with 0
        ("container web exited 0 (Completed)", "Liveness probe failed", "404"),
        extra={"livenessProbe": {**_NOWHERE, "initialDelaySeconds": 3}},
        serves=True,
    ),
    Bad("never-ready", _image("silent"), "HEALTH", "NotReadyInTime", UNREADY, container=None),
    Bad(
        "ready-then-lost",
        _image("loses-health"),
        "HEALTH",
        "NotReadyInTime",
        (*UNREADY, "404"),
        container=None,
        serves=True,
    ),
    Bad(
        "sidecar-crashes",
        NEXT,
        "LAUNCH",
        "Error",
        ("container proxy exited 2",),
        "proxy",
        sidecar=True,
    ),
    Bad(
        "missing-tag",
        f"{REGISTRY}/server:missing",
        "LAUNCH",
        "ErrImagePull",
        (*PULL, "server:missing"),
    ),
    Bad(
        "missing-repository",
        f"{REGISTRY}/nothing:1",
        "LAUNCH",
        "ErrImagePull",
        (*PULL, "nothing:1"),
    ),
)


def threshold(replicas: int) -> int:
    """Rule T1, once more and on its own.

    >>> [threshold(replicas) for replicas in (1, 4, 10, 25)]
    [3, 3, 5, 13]
    """
    return min(max(math.ceil(replicas / 2), 3), 200)
