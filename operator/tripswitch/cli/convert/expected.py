"""What a converted manifest has to mean, from its values: the check of what was changed in its text. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tripswitch.api.identity import API_VERSION, KIND
from tripswitch.cli.convert.deployments import (
    ABOUT_DEPLOYMENTS,
    NULL_IN,
    OF_THE_OLD_OBJECT,
    WRITTEN_BY_THE_SERVER,
    is_patch,
)
from tripswitch.cli.convert.values import Computed

STRATEGY = {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}
LEFT_OUT = WRITTEN_BY_THE_SERVER | OF_THE_OLD_OBJECT.keys()


def is_as_expected(before: Iterable[Any], after: Iterable[Any]) -> bool:
    """Return whether the documents after a conversion are those before it, but for what was to change.

    Raises:
        RecursionError: One of them holds itself.
    """
    return [_document(_comparable(one)) for one in before] == [_comparable(one) for one in after]


def _document(value: Any) -> Any:
    if isinstance(value, dict) and str(value.get("kind")).endswith("List"):
        items = value.get("items")
        if isinstance(items, list):
            return {**value, "items": [_document(one) for one in items]}
    return _object(value)


def _object(value: Any) -> Any:
    if not isinstance(value, dict) or value.get("kind") != "Deployment":
        return value
    if not str(value.get("apiVersion")).startswith("apps/"):
        return value
    converted = {"apiVersion": API_VERSION, "kind": KIND}
    if is_patch(value):
        return value | converted
    found = {name: one for name, one in value.items() if name != "status"} | converted
    metadata, spec = found.get("metadata"), found.get("spec")
    if isinstance(metadata, dict):
        found["metadata"] = _metadata(metadata)
    if isinstance(spec, dict):
        found["spec"] = _without_nulls(spec)
        if found["spec"]:
            found["spec"].setdefault("strategy", STRATEGY)
    return found


def _metadata(metadata: dict[Any, Any]) -> Any:
    found = {name: one for name, one in metadata.items() if name not in LEFT_OUT}
    annotations = found.get("annotations")
    if isinstance(annotations, dict):
        kept = {name: one for name, one in annotations.items() if name not in ABOUT_DEPLOYMENTS}
        if kept:
            found["annotations"] = kept
        else:
            del found["annotations"]
    return _without_nulls(found)


def _without_nulls(value: Any, instead: str = "") -> Any:
    given = instead.strip('"')
    if isinstance(value, list):
        return [given if one is None and instead else _without_nulls(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        name: given if one is None else _without_nulls(one, NULL_IN.get(name, ""))
        for name, one in value.items()
        if one is not None or instead
    }


def _comparable(value: Any) -> Any:
    """Return a value of which equal ones are equal: computed values are not."""
    if isinstance(value, Computed):
        return {f"!{value.function}": _comparable(value.argument)}
    if isinstance(value, Mapping):
        return {name: _comparable(one) for name, one in value.items()}
    return [_comparable(one) for one in value] if isinstance(value, list) else value
