"""Failures as a look finds them, and what a verdict does with them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tripswitch.domain.values.failure_cause import FailureCause


class Verdict(StrEnum):
    """What becomes of a failure (rules F5 and F6)."""

    COUNT = "Count"
    IGNORE = "Ignore"
    FAIL_NOW = "FailNow"


@dataclass(frozen=True, slots=True)
class Failure:
    """``count`` failures of one cause that a look found new."""

    cause: FailureCause
    pod: str
    count: int = 1
    node: str = ""
    message: str = ""
    verdict: Verdict = Verdict.COUNT
