"""Structural schemas for CRDs, made from pydantic's JSON schemas."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from tripswitch.api import podtemplate

Place = tuple[str, ...]
"""The names of nested properties, from the object's root."""

Rules = Mapping[Place, tuple[tuple[str, str], ...]]
"""CEL rules with their messages, by their place in the schema."""

UNSEEN = {"observedGeneration": -1}
"""The status that the API server fills in until the operator has written one.

Without it kstatus (used by Helm and Flux) takes an object without a status for one that is ready.
"""


def build_schema(
    description: str, spec: type[BaseModel], status: type[BaseModel]
) -> dict[str, Any]:
    """Return the OpenAPI schema of a custom resource, without CEL rules."""
    wanted = _structural(spec.model_json_schema(by_alias=True))
    found = _structural(status.model_json_schema(by_alias=True, mode="validation"))
    _drop_defaults(found)
    _make_atomic(found)
    return {
        "type": "object",
        "description": description,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": {**wanted, "description": "What is wanted."},
            "status": {
                **found,
                "description": "Observed state, and what the circuit breaker has counted.",
                "default": UNSEEN,
            },
        },
    }


def add_rules(schema: dict[str, Any], rules: Rules, *, optional_old: bool = False) -> None:
    """Add CEL rules to a schema.

    Args:
        schema: Is changed.
        rules: By place. A place may get rules more than once.
        optional_old: The rules look at ``oldSelf``, which is missing when an object is created.
    """
    more = {"optionalOldSelf": True} if optional_old else {}
    for place, pairs in rules.items():
        validations = _find(schema, place).setdefault("x-kubernetes-validations", [])
        validations += [{"rule": rule, "message": message, **more} for rule, message in pairs]


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


def _make_atomic(status: dict[str, Any]) -> None:
    """Have the API server remember one owner for each property of a status, not one for each leaf below.

    The operator alone writes a status, as a whole. Conditions stay a map by type, as everywhere.
    """
    for name, node in status["properties"].items():
        if "properties" in node:
            node["x-kubernetes-map-type"] = "atomic"
        elif node.get("type") == "array" and name != "conditions":
            node["x-kubernetes-list-type"] = "atomic"
            node.pop("x-kubernetes-list-map-keys", None)


def _find(schema: dict[str, Any], place: tuple[str, ...]) -> dict[str, Any]:
    for name in place:
        schema = schema["properties"][name]
    return schema
