"""The CRD, generated from the models.

A structural schema without references; descriptions of our own fields; Kubernetes' own schema for the
pod template; validation in the schema and in CEL, so that bad input gets one clear error from the API
server and no webhook is needed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from tripswitch.api import podtemplate
from tripswitch.api.spec import Spec
from tripswitch.api.status import Status

GROUP = "tripswitch.dev"
VERSION = "v1alpha1"
PLURAL = "guardeddeployments"
NAME = f"{PLURAL}.{GROUP}"
PATH = Path(__file__).parents[3] / "crds" / f"{GROUP}_{PLURAL}.yaml"

COLUMNS = (
    ("Desired", "integer", ".spec.replicas", 0),
    ("Ready", "integer", ".status.readyReplicas", 0),
    ("Up-To-Date", "integer", ".status.updatedReplicas", 0),
    ("Available", "integer", ".status.availableReplicas", 0),
    # That of the wanted revision: FAILED also where a rollback was successful.
    ("State", "string", ".status.rolloutState", 0),
    ("Rollout", "string", ".status.rollout.status", 0),
    ("Revision", "integer", ".status.rollout.revision", 0),
    ("Failures", "string", ".status.circuitBreaker.summary", 0),
    ("Age", "date", ".metadata.creationTimestamp", 0),
    ("Stage", "string", ".status.circuitBreaker.stage", 1),
    ("Failed", "integer", ".status.rollout.failedRevision", 1),
    ("Reason", "string", ".status.rolloutStateReason", 1),
    ("Images", "string", ".spec.template.spec.containers[*].image", 1),
)

_LABELS = "self.template.metadata.labels"
_HAS_LABELS = "has(self.template.metadata) && has(self.template.metadata.labels)"
_NOT_IN_TEMPLATE = f"!({_HAS_LABELS}) || !(e.key in {_LABELS})"

RULES: dict[tuple[str, ...], tuple[tuple[str, str], ...]] = {
    (): (
        (
            "size(self.metadata.name) <= 242",
            "metadata.name must be no more than 242 characters: ReplicaSets add a hash to it",
        ),
    ),
    ("spec",): (
        (
            (
                "!has(self.selector.matchLabels) || self.selector.matchLabels.all(k, "
                f"{_HAS_LABELS} && k in {_LABELS} && {_LABELS}[k] == self.selector.matchLabels[k])"
            ),
            "spec.template.metadata.labels must match spec.selector.matchLabels",
        ),
        (
            (
                "!has(self.selector.matchExpressions) || self.selector.matchExpressions.all(e, "
                f"e.operator == 'Exists' ? !({_NOT_IN_TEMPLATE}) : "
                f"e.operator == 'DoesNotExist' ? {_NOT_IN_TEMPLATE} : "
                f"e.operator == 'In' ? !({_NOT_IN_TEMPLATE}) && has(e.values) && "
                f"{_LABELS}[e.key] in e.values : "
                f"({_NOT_IN_TEMPLATE}) || !has(e.values) || !({_LABELS}[e.key] in e.values))"
            ),
            "spec.template.metadata.labels must match spec.selector.matchExpressions",
        ),
        (
            (
                "!has(self.strategy) || !has(self.deploymentConfiguration) || "
                "!(has(self.deploymentConfiguration.minimumHealthyPercent) || "
                "has(self.deploymentConfiguration.maximumPercent))"
            ),
            "give either strategy or minimumHealthyPercent and maximumPercent, not both",
        ),
        (
            (
                "!has(self.template.spec) || !has(self.template.spec.restartPolicy) || "
                "self.template.spec.restartPolicy == 'Always'"
            ),
            "spec.template.spec.restartPolicy must be Always",
        ),
        (
            "!has(self.template.spec) || !has(self.template.spec.ephemeralContainers)",
            (
                "spec.template.spec.ephemeralContainers cannot be set in a pod template; add one to a "
                "running pod with kubectl debug"
            ),
        ),
    ),
    ("spec", "selector"): (
        ("self == oldSelf", "spec.selector cannot be changed"),
        (
            (
                "(has(self.matchLabels) && size(self.matchLabels) > 0) || "
                "(has(self.matchExpressions) && size(self.matchExpressions) > 0)"
            ),
            "spec.selector must not be empty",
        ),
    ),
    ("spec", "strategy"): (
        (
            "!has(self.rollingUpdate) || !has(self.type) || self.type == 'RollingUpdate'",
            "rollingUpdate goes only with type RollingUpdate",
        ),
    ),
    ("spec", "strategy", "rollingUpdate"): (
        (
            (
                "!(has(self.maxSurge) && has(self.maxUnavailable) && "
                "self.maxSurge in [dyn(0), dyn('0%')] && self.maxUnavailable in [dyn(0), dyn('0%')])"
            ),
            "maxSurge and maxUnavailable cannot both be 0",
        ),
    ),
    ("spec", "deploymentConfiguration", "deploymentCircuitBreaker", "thresholdConfiguration"): (
        (
            "self.type == 'COUNT' || self.value <= 100",
            "value is a percentage of replicas and must be 1 to 100 (1 to 1000 with type COUNT)",
        ),
    ),
}
"""CEL rules with their messages, by the place in the schema."""

_PROBED = (
    "has(self.template.spec) && self.template.spec.containers.all(c, has(c.readinessProbe)) && "
    "(!has(self.template.spec.initContainers) || self.template.spec.initContainers.all(c, "
    "!has(c.restartPolicy) || c.restartPolicy != 'Always' || has(c.readinessProbe)))"
)
_SETTLING = f"(has(self.minReadySeconds) ? self.minReadySeconds : ({_PROBED}) ? 10 : 40)"

RATCHETED: dict[tuple[str, ...], tuple[tuple[str, str], ...]] = {
    ("spec",): (
        (
            (
                "!has(self.progressDeadlineSeconds) || self.progressDeadlineSeconds == 0 || "
                f"self.progressDeadlineSeconds > {_SETTLING} || (oldSelf.hasValue() && "
                "oldSelf.value().?progressDeadlineSeconds == self.?progressDeadlineSeconds && "
                "oldSelf.value().?minReadySeconds == self.?minReadySeconds)"
            ),
            (
                "progressDeadlineSeconds must be greater than minReadySeconds (by default 40 with a "
                "container that has no readiness probe, else 10), or 0"
            ),
        ),
    ),
}
"""Rules that an object stored before them may go on breaking, so that it can still be scaled (P2)."""

UNSEEN = {"observedGeneration": -1}
"""What the API server puts in place of a status until the operator has looked at the object.

