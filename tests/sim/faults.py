"""What can go wrong between an operator process and the API server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Faults:
    """What can go wrong, as probabilities of each request or event, and times in seconds."""

    lag: float = 0.05
    stall: float = 0.0
    lost: float = 0.0
    """A watch event, and all that follow, until the stream is found to be dead and all is listed."""
    repeated: float = 0.0
    conflict: float = 0.0
    unreachable: float = 0.0
    timeout: float = 0.0
    """The answer is lost after the write was done."""
    stop: float = 0.0
    """The process ends before a write, or between a write and its answer."""
    stop_after: int | None = None
    """It ends at the moment of this number from now, once."""
    zombie: float = 0.0
    """A write of a process that has ended arrives when another process leads."""
    slow_checks: float = 0.06
    """Seconds that a consistent list of pods takes at most."""
