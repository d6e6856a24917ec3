"""Rule W3: how a field of the memory is declared whose changes may be written a little later.

    healthy_high_water: int = field(default=0, metadata=PROGRESS)

Only a value that pods or a guarded workload show again at the next look may be declared so, because a restart may
lose its change.
A field that says nothing is written at once.
"""

from __future__ import annotations

from enum import Enum

WRITE_DELAY = "write delay"
"""The key in the metadata of a dataclass' field."""


class WriteDelay(Enum):
    """What a field tells whose changes may be written later."""

    PROGRESS = "how far pods have come"
    """A pod that is healthy is so a moment later."""
    FAILURES = "which failures were counted"
    """A failure still stands in its pod (F7)."""


PROGRESS = {WRITE_DELAY: WriteDelay.PROGRESS}
FAILURES = {WRITE_DELAY: WriteDelay.FAILURES}
