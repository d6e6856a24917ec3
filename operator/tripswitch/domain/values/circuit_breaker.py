"""A DeploymentCircuitBreaker as the rules see it (rules G)."""

from __future__ import annotations

from dataclasses import dataclass, field

from tripswitch.domain.values.protection import Protection
from tripswitch.domain.values.status import Status


@dataclass(frozen=True, slots=True)
class CircuitBreaker:
    """A DeploymentCircuitBreaker: its ``spec`` (``protection``), the commands (C1, C2) and its ``status``.

    ``hold`` and ``resumes`` of the memory are used by this kind only; ``selector``, ``collision_count``
    are not.
    """

    name: str
    uid: str
    generation: int
    protection: Protection
    status: Status = field(default_factory=Status)
    retry: str | None = None
    stop: str | None = None
