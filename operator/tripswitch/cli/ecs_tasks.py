"""Containers of an ECS task definition -> containers of a pod. Pure.

Only what means the same is converted; the rest is told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Raw = Mapping[str, Any]

CONVERTED = frozenset(
    {"name", "image", "entryPoint", "command", "environment", "portMappings", "healthCheck"}
)
INSTEAD = {
    "cpu": "set resources.requests and resources.limits",
    "memory": "set resources.requests and resources.limits",
    "memoryReservation": "set resources.requests",
    "secrets": "make a Secret and use env valueFrom",
    "logConfiguration": "kubectl logs, or the cluster's log collector",
    "dependsOn": "use init containers",
    "mountPoints": "use volumes and volumeMounts",
    "restartPolicy": "the kubelet restarts containers, and each restart counts as a failure",
}


def read_containers(
    raw: list[Raw], name: str, image: str | None
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the containers, and notes about what they lack.

    Args:
        raw: ``containerDefinitions`` in the API's words; may be empty.
        name: For a container of which nothing is known.
        image: For a container whose image is not known.
    """
    notes: list[str] = []
    containers = [_convert(one, name, image, notes) for one in raw if isinstance(one, Mapping)]
    if not containers:
        if image is None:
            notes.append("the task definition is not in the file: fill in the container's image")
        containers = [{"name": name, "image": image or "FILL-IN"}]
    bare = [one["name"] for one in containers if "readinessProbe" not in one]
    if bare:
        notes.append(
            f"no health check in container {', '.join(bare)}: a pod counts as healthy after 40 s, "
            "as in ECS; add a readinessProbe"
        )
    return containers, notes


def _convert(raw: Raw, name: str, image: str | None, notes: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"name": _label(str(raw.get("name") or name))}
    given = raw.get("image")
    if not isinstance(given, str) or given.startswith("!"):
        if image is None:
            notes.append(
                f"the image of container {found['name']} is computed elsewhere: fill it in"
            )
        given = image or "FILL-IN"
    found["image"] = given
    # Docker's ENTRYPOINT is Kubernetes' command, Docker's CMD its args.
    for theirs, ours in (("entryPoint", "command"), ("command", "args")):
        if isinstance(raw.get(theirs), list):
            found[ours] = [str(word) for word in raw[theirs]]
    ports = [_port(one) for one in raw.get("portMappings") or () if isinstance(one, Mapping)]
    if ports:
        found["ports"] = ports
    environment = raw.get("environment")
    if isinstance(environment, list) and environment:
        found["env"] = [
            {"name": str(one.get("name")), "value": str(one.get("value"))}
            for one in environment
            if isinstance(one, Mapping)
        ]
    if isinstance(raw.get("healthCheck"), Mapping):
        found["readinessProbe"] = _probe(raw["healthCheck"])
        notes.append(
            f"the health check of container {found['name']} is its readinessProbe; add a "
            "livenessProbe if it shall be restarted after the rollout, too"
        )
    for key, value in raw.items():
        if key in CONVERTED or value in (None, [], {}, "", 0, False) or key == "essential":
            continue
        instead = INSTEAD.get(key, "look for a field of the container of the same meaning")
        notes.append(f"not converted: {key} of container {found['name']}: {instead}")
    return found


def _port(raw: Raw) -> dict[str, Any]:
    found: dict[str, Any] = {"containerPort": int(raw.get("containerPort") or 80)}
    if str(raw.get("protocol") or "tcp").lower() != "tcp":
        found["protocol"] = str(raw["protocol"]).upper()
    return found


def _probe(raw: Raw) -> dict[str, Any]:
    words = [str(word) for word in raw.get("command") or ()]
    if words[:1] == ["CMD-SHELL"]:
        words = ["sh", "-c", *words[1:]]
    elif words[:1] == ["CMD"]:
        words = words[1:]
    return {
        "exec": {"command": words},
        # ECS's defaults: 30 s, 5 s, 3 times, no start period.
        "periodSeconds": int(raw.get("interval") or 30),
        "timeoutSeconds": int(raw.get("timeout") or 5),
        "failureThreshold": int(raw.get("retries") or 3),
        "initialDelaySeconds": int(raw.get("startPeriod") or 0),
    }


def _label(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63] or "main"
