"""Moments as the whole core uses them."""

from __future__ import annotations

Instant = float
"""Seconds since the Unix epoch, UTC, rounded to milliseconds so that it survives the status."""
