"""What one rule about failures returns for one pod."""

from __future__ import annotations

from dataclasses import dataclass

from tripswitch.domain.values.failure import Failure
from tripswitch.domain.values.memory import Counted
from tripswitch.domain.values.sight import Need
from tripswitch.domain.values.time import Instant


@dataclass(frozen=True, slots=True)
class RuleResult:
    """What one rule found: the marks after it, new failures, and when or what to read again."""

    marks: Counted
    failures: tuple[Failure, ...] = ()
    wakes: tuple[Instant, ...] = ()
    needs: tuple[Need, ...] = ()
