"""What ``status`` only tells: the half that follows from the memory and the snapshot, anew at each look.

No decision reads it. The same names in camelCase are fields of the resource's ``status``
(``tripswitch.api.status``).
"""

from __future__ import annotations

from dataclasses import dataclass

from tripswitch.domain.values.memory import ConditionState
from tripswitch.domain.values.states import Reason, RolloutState
from tripswitch.domain.values.time import Instant


@dataclass(frozen=True, slots=True)
class RevisionReport:
    """What an entry of ``status.revisions`` tells of its pods. ``status`` is ECS's PRIMARY, ACTIVE or INACTIVE."""

    revision: int
    status: str = "INACTIVE"
    desired: int = 0
    running: int = 0
    healthy: int = 0


@dataclass(frozen=True, slots=True)
class Condition:
    """One of ``status.conditions``; ``last_transition_time`` changes only with ``status``."""

    type: str
    status: bool
    reason: Reason
    message: str
    last_transition_time: Instant

    @property
    def state(self) -> ConditionState:
        """The condition without its message, which is what the memory keeps of it."""
        return ConditionState(self.type, self.status, self.reason, self.last_transition_time)


@dataclass(frozen=True, slots=True)
class Report:
    """Numbers, states and sentences for people and tools; those of an object never looked at by default."""

    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    selector: str = ""
    rollout_state: RolloutState | None = None
    rollout_state_reason: str = ""
    revisions: tuple[RevisionReport, ...] = ()
    conditions: tuple[Condition, ...] = ()
