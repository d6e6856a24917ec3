"""RFC 3339 and the core's instants: every way in which a time is read or written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from tripswitch.domain.values.time import Instant

LATEST_TIME = 253402300799.0
"""The last second of the year 9999: what RFC 3339 can say, in seconds since the epoch."""


def parse_time(value: Any) -> Any:
    """Return seconds since the epoch, rounded to milliseconds, of an RFC 3339 time.

    What lies before the epoch, or after the year 9999, is moved to where it can be written.

    >>> parse_time("2026-11-24T05:00:00.123Z")
    1795496400.123
    """
    if isinstance(value, str):
        parsed = datetime.fromisoformat(value)
        if parsed.tzinfo is None:
            raise ValueError("a time without a zone")
        value = parsed.timestamp()
    return round(max(0.0, min(value, LATEST_TIME)), 3) if isinstance(value, int | float) else value


def parse_instant(value: object) -> Instant | None:
    """Return the moment of an RFC 3339 time, rounded to milliseconds; None if the value is none.

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


def format_time(value: Instant) -> str:
    """Return RFC 3339 in UTC with milliseconds; the exact opposite of :func:`parse_time`.

    >>> format_time(1795496400.123)
    '2026-11-24T05:00:00.123Z'
    """
    return _format(value, "milliseconds")


def format_micro_time(value: Instant) -> str:
    """Return RFC 3339 in UTC with the six digits that Kubernetes' MicroTime requires.

    >>> format_micro_time(1795496400.123)
    '2026-11-24T05:00:00.123000Z'
    """
    return _format(value, "microseconds")


def format_short_time(value: Instant) -> str:
    """Return RFC 3339 in UTC, with a fraction of a second only if there is one.

    >>> format_short_time(1795496400.0), format_short_time(1795496400.5)
    ('2026-11-24T05:00:00Z', '2026-11-24T05:00:00.500000Z')
    """
    return _format(value, "auto")


def _format(value: Instant, precision: str) -> str:
    """Return a time in UTC, rounded to milliseconds."""
    milliseconds = round(value * 1000)
    seconds, rest = divmod(milliseconds, 1000)
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1000)
    return moment.replace(tzinfo=None).isoformat(timespec=precision) + "Z"


Time = Annotated[
    float,
    BeforeValidator(parse_time),
    PlainSerializer(format_time, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A moment: seconds since the epoch here, RFC 3339 with milliseconds in the resource."""
