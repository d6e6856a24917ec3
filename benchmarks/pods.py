"""Reading pods independently of the operator: how often one failed, and whether it serves."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]


def failures(pod: Object) -> int:
    """Ended runs of a pod's app containers: rule F1, said a second time."""
    total = 0
    for one in pod.get("status", {}).get("containerStatuses", []):
        state = one.get("state", {})
        waits_after_end = "waiting" in state and "terminated" in one.get("lastState", {})
        total += one["restartCount"] + int("terminated" in state or waits_after_end)
    return total


CANNOT_START = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "CreateContainerConfigError", "InvalidImageName"}
)


def cannot_start(pod: Object) -> bool:
    """Whether a container that never ran waits for a reason that is its own fault (rule F2)."""
    waits = [
        one["state"].get("waiting", {}).get("reason")
        for one in pod.get("status", {}).get("containerStatuses", [])
        if "terminated" not in one.get("lastState", {})
    ]
    return any(reason in CANNOT_START for reason in waits)


def is_started(pod: Object) -> bool:
    """Whether all containers have started, so that they are asked whether they are ready."""
    containers = pod.get("status", {}).get("containerStatuses", [])
    return bool(containers) and all(one.get("started") for one in containers)


def is_ready(pod: Object) -> bool:
    """Whether it serves: Ready, and not on its way out."""
    conditions = pod.get("status", {}).get("conditions", [])
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")


def owner(raw: Object) -> str:
    """UID of the controller of an object."""
    references = raw["metadata"].get("ownerReferences", [])
    return next((ref["uid"] for ref in references if ref.get("controller")), "")
