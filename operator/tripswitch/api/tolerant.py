"""Reading decoded JSON of which nothing is certain: no accessor here ever raises.

Pods and ReplicaSets are written by others, on servers older and newer than we know. A field that is
missing or of another type than expected reads as empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tripswitch.api.text import clean

MAX_MESSAGE = 1024
"""Messages are cut to so many characters: a status holds ten of them."""

_NOTHING: Mapping[str, Any] = {}


def mapping(value: object) -> Mapping[str, Any]:
    """Return a JSON object, empty if it is none."""
    return value if isinstance(value, dict) else _NOTHING


def field(value: object, *path: str) -> Any:
    """Return the value at a path of names, None if there is none.

    >>> field({"spec": {"replicas": 3}}, "spec", "replicas"), field({"spec": 7}, "spec", "replicas")
    (3, None)
    """
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def objects(value: object) -> list[Mapping[str, Any]]:
    """Return the JSON objects of a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def read_text(value: object, most: int = MAX_MESSAGE) -> str:
    """Return a string without control characters, cut to ``most`` characters; empty if it is none."""
    return clean(value[:most]) if isinstance(value, str) else ""


def read_optional_text(value: object) -> str | None:
    """Return a string of any length without control characters; None if it is none."""
    return clean(value) if isinstance(value, str) else None


def read_int(value: object) -> int:
    """Return a whole number, 0 if it is none (a JSON true is none)."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def read_decimal(value: object) -> int:
    """Return a whole number written as a string, 0 if it is none."""
    fits = isinstance(value, str) and value.isdecimal() and len(value) < 20
    return int(str(value)) if fits else 0


def read_version(raw: object) -> int:
    """Return an object's (or a list's) resourceVersion as a number: later is larger."""
    return read_decimal(field(raw, "metadata", "resourceVersion"))
