"""The identity of a failure: what makes two failures one failure to a person."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


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
