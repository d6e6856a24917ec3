"""``status`` of a GuardedDeployment or a DeploymentCircuitBreaker, as two values."""

from __future__ import annotations

from dataclasses import dataclass

from tripswitch.domain.values.memory import Memory
from tripswitch.domain.values.report import Report


@dataclass(frozen=True, slots=True)
class Status:
    """What is remembered (rule W2), and what is only told. Stored as one object (``tripswitch.api.codec``)."""

    memory: Memory = Memory()
    report: Report = Report()
