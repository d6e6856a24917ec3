"""Failures: their kinds, what a verdict does with them, and one failure as a look found it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What becomes of a failure (rules F5 and F6)."""

    COUNT = "Count"
    IGNORE = "Ignore"
    FAIL_NOW = "FailNow"


class FailureKind(StrEnum):
    """LAUNCH if the pod never was Ready, HEALTH otherwise (rule F5)."""

    LAUNCH = "LAUNCH"
    HEALTH = "HEALTH"


@dataclass(frozen=True, slots=True)
class Failure:
    """``count`` failures of one cause that a look found new."""

    kind: FailureKind
    reason: str
    pod: str
    count: int = 1
    container: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    node: str = ""
    message: str = ""
    verdict: Verdict = Verdict.COUNT
