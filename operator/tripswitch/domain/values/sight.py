"""Rules V: what the operator can know at a moment, and which clocks may run.

A failure that a pod shows may be counted from any view, because the kubelet reported it. A failure that
is concluded from the absence of a report (F2 after the first attempt, F4, P1) may not: the report may be
missing because a watch is silent, a node is dead or the API server cannot be reached. The shell reads the
pods anew when the core asks for it (:class:`Check`), and says here how current its knowledge is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tripswitch.domain.values.time import Instant

NEVER: Instant = math.inf
"""A moment that does not come as long as an outage lasts."""

REPORT_SECONDS = 40.0
"""Kubelets need up to this long after an outage until all of them have reported again (V2)."""

AGAIN_SECONDS = 10.0
"""How long after a check that gave no verdict the next one is made, in seconds."""

OUTAGE_LOOK_SECONDS = 10.0
"""How often a rollout is looked at while an outage holds its clocks, in seconds."""


@dataclass(frozen=True, slots=True)
class Standstill:
    """A time in which the clocks of F4 and P1 stand still (V2).

    It begins with an outage and ends ``REPORT_SECONDS`` after it; ``ended`` is :data:`NEVER` while the
    outage lasts.
    """

    began: Instant
    ended: Instant = NEVER


@dataclass(frozen=True, slots=True)
class AttemptEvent:
    """A Warning event with the reason ``Failed`` about a container that could not be started.

    ``container`` is empty if the event names none. ``count`` is how often it happened.
    """

    pod: str
    """The pod's UID."""
    container: str
    message: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Sight:
    """How current the snapshot is (V1); by default nothing is known to be.

    Attributes:
        as_of: The pods of the rollout, ``nodes`` and ``events`` were read at this moment or later (V1).
        nodes: The nodes that were looked at; None means all of them.
        lost_nodes: Those of them that may be dead (V3).
        events: What the pods' events say about attempts to start their containers (F2); None if the
            latest reading did not ask for them.
        standstills: When the clocks stood still, in order and without overlaps (V2).
    """

    as_of: Instant = 0.0
    nodes: frozenset[str] | None = frozenset()
    lost_nodes: frozenset[str] = frozenset()
    events: tuple[AttemptEvent, ...] | None = None
    standstills: tuple[Standstill, ...] = ()

    def confirms(self, deadline: Instant, node: str = "") -> bool:
        """Return whether a report that had come by ``deadline`` would be known (V1, V2, V3)."""
        fresh = self.as_of >= deadline and self._silent_until is None
        return fresh and self._knows(node) and node not in self.lost_nodes

    def check_at(self, deadline: Instant, node: str = "") -> Instant:
        """Return when to read anew, because :meth:`confirms` says no: at once, or a while after the last."""
        if self.as_of < deadline or not self._knows(node):
            return deadline
        return self._silent_until or self.as_of + AGAIN_SECONDS

    @property
    def _silent_until(self) -> Instant | None:
        """When kubelets have reported again, if what was read is of a time in which they had not (V2).

        Also of a deadline that passed long before: the process that held it back may be gone.
        """
        stood = (one.ended for one in self.standstills if one.began <= self.as_of < one.ended)
        return next(stood, None)

    def _knows(self, node: str) -> bool:
        return not node or self.nodes is None or node in self.nodes


UNKNOWN = Sight()
"""Nothing is known to be current: no verdict by time."""

CURRENT = Sight(as_of=math.inf, nodes=None)
"""Everything is known as it is: for simulations, and where what is seen is not judged but remembered."""


@dataclass(frozen=True, slots=True)
class Check:
    """What is to be read anew before time alone may lead to a verdict.

    Attributes:
        replica_set: Name of the ReplicaSet whose pods are to be read: the rollout's.
        uid: Its UID.
        nodes: These nodes are to be looked at, whether they are alive (V3).
        events: Whether the events of its pods are wanted, too (F2).
    """

    replica_set: str
    uid: str
    nodes: frozenset[str] = frozenset()
    events: bool = False


@dataclass(frozen=True, slots=True)
class Need:
    """What one rule wants to know more of: nodes, and perhaps events. See :class:`Check`."""

    nodes: frozenset[str] = frozenset()
    events: bool = False
