"""Reading decoded JSON of which nothing is certain: no accessor here ever raises.

Pods and ReplicaSets are written by others, on servers older and newer than we know. A field that is
missing or of another type than expected reads as empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tripswitch.api.text import clean
from tripswitch.domain.values.time import Instant

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
        value = mapping(value).get(name)
    return value


def objects(value: object) -> list[Mapping[str, Any]]:
    """Return the JSON objects of a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text(value: object) -> str:
    """Return a string without control characters, cut to 1 KiB."""
    return clean(value[:MAX_MESSAGE]) if isinstance(value, str) else ""


def whole(value: object) -> int:
    """Return a whole number, 0 if it is none (a JSON true is none)."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def number(value: object) -> int:
    """Return a whole number written as a string, 0 if it is none."""
    fits = isinstance(value, str) and value.isdecimal() and len(value) < 20
    return int(str(value)) if fits else 0


def version(raw: object) -> int:
    """Return an object's (or a list's) resourceVersion as a number: later is larger."""
    return number(field(raw, "metadata", "resourceVersion"))


def parse_instant(value: object) -> Instant | None:
    """Return a Kubernetes time in seconds since the epoch, None if it is none.

    >>> parse_instant("1970-01-01T00:01:00Z"), parse_instant("1970-01-01T00:00:00.250001Z")
    (60.0, 0.25)
    """
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return round(moment.timestamp(), 3)
    except (ValueError, OverflowError):
        return None
