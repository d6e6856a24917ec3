"""Hypothesis strategies made of the CRD's own schema: objects that the API server would accept.

A structural schema is a small language: types, properties, items, bounds and enums. Patterns and CEL
rules are not followed, so some of these objects the server would still refuse: all the better, the
operator must bear them anyway.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Schema = dict[str, Any]

TEXT = st.text("abcxyz019-./: é", max_size=12)
QUANTITIES = st.one_of(
    st.integers(0, 10), st.sampled_from(["25%", "100m", "1Gi", "0%", "7%"]), TEXT
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
"""Anything at all that JSON can say."""


def build_values(schema: Schema, depth: int = 6) -> st.SearchStrategy[Any]:
    """Return a strategy for values of a schema; ``depth`` bounds how deep optional parts go."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema.get("x-kubernetes-int-or-string"):
        return QUANTITIES
    if schema.get("x-kubernetes-preserve-unknown-fields"):  # a quantity: any number, or text
        return QUANTITIES | st.floats(allow_nan=False, allow_infinity=False)
    match schema.get("type"):
        case "object":
            return _objects(schema, depth)
        case "array":
            least = schema.get("minItems", 0)
            most = min(schema.get("maxItems", 2), 2) if depth > 0 else least
            return st.lists(
                build_values(schema["items"], depth - 1), min_size=least, max_size=max(least, most)
            )
        case "integer":
            # What the API server stores: 64 bits, whatever the format says.
            low, high = schema.get("minimum", -(2**63)), schema.get("maximum", 2**63 - 1)
            return st.integers(low, high) | st.integers(low, min(high, max(low, 0) + 20))
        case "string" if schema.get("format") == "date-time":
            return st.datetimes().map(lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%SZ"))
        case "string" if schema.get("minLength"):
            return TEXT.filter(lambda text: len(text) >= schema["minLength"])
        case other:
            return {"boolean": st.booleans(), "string": TEXT}.get(str(other), JSON)


def _objects(schema: Schema, depth: int) -> st.SearchStrategy[Any]:
    more = schema.get("additionalProperties")
    if isinstance(more, dict):
        return st.dictionaries(TEXT, build_values(more, depth - 1), max_size=2)
    properties: dict[str, Schema] = schema.get("properties", {})
    needed = set(schema.get("required", ()))
    required = {name: build_values(properties[name], depth - 1) for name in sorted(needed)}
    optional: dict[str, st.SearchStrategy[Any]] = {}
    if depth > 0:
        optional = {
            name: _later(part, depth - 1) for name, part in properties.items() if name not in needed
        }
    return st.fixed_dictionaries(required, optional=optional)


def _later(schema: Schema, depth: int) -> st.SearchStrategy[Any]:
    """Made only when it is drawn: a pod template has thousands of places."""
    return st.deferred(lambda: build_values(schema, depth))
