"""Label selectors: whether one selects an object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tripswitch.api.tolerant import mapping, objects, read_text


def selector_matches(selector: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    """Return whether a label selector selects an object; an empty one selects nothing here.

    >>> selector_matches({"matchLabels": {"app": "web"}}, {"app": "web", "tier": "front"})
    True
    """
    wanted = mapping(selector.get("matchLabels"))
    expressions = objects(selector.get("matchExpressions"))
    if not wanted and not expressions:
        return False
    return all(labels.get(name) == value for name, value in wanted.items()) and all(
        _holds(expression, labels) for expression in expressions
    )


def _holds(expression: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    key, listed = read_text(expression.get("key")), expression.get("values")
    values = listed if isinstance(listed, list) else []
    match expression.get("operator"):
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case _:
            return False
