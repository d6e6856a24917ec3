"""The time as the whole operator uses it: this machine's, set right by the API server's.

Deadlines are reckoned from times that others wrote, and by the operator before this one. Minutes between
the clocks would make every one of them wrong after a restart: pods that are starting would look as if
they had been late for minutes. Every answer of the API server says what time it is there.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

from tripswitch.domain.model import Instant

logger = logging.getLogger(__name__)

TOLERANCE = 2.0
"""Seconds. The server says whole seconds: less is no difference."""


class ServerClock:
    """Returns the time when called. Nothing else in the operator reads the wall clock."""

    def __init__(self, read: Callable[[], float] = time.time) -> None:
        self._read = read
        self._offset = 0.0

    def __call__(self) -> Instant:
        """Return the seconds since the epoch, in milliseconds."""
        return round(self._read() + self._offset, 3)

    def take(self, date: str | None, seconds: float) -> None:
        """Take the ``Date`` of an answer that came ``seconds`` after it was asked for.

        What the answer's own slowness can explain is no difference either.
        """
        if date is None:
            return
        try:
            there = parsedate_to_datetime(date).timestamp() + 0.5
        except ValueError:
            return
        offset = there - self._read()
        if abs(offset - self._offset) <= TOLERANCE + seconds:
            return
        self._offset = offset if abs(offset) > TOLERANCE else 0.0
        logger.warning("the clock here is %.0f s off the API server's, which counts", -offset)
