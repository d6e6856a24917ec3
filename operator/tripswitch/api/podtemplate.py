"""Takes the schema of PodTemplateSpec out of Kubernetes' own OpenAPI document.

``python -m tripswitch.api.podtemplate FILE VERSION`` reads ``apis/apps/v1`` of an API server (or of
its source) and writes ``podtemplate.json`` beside this file: the schemas that a pod template reaches,
without descriptions.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

STORED = Path(__file__).with_name("podtemplate.json")
ROOT = "io.k8s.api.core.v1.PodTemplateSpec"
_PREFIX = "#/components/schemas/"
_NOT_FOR_CRDS = frozenset({"default", "enum", "x-kubernetes-unions"})
_NEVER_NULL = frozenset({"metadata", "labels", "spec"})
_DROPPED = frozenset({"description", "x-kubernetes-patch-merge-key", "x-kubernetes-patch-strategy"})
_MAY_REPEAT = frozenset({"env", "hostAliases", "imagePullSecrets", "ports"})
"""Lists with a merge key in which a Deployment may nevertheless have two items of one key (ADR 0012)."""


def extract(document: dict[str, Any], version: str) -> dict[str, Any]:
    """Return every schema that a pod template reaches, by name."""
    schemas = document["components"]["schemas"]
    found: dict[str, Any] = {}
    wanted = [ROOT]
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name] = _strip(schemas[name])
            wanted += _references(found[name])
    return {"kubernetesVersion": version, "schemas": dict(sorted(found.items()))}


def _strip(node: Any, *, names: bool = False) -> Any:
    """Leave out descriptions; ``names`` says that the keys are names of fields."""
    if isinstance(node, dict):
        return {
            key: _strip(value, names=key == "properties" and not names)
            for key, value in node.items()
            if names or key not in _DROPPED
        }
    return [_strip(item) for item in node] if isinstance(node, list) else node


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        here = [node["$ref"].removeprefix(_PREFIX)] if isinstance(node.get("$ref"), str) else []
        return here + [name for value in node.values() for name in _references(value)]
    return [name for item in node for name in _references(item)] if isinstance(node, list) else []


def resolve(stored: dict[str, Any]) -> dict[str, Any]:
    """Return the structural schema of a pod template, with every reference written out."""
    resolved: dict[str, Any] = _resolve({"$ref": _PREFIX + ROOT}, stored["schemas"])
    return resolved


def _resolve(node: Any, schemas: dict[str, Any]) -> Any:
    """Write out one schema.

    Defaults are left out: the stored template is what the user wrote, and the API server fills in
    the ReplicaSet's. Only the keys of lists that merge by key need theirs.
    """
    if "allOf" in node:  # OpenAPI's way to put a default or a description beside a reference
        return _resolve(node["allOf"][0], schemas)
    if "$ref" in node:
        name = node["$ref"].removeprefix(_PREFIX)
        return _special(name) or _resolve(schemas[name], schemas)
    written = {key: value for key, value in node.items() if key not in _NOT_FOR_CRDS}
    if "properties" in node:
        written["properties"] = {
            name: _resolve(value, schemas) for name, value in node["properties"].items()
        }
        _allow_nulls(written)
        _allow_repeats(written)
    if "items" in node:
        written["items"] = _resolve(node["items"], schemas)
        _require_keys(written, _raw_items(node["items"], schemas))
    if isinstance(node.get("additionalProperties"), dict):
        written["additionalProperties"] = _resolve(node["additionalProperties"], schemas)
    return written


def _allow_nulls(node: dict[str, Any]) -> None:
    """Accept null for nothing where Kubernetes itself does: charts render it all the time.

    Not for the parts that our own rules look at, nor for the keys of list items (they are required
    or have a default).
    """
    for name, inner in node["properties"].items():
        if name not in (*node.get("required", ()), *_NEVER_NULL) and "type" in inner:
            inner["nullable"] = True


def _allow_repeats(node: dict[str, Any]) -> None:
    """Accept a list item twice where Kubernetes only warns: a CRD's list of type map refuses it.

    The defaults of the former keys stay: without them a stored template would change.
    """
    for name in _MAY_REPEAT & node["properties"].keys():
        if node["properties"][name].pop("x-kubernetes-list-map-keys", None):
            node["properties"][name]["x-kubernetes-list-type"] = "atomic"


def _raw_items(items: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    reference = items.get("allOf", [items])[0].get("$ref")
    return dict(schemas[reference.removeprefix(_PREFIX)] if reference else items)


def _require_keys(array: dict[str, Any], raw_items: dict[str, Any]) -> None:
    """A CRD must know each key of a list item: by its default, or because it is required."""
    for key in array.get("x-kubernetes-list-map-keys", ()):
        items = array["items"]
        if key in items.get("required", ()):
            continue
        default = raw_items["properties"][key].get("default")
        if default is None:
            items["required"] = [*items.get("required", ()), key]
        else:
            items["properties"][key] = {**items["properties"][key], "default": default}
        items["properties"][key].pop("nullable", None)


def _special(name: str) -> dict[str, Any] | None:
    """Return what OpenAPI cannot say of a type, or says in a way that a CRD does not allow."""
    int_or_string = {
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "x-kubernetes-int-or-string": True,
    }
    match name.rpartition(".")[2]:
        case "IntOrString":
            return int_or_string
        case "Quantity":
            return _quantity()
        case "ObjectMeta":
            # Only what a template's metadata can mean; the label values' bound keeps CEL cheap.
            strings = {"type": "object", "additionalProperties": {"type": "string"}}
            labels = {
                "type": "object",
                "additionalProperties": {"type": "string", "maxLength": 63},
            }
            return {
                "type": "object",
                "properties": {
                    "annotations": {**strings, "nullable": True},
                    "creationTimestamp": {
                        "type": "string",
                        "format": "date-time",
                        "nullable": True,
                    },
                    "finalizers": {
                        "type": "array",
                        "items": {"type": "string"},
                        "nullable": True,
                    },
                    "labels": labels,
                    "name": {"type": "string"},
                    "namespace": {"type": "string"},
                },
            }
    return None


def _quantity() -> dict[str, Any]:
    """Return the schema of a quantity: text, or any number (``cpu: 0.5``), as in a Deployment.

    A structural schema has no type for that: int-or-string refuses fractions. The type is left open
    and every other one is ruled out: objects and lists by bounds that none can meet, booleans by
    name (ADR 0012).
    """
    digits = r"([0-9]+|[0-9]+\.[0-9]*|\.[0-9]+)"
    suffix = r"([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?"
    return {
        "x-kubernetes-preserve-unknown-fields": True,
        "pattern": rf"^[+-]?{digits}{suffix}$",
        "minProperties": 1,
        "maxProperties": 0,
        "minItems": 1,
        "maxItems": 0,
        "not": {"enum": [True, False]},
    }


if __name__ == "__main__":
    source = json.loads(Path(sys.argv[1]).read_text())
    STORED.write_text(json.dumps(extract(source, sys.argv[2]), separators=(",", ":")) + "\n")
