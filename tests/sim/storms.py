"""A node that rejects every pod it is given (rule R8), and how many pods may fail that way."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tests.sim.gate import Later
from tests.sim.objects import Change, RawPod
from tripswitch.domain.values.pods import PodPhase
from tripswitch.domain.values.time import Instant

WINDOW_SECONDS = 600.0
MOST_REJECTED = 60
"""Pods of one ReplicaSet that may be rejected within 10 minutes; without the brake it is one in a second."""


@dataclass(slots=True)
class StormPlan:
    """How often a node begins to reject pods, in mean seconds, and for how long.

    Attributes:
        every: Mean seconds between the ends and the beginnings.
        longest: Seconds.
        share: Of the pods that are made meanwhile.
        strict: Nothing else slows the operator down, so that the number of rejected pods is judged.
    """

    every: float
    longest: float
    share: float
    strict: bool


class Storms:
    """The node, and the count of what it rejects. ``clock`` is the true time."""

    def __init__(
        self, plan: StormPlan, later: Later, rng: Random, clock: Callable[[], Instant]
    ) -> None:
        self._plan = plan
        self._later = later
        self._rng = rng
        self._clock = clock
        self._until: Instant = 0.0
        self._calm = False
        self._over: set[str] = set()
        self._moments: dict[str, deque[Instant]] = defaultdict(deque)
        self.most = 0
        """The most pods of one ReplicaSet that were rejected within 10 minutes."""
        self.count: Callable[[str], None] = lambda _: None

    def begin(self) -> None:
        """Have the node reject pods now and then."""
        self._later(self._rng.expovariate(1 / self._plan.every), self._strike)

    def calm_down(self) -> None:
        """It takes every pod from now on."""
        self._calm, self._until = True, 0.0

    @property
    def rejects(self) -> bool:
        """Whether the pod that is made now is rejected."""
        return self._clock() < self._until and self._rng.random() < self._plan.share

    def check(self, change: Change) -> list[str]:
        """R8: a ReplicaSet does not go on making pods that are rejected."""
        pod = change.raw
        if not isinstance(pod, RawPod) or pod.phase is not PodPhase.FAILED or not pod.reason:
            return []
        if pod.uid in self._over or pod.owner is None:
            return []
        self._over.add(pod.uid)
        now, moments = self._clock(), self._moments[pod.owner]
        moments.append(now)
        while moments[0] < now - WINDOW_SECONDS:
            moments.popleft()
        self.most = max(self.most, len(moments))
        if self._plan.strict and len(moments) > MOST_REJECTED:
            return [f"{len(moments)} pods of {pod.mark} were rejected within 10 minutes (R8)"]
        return []

    def _strike(self) -> None:
        if self._calm:
            return
        seconds = self._rng.uniform(20, self._plan.longest)
        self._until = self._clock() + seconds
        self.count("nodes that reject pods")
        self._later(seconds + self._rng.expovariate(1 / self._plan.every), self._strike)
