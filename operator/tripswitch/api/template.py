"""Pod templates: their identity, and the few facts the rules need of them. Tolerant of anything."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from tripswitch.domain.model import Readiness, Template

READINESS_GATE_SECONDS = 60.0
"""More time for pods that wait for a load balancer's health checks (rule F4)."""

PROBE_DEFAULTS = {
    "initialDelaySeconds": 0,
    "periodSeconds": 10,
    "timeoutSeconds": 1,
    "failureThreshold": 3,
}
"""As the API server fills them in."""

MAPS = frozenset({"metadata", "annotations", "labels", "nodeSelector", "limits", "requests"})
"""Where an empty object says no more than its absence."""


def template_digest(template: Any) -> str:
    """Return the identity of a pod template: equal templates, equal digests.

    >>> spec = {"containers": [{"name": "web", "image": "web:1"}]}
    >>> one = template_digest({"metadata": {"creationTimestamp": None}, "spec": spec})
    >>> one == template_digest({"spec": {**spec, "tolerations": []}, "metadata": {"labels": {}}})
    True
    """
    canonical = json.dumps(_without_nulls(template), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def read_template(template: Any, digest: str) -> Template:
    """Return what the rules need of a pod template. Images come in the order of the containers."""
    spec = _mapping(_mapping(template).get("spec"))
    containers = list(_mappings(spec.get("containers")))
    sidecars = [
        c for c in _mappings(spec.get("initContainers")) if c.get("restartPolicy") == "Always"
    ]
    probes = [
        probe
        for container in (*containers, *sidecars)
        if (probe := container.get("readinessProbe")) is not None and isinstance(probe, Mapping)
    ]
    budget = max((_probe_budget(probe) for probe in probes), default=0.0)
    if spec.get("readinessGates"):
        budget += READINESS_GATE_SECONDS
    return Template(
        digest=digest,
        images=tuple(str(c["image"]) for c in containers if c.get("image")),
        readiness=Readiness(
            all_probed=bool(containers)
            and all(isinstance(c.get("readinessProbe"), Mapping) for c in containers),
            budget=budget,
        ),
    )


def _probe_budget(probe: Mapping[str, Any]) -> float:
    """Rule F4: initialDelaySeconds + failureThreshold x periodSeconds + timeoutSeconds."""
    value = {name: _seconds(probe.get(name), default) for name, default in PROBE_DEFAULTS.items()}
    return (
        value["initialDelaySeconds"]
        + value["failureThreshold"] * value["periodSeconds"]
        + value["timeoutSeconds"]
    )


def _seconds(value: Any, default: int) -> float:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        return float(default)
    # Kubernetes reads 0 as "not given", except for the initial delay, whose default it is.
    return float(value or default)


def _without_nulls(value: Any) -> Any:
    """Drop what means nothing: nulls, lists and maps that are empty, metadata that is then.

    Server-side apply leaves null where an empty map is applied over one that was not; an empty
    object is not the same as none (``emptyDir: {}``).
    """
    if isinstance(value, Mapping):
        kept = {k: _without_nulls(v) for k, v in value.items() if v is not None}
        return {k: v for k, v in kept.items() if v != [] and not (k in MAPS and v == {})}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, Mapping))
