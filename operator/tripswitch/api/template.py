"""Pod templates: their identity, and the few facts the rules need of them. Tolerant of anything."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from tripswitch.api.references import read_references
from tripswitch.api.text import clean
from tripswitch.api.tolerant import mapping, objects
from tripswitch.domain.values.images import TemplateImage
from tripswitch.domain.values.workload import Readiness, Template

PROBE_DEFAULTS = {
    "initialDelaySeconds": 0,
    "periodSeconds": 10,
    "timeoutSeconds": 1,
    "failureThreshold": 3,
    "successThreshold": 1,
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
    spec = mapping(mapping(template).get("spec"))
    containers = objects(spec.get("containers"))
    sidecars = [
        c for c in objects(spec.get("initContainers")) if c.get("restartPolicy") == "Always"
    ]
    lasting = (*containers, *sidecars)
    budgets = [compute_probe_budget(container.get("readinessProbe")) for container in lasting]
    startups = [compute_probe_budget(container.get("startupProbe")) for container in lasting]
    listed = ((one, False) for one in containers)
    first = ((one, True) for one in objects(spec.get("initContainers")))
    return Template(
        digest=digest,
        images=tuple(clean(str(c["image"])) for c in containers if c.get("image")),
        readiness=Readiness(
            all_probed=bool(containers) and None not in budgets,
            budget=max((budget or 0.0 for budget in budgets), default=0.0),
            gated=bool(spec.get("readinessGates")),
            startup=max((budget or 0.0 for budget in startups), default=0.0),
        ),
        containers=tuple(
            TemplateImage(str(one["name"]), str(one["image"]), init)
            for one, init in (*listed, *first)
            if one.get("name") and one.get("image")
        ),
        references=read_references(spec),
    )


def compute_probe_budget(probe: object) -> float | None:
    """Return the seconds in which a probe may be expected to succeed (rule F4); None for no probe.

    An attempt that times out takes ``timeoutSeconds``, and the next one does not begin meanwhile.

    >>> compute_probe_budget({})
    31.0
    >>> compute_probe_budget({"successThreshold": 5})
    71.0
    >>> compute_probe_budget({"periodSeconds": 5, "timeoutSeconds": 60})
    240.0
    """
    if not isinstance(probe, Mapping):
        return None
    value = {name: _seconds(probe.get(name), default) for name, default in PROBE_DEFAULTS.items()}
    attempts = value["failureThreshold"] + value["successThreshold"] - 1
    longest = max(value["periodSeconds"], value["timeoutSeconds"])
    return value["initialDelaySeconds"] + attempts * longest + value["timeoutSeconds"]


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