Without it kstatus (so Helm and Flux) takes an object without a status for one that is ready.
"""


def build_crd() -> dict[str, Any]:
    """Return the CustomResourceDefinition."""
    spec = _structural(Spec.model_json_schema(by_alias=True))
    status = _structural(Status.model_json_schema(by_alias=True, mode="validation"))
    _drop_defaults(status)
    schema = {
        "type": "object",
        "description": (
            "A Deployment with a circuit breaker: a revision that fails too often is rolled back "
            "to the last one that completed."
        ),
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": {**spec, "description": "What is wanted."},
            "status": {
                **status,
                "description": "What is, and what the breaker remembers.",
                "default": UNSEEN,
            },
        },
    }
    for place, rules in RULES.items():
        _find(schema, place)["x-kubernetes-validations"] = [
            {"rule": rule, "message": message} for rule, message in rules
        ]
    for place, rules in RATCHETED.items():
        _find(schema, place)["x-kubernetes-validations"] += [
            {"rule": rule, "message": message, "optionalOldSelf": True} for rule, message in rules
        ]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        # Helm leaves it where it is at an uninstall: it takes every GuardedDeployment with it.
        "metadata": {"name": NAME, "annotations": {"helm.sh/resource-policy": "keep"}},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": "GuardedDeployment",
                "listKind": "GuardedDeploymentList",
                "plural": PLURAL,
                "singular": "guardeddeployment",
                "shortNames": ["gdeploy"],
                "categories": ["all"],
            },
            "versions": [_version(schema)],
        },
    }


def _version(schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
        "additionalPrinterColumns": [
            {"name": name, "type": kind, "jsonPath": path, "priority": priority}
            for name, kind, path, priority in COLUMNS
        ],
        "schema": {"openAPIV3Schema": schema},
    }


def _structural(document: dict[str, Any]) -> dict[str, Any]:
    """Turn pydantic's JSON schema into one that a CRD may have."""
    return _rewrite(document, document.get("$defs", {}))


def _rewrite(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in node:
        named = definitions[node["$ref"].removeprefix("#/$defs/")]
        node = {**named, **{k: v for k, v in node.items() if k != "$ref"}}
    options = [option for option in node.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) == 1:  # optional: a CRD says so by not requiring it
        rest = {k: v for k, v in node.items() if k not in ("anyOf", "default")}
        return _rewrite({**options[0], **rest}, definitions)
    if node.get("x-pod-template"):
        template = podtemplate.resolve(json.loads(podtemplate.STORED.read_text()))
        return {**template, "description": node["description"]}
    written = {
        key: value
        for key, value in node.items()
        if key not in ("$defs", "title", "const", "uniqueItems") and value is not None
    }
    if "properties" in node:
        written["properties"] = {
            name: _rewrite(value, definitions) for name, value in node["properties"].items()
        }
    for inner in ("items", "additionalProperties"):
        if isinstance(node.get(inner), dict):
            written[inner] = _rewrite(node[inner], definitions)
    if written.get("additionalProperties") is True:
        written.pop("additionalProperties")
    return written


def _drop_defaults(node: dict[str, Any]) -> None:
    """A status is written as a whole by the operator; the API server has nothing to fill in."""
    node.pop("default", None)
    for inner in node.get("properties", {}).values():
        _drop_defaults(inner)
    if isinstance(node.get("items"), dict):
        _drop_defaults(node["items"])


def _find(schema: dict[str, Any], place: tuple[str, ...]) -> dict[str, Any]:
    for name in place:
        schema = schema["properties"][name]
    return schema


def render() -> str:
    """Return the CRD as YAML, the same for the same models."""
    head = "# Generated from operator/tripswitch/api by `make generate`; do not edit.\n"
    return head + yaml.safe_dump(build_crd(), sort_keys=False, width=100)
