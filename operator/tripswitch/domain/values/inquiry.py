"""Inquiries: questions about failing pods, and the findings that answer them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Inquiry:
    """One question about one pod.

    ``log``: whether the end of a log is wanted, of ``container``, or where that is None, of the
    container that the pod's events name. ``ended``: of the run that ended, not of the one that runs.
    ``killed``: somebody ended it, and there should be an event that says why. ``lasting``: the answer
    may change, so the question is asked again from time to time.
    """

    topic: str
    pod: str
    container: str | None = None
    log: bool = False
    ended: bool = True
    killed: bool = False
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer to the inquiry of that topic."""

    topic: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Evidence:
    """What else one failing pod had to say: ``event`` and ``log_tail`` are cut to a fixed size."""

    pod: str
    event: str = ""
    """The words of the pod's own Warning event (a probe, a volume)."""
    log_tail: str = ""
    """The last lines of the failing container's log."""
