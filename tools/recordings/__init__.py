"""What a real API server showed of real pods, kept as test data: one file per way to fail.

``python -m tools.recordings`` writes the files (a real node is needed). Each line is one version of
the pod, without what nobody looks at, and the moment it was seen (seconds since the Unix epoch).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.cluster.recorder import Pod

RECORDED = Path(__file__).parents[2] / "tests" / "recordings"
_CONTAINER = ("name", "restartPolicy", "restartPolicyRules", "resizePolicy")
_CONDITION_NOISE = ("lastProbeTime", "observedGeneration")


@dataclass(frozen=True)
class Version:
    """A pod as it was seen at a moment."""

    at: float
    pod: Pod


def names() -> list[str]:
    """Every recording there is."""
    return sorted(path.stem for path in RECORDED.glob("*.jsonl"))


def load(name: str) -> list[Version]:
    """One recording, in order."""
    lines = (RECORDED / f"{name}.jsonl").read_text().splitlines()
    return [Version(**json.loads(line)) for line in lines]


def save(name: str, versions: list[Version]) -> None:
    """Write one recording."""
    lines = [
        json.dumps({"at": round(version.at, 3), "pod": _trim(version.pod)}, separators=(",", ":"))
        for version in versions
    ]
    (RECORDED / f"{name}.jsonl").write_text("\n".join(lines) + "\n")


def _trim(pod: Pod) -> Pod:
    """Keep what the operator could look at."""
    metadata, status = pod["metadata"], dict(pod["status"])
    kept = ("name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp",
            "annotations")  # fmt: skip
    status.pop("podIPs", None)
    status.pop("hostIPs", None)
    status["conditions"] = [
        {key: value for key, value in condition.items() if key not in _CONDITION_NOISE}
        for condition in status.get("conditions", [])
    ]
    for group in ("containerStatuses", "initContainerStatuses"):
        if group in status:
            status[group] = [_trim_container(container) for container in status[group]]
    spec = pod["spec"]
    containers = {
        group: [{key: one[key] for key in _CONTAINER if key in one} for one in spec[group]]
        for group in ("containers", "initContainers")
        if group in spec
    }
    return {
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        "spec": {"nodeName": spec.get("nodeName", ""), **containers},
        "status": status,
    }


def _trim_container(status: dict[str, Any]) -> dict[str, Any]:
    """Without volumes, resources and image digests."""
    kept = ("name", "ready", "started", "restartCount", "image", "state", "lastState")
    return {key: status[key] for key in kept if key in status}
