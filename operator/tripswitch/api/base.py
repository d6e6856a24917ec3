"""What all models of the resource share: camelCase names, frozen values, times as RFC 3339."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel

LATEST_TIME = 253402300799.0
"""The last second of the year 9999: what RFC 3339 can say, in seconds since the epoch."""


class ApiModel(BaseModel):
    """A part of the resource; unknown fields are the API server's business and ignored here."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        from_attributes=True,
        frozen=True,
        extra="ignore",
    )


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


def format_time(value: float) -> str:
    """Return RFC 3339 in UTC with milliseconds; the exact opposite of :func:`parse_time`.

    >>> format_time(1795496400.123)
    '2026-11-24T05:00:00.123Z'
    """
    moment = datetime.fromtimestamp(value, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _format_rounded(value: float) -> str:
    # isoformat() cuts off; half a millisecond more makes that rounding.
    return format_time(round(value, 3) + 0.0004)


Time = Annotated[
    float,
    BeforeValidator(parse_time),
    PlainSerializer(_format_rounded, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A moment: seconds since the epoch here, RFC 3339 with milliseconds in the resource."""
