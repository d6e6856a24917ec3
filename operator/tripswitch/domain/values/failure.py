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
class FailureCause:
    """The identity of a failure within a revision: equal causes are one cause to a person.

    Records, events, evidence and questions about failures are kept by it. ``container``,
    ``exit_code`` and ``signal`` are None where the failure has none.
    """

    kind: FailureKind
    reason: str
    container: str | None = None
    exit_code: int | None = None
    signal: int | None = None

    def __str__(self) -> str:
        """Return the cause as a key: one text for each cause.

        >>> str(FailureCause(FailureKind.LAUNCH, "Error", "web", 2))
        'LAUNCH/Error/web/2/'
        """
        code = "" if self.exit_code is None else self.exit_code
        parts = (self.kind, self.reason, self.container or "", code, self.signal or "")
        return "/".join(map(str, parts))


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

    @property
    def cause(self) -> FailureCause:
        """What makes it the same as another failure of the revision."""
        return FailureCause(self.kind, self.reason, self.container, self.exit_code, self.signal)
