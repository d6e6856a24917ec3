"""Logging: one line per record, as text for people or as JSON for collectors.

A line about a GuardedDeployment has its namespace and name, and where it is about one revision,
that one, too: as fields in JSON; in text namespace and name stand before the message.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from tripswitch.cluster.log_context import read_about


class JsonFormatter(logging.Formatter):
    """One JSON object per record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        found = read_about(record)
        if found is not None:
            line |= {key: value for key, value in found._asdict().items() if value is not None}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


class TextFormatter(logging.Formatter):
    """One line per record, with the namespace and name of the object before the message."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the line; ``record.message`` is made anew for each handler."""
        found = read_about(record)
        if found is not None:
            record.message = f"{found.namespace}/{found.name}: {record.message}"
        return super().formatMessage(record)


def configure_logging(level: str, style: str) -> None:
    """Send all logging to standard error.

    Args:
        level: The name of a level, for our own loggers; those of libraries start at WARNING.
        style: ``text`` or ``json``.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("tripswitch").setLevel(level.upper())
