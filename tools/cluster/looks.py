"""What a pod looks like to those who watch it: one word for each state, in order."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from tools.cluster.behaviours import BEHAVIOUR, CONTAINER
from tools.cluster.recorder import Pod

# What is seen of the failing container after ContainerCreating: its state, how often it was
# restarted, and S for started, R for ready. Then the phase where the container does not matter.
EXPECTED = {
    "crash": "running/0 SR, Error 2/0, running/1 SR, Error 2/1, CrashLoopBackOff/1, running/2 SR",
    "oom": "running/0 SR, OOMKilled 137/0, running/1 SR, OOMKilled 137/1, CrashLoopBackOff/1",
    "exit-0": "running/0 SR, Completed 0/0, running/1 SR, Completed 0/1, CrashLoopBackOff/1",
    "init-fail": "running/0 S, Error 1/0, running/1 S, Error 1/1, CrashLoopBackOff/1, running/2 S",
    "late-crash": "running/0 SR, Error 1/0, running/1 SR",
    "liveness-kill": "running/0 SR, Error 137/0, running/1 SR, Error 137/1, CrashLoopBackOff/1",
    "start-error": "RunContainerError/0, RunContainerError/1, CrashLoopBackOff/1, "
    "RunContainerError/2, CrashLoopBackOff/2",
    "image-pull": "ErrImagePull/0, ImagePullBackOff/0, ErrImagePull/0",
    "registry-down": "ErrImagePull/0, ImagePullBackOff/0, ErrImagePull/0",
    "config-error": "CreateContainerConfigError/0",
    "invalid-image": "InvalidImageName/0",
    "never-ready": "running/0 S",
    "ready-then-lost": "running/0 SR, running/0 S",
    "slow-mount": "running/0 SR",
    "slow-start": "running/0, running/0 SR",
    "evicted-disruption": "running/0 SR, Failed Evicted",
    "evicted-storage": "running/0 SR, Failed Evicted",
    "out-of-cpu": "Failed OutOfcpu",
    "node-affinity": "Failed NodeAffinity",
    "deadline-exceeded": "running/0 SR, Failed DeadlineExceeded",
    "node-shutdown": "running/0 SR, Failed Terminated",
    "never-pull": "ErrImageNeverPull/0",
    "unsigned": "SignatureValidationFailed/0",
    "create-error": "CreateContainerError/0",
}
"""Simulated pods are held to this by test_stages.py, and real ones by the recordings."""


def seen(versions: list[Pod]) -> list[str]:
    """What the failing container looked like, one after the other, from when it was tried."""
    looks = [look(pod) for pod in versions]
    return [
        look
        for before, look in pairwise(["", *looks])
        if look != before and not re.match("$|PodInitializing", look)
    ]


def look(pod: Pod) -> str:
    if pod["status"].get("phase") == "Failed":
        return f"Failed {pod['status'].get('reason')}"
    return state(subject(pod))


def state(status: dict[str, Any]) -> str:
    """Like ``running/1 SR`` or ``Error 2/1``."""
    if not status:
        return ""
    flags = ("S" if status.get("started") else "") + ("R" if status["ready"] else "")
    end = status["state"].get("terminated")
    shown = f"{end['reason']} {end['exitCode']}" if end else reason(status)
    return f"{shown}/{status['restartCount']} {flags}".strip()


def states(versions: list[Pod], container: str) -> list[str]:
    return [
        state(status)
        for pod in versions
        for status in pod["status"].get("containerStatuses", [])
        if status["name"] == container and reason(status) != "PodInitializing"
    ]


def reason(status: dict[str, Any]) -> str:
    return str(status["state"].get("waiting", {}).get("reason", "running"))


def subject(pod: Pod) -> dict[str, Any]:
    """The status of the container that the behaviour is about; empty before there is one."""
    annotations = pod["metadata"].get("annotations", {})
    default = "setup" if annotations.get(BEHAVIOUR) == "init-fail" else "web"
    name = annotations.get(CONTAINER, default)
    status = pod["status"]
    both = status.get("initContainerStatuses", []) + status.get("containerStatuses", [])
    return next((found for found in both if found["name"] == name), {})
