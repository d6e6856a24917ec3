"""Rules V: what the operator can know at a moment, and which clocks may run.

A failure that a pod shows may be counted from any view, because the kubelet reported it. A failure that
is concluded from the absence of a report (F2 after the first attempt, F4, P1) may not: the report may be
missing because a watch is silent, a node is dead or the API server cannot be reached. The shell reads the
pods anew when the core asks for it (:class:`Check`), and says here how current its knowledge is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from tripswitch.domain.values.node_life import Life
from tripswitch.domain.values.time import Instant

NEVER: Instant = math.inf
"""A moment that does not come as long as an outage lasts."""

EVER: Instant = 0.0
"""Since when nobody has looked where that is not known: a process without a Lease has just started (V2)."""

REPORT_SECONDS = 40.0
"""Kubelets need up to this long after an outage until all of them have reported again (V2)."""

AGAIN_SECONDS = 10.0
"""How long after a look at a node's Lease the next one is made, in seconds: kubelets renew it every 10 s."""

OUTAGE_LOOK_SECONDS = 10.0
"""How often a rollout is looked at while an outage holds its clocks, in seconds."""


@dataclass(frozen=True, slots=True)
class Standstill:
    """A time in which the clocks of F4 and P1 stand still (V2).

    It begins with an outage, or :data:`EVER`, and ends ``REPORT_SECONDS`` after it; ``ended`` is
    :data:`NEVER` while the outage lasts.
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
class Need:
    """What one rule wants to know more of: nodes, pods, or events with their pods. See :class:`Check`."""

    nodes: frozenset[str] = frozenset()
    events: bool = False
    pods: bool = False


@dataclass(frozen=True, slots=True)
class Sight:
    """How current the snapshot is (V1); by default nothing is known to be.

    Attributes:
        as_of: The pods of the rollout, and ``events``, were read at this moment or later (V1).
        lives: What is known of the nodes that were looked at (V3); None: all nodes are alive.
        events: What the pods' events say about attempts to start their containers (F2); None if the
            latest reading did not ask for them.
        standstills: When the clocks stood still, in order and without overlaps (V2).
    """

    as_of: Instant = 0.0
    lives: Mapping[str, Life] | None = field(default_factory=dict)
    events: tuple[AttemptEvent, ...] | None = None
    standstills: tuple[Standstill, ...] = ()

    def confirms(self, deadline: Instant, node: str = "") -> bool:
        """Return whether a report that had come by ``deadline`` would be known (V1, V2, V3)."""
        proved = self._proved_by(deadline, node)
        return proved is not None and self.as_of >= proved and self._silent_until is None

    def find_need(self, deadline: Instant, node: str = "") -> tuple[Instant, Need]:
        """Return what to read, and when, because :meth:`confirms` says no.

        First the node's Lease, until it shows that the node was alive after the deadline; then the pods,
        once. A node that is dead costs no reading of pods.
        """
        proved = self._proved_by(deadline, node)
        if proved is None:
            life = self._find(node)
            looked = life is not None and life.seen_at >= deadline
            due = life.seen_at + AGAIN_SECONDS if life is not None and looked else deadline
            return due, Need(frozenset({node}))
        silent_until = self._silent_until
        if self.as_of < proved or silent_until is None:
            return proved, Need(pods=True)
        return silent_until, Need(pods=True)

    def has_lost(self, node: str, deadline: Instant) -> bool:
        """Return whether a look after the deadline showed that a node may be dead (V3)."""
        life = self._find(node)
        return life is not None and life.lost and life.seen_at >= deadline

    def _proved_by(self, deadline: Instant, node: str) -> Instant | None:
        """Return since when a pod's silence means something: pods have to be read after that.

        None as long as the node was not seen alive after the deadline.
        """
        if not node or self.lives is None:
            return deadline
        life = self.lives.get(node)
        if life is None or life.lost or life.alive_at < deadline:
            return None
        return life.since

    def _find(self, node: str) -> Life | None:
        return None if self.lives is None else self.lives.get(node)

    @property
    def _silent_until(self) -> Instant | None:
        """When kubelets have reported again, if what was read is of a time in which they had not (V2).

        Also of a deadline that passed long before: the process that held it back may be gone.
        """
        stood = (one.ended for one in self.standstills if one.began <= self.as_of < one.ended)
        return next(stood, None)


UNKNOWN = Sight()
"""Nothing is known to be current: no verdict by time."""

CURRENT = Sight(as_of=math.inf, lives=None)
"""Everything is known as it is: for simulations, and where what is seen is not judged but remembered."""


@dataclass(frozen=True, slots=True)
class Check:
    """What is to be read anew before time alone may lead to a verdict.

    Attributes:
        replica_set: Name of the ReplicaSet whose pods are to be read: the rollout's.
        uid: Its UID.
        nodes: These nodes are to be looked at, whether they are alive (V3).
        events: Whether the events of its pods are wanted, too (F2).
        pods: Whether its pods are to be read.
    """

    replica_set: str
    uid: str
    nodes: frozenset[str] = frozenset()
    events: bool = False
    pods: bool = True
