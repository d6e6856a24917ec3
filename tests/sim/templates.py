"""Pod templates of the simulated cluster: a whole document, and what the rules need of it.

The core knows a template by the digest of its document, as it does in a cluster; documents are found again
by that digest.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from tripswitch.api.template import read_template, template_digest
from tripswitch.domain.values.pods import ContainerRole, ContainerView
from tripswitch.domain.values.references import References
from tripswitch.domain.values.workload import Template

BUDGETS = (3.0, 31.0, 60.0)
"""Seconds in which a readiness probe may be expected to succeed, for :func:`make_template`."""

_DOCUMENTS: dict[str, dict[str, Any]] = {}
_TEMPLATES: dict[str, Template] = {}


def make_template(
    name: str, shape: Sequence[ContainerView], budget: float | None = 3.0, *, probed: bool = True
) -> Template:
    """Return the template of a name.

    Args:
        name: Different names, different templates.
        shape: Its containers.
        budget: Of the readiness probe of its lasting containers, from :data:`BUDGETS`; None for no probe.
        probed: Whether the last of these has one, too, if there are several.

    >>> made = make_template("v1", [ContainerView("web")], 31.0)
    >>> made.images, made.readiness.budget, made.readiness.all_probed
    (('web:v1',), 31.0, True)
    """
    spec: dict[str, Any] = {"initContainers": [], "containers": []}
    lasting = [one.name for one in shape if one.role is not ContainerRole.INIT]
    for view in shape:
        one: dict[str, Any] = {"name": view.name, "image": f"{view.name}:{name}"}
        if view.role is ContainerRole.SIDECAR:
            one["restartPolicy"] = "Always"
        last = len(lasting) > 1 and view.name == lasting[-1]
        if budget is not None and view.name in lasting and (probed or not last):
            one["readinessProbe"] = _probe(budget)
        spec["containers" if view.role is ContainerRole.APP else "initContainers"].append(one)
    return _keep({"metadata": {"labels": {"app": "web"}}, "spec": spec})


def _keep(document: dict[str, Any]) -> Template:
    digest = template_digest(document)
    _DOCUMENTS[digest] = document
    return _TEMPLATES.setdefault(digest, read_template(document, digest))


def with_references(template: Template, wanted: References, *, as_volume: bool) -> Template:
    """Return a template whose pods need ConfigMaps and a ServiceAccount besides.

    ``as_volume``: pods have the ConfigMaps as volumes, and not in the environment of their first container.
    """
    document = deepcopy(document_of(template))
    spec = document["spec"]
    sources = [{"name": name} for name in wanted.config_maps]
    if as_volume and sources:
        spec["volumes"] = [{"name": one["name"], "configMap": one} for one in sources]
    elif sources:
        first = [*spec["initContainers"], *spec["containers"]][0]
        first["envFrom"] = [{"configMapRef": one} for one in sources]
    if wanted.service_accounts:
        (spec["serviceAccountName"],) = wanted.service_accounts
    return _keep(document)


def find_template(digest: str) -> Template:
    """Return the template that was made here under a digest."""
    return _TEMPLATES[digest]


def document_of(template: Template) -> dict[str, Any]:
    """Return the document of a template; one that nobody made here has none, and shows an empty one."""
    return _DOCUMENTS.get(template.digest, {"metadata": {"labels": {"app": "web"}}, "spec": {}})


def _probe(budget: float) -> dict[str, int]:
    """One attempt that fails, and its time-out of a second; or the API server's defaults, 31 s."""
    return {} if budget == 31.0 else {"failureThreshold": 1, "periodSeconds": int(budget) - 1}
