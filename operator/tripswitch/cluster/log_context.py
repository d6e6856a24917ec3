"""The fields of a log line that say which GuardedDeployment it is about.

``logger.warning("no check: %s", error, extra=about(key))`` puts ``namespace`` and ``name`` into the line: as
fields of their own in JSON, as ``shop/web: no check: ...`` in text. The message itself does not repeat them.
"""

from __future__ import annotations

import logging
from typing import NamedTuple


class About(NamedTuple):
    """What a log line is about. ``revision`` is None where the line is not about one."""

    namespace: str
    name: str
    revision: int | None = None


def about(key: tuple[str, str], *, revision: int | None = None) -> dict[str, About]:
    """Return the ``extra`` of a logging call about the object with this namespace and name."""
    return {"about": About(*key, revision)}


def read_about(record: logging.LogRecord) -> About | None:
    """Return what a log line is about, as :func:`about` gave it; None if it was not given."""
    found = getattr(record, "about", None)
    return found if isinstance(found, About) else None
