"""Reading pods independently of the operator: how often one failed, and whether it serves."""

from __future__ import annotations

from datetime import datetime
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


def started(pod: Object) -> float | None:
    """Seconds since 1970 at which the last container started to run; None while one does not."""
    states = [one.get("state", {}) for one in pod.get("status", {}).get("containerStatuses", [])]
    if not states or any("running" not in state for state in states):
        return None
    return max(datetime.fromisoformat(s["running"]["startedAt"]).timestamp() for s in states)


def is_ready(pod: Object) -> bool:
    """Whether it serves: Ready, and not on its way out."""
    conditions = pod.get("status", {}).get("conditions", [])
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")


def owner(raw: Object) -> str:
    """UID of the controller of an object."""
    references = raw["metadata"].get("ownerReferences", [])
    return next((ref["uid"] for ref in references if ref.get("controller")), "")
