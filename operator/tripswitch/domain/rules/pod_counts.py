"""A ReplicaSet and its pods as numbers, for the rules that plan sizes (R) and for the status."""

from __future__ import annotations

from dataclasses import dataclass

from tripswitch.domain.rules.ended_runs import compute_ended_runs
from tripswitch.domain.rules.failure_reasons import CANNOT_START
from tripswitch.domain.rules.health import (
    LEAST_PATIENCE,
    Expectations,
    expect,
    healthy_at,
    lost_readiness,
    running_at,
)
from tripswitch.domain.values.pods import OVER, PodPhase, PodView
from tripswitch.domain.values.replica_sets import ReplicaSetView
from tripswitch.domain.values.time import Instant
from tripswitch.domain.values.workload import (
    Spec,
)


@dataclass(frozen=True, slots=True)
class PodCounts:
    """A ReplicaSet and its pods in numbers, counted once per look. ``healthy <= ready <= live``."""

    name: str
    size: int
    live: int = 0
    ready: int = 0
    healthy: int = 0
    unhealthy: tuple[PodView, ...] = ()
    """The live pods that are not healthy."""
    gone: bool = True
    """Not one pod is left or about to be made, not even one that is terminating."""
    leaving: bool = False
    """Its ReplicaSet is being deleted: no pod is made any more, and each may go at any moment."""
    running: int = 0
    """Live pods in phase Running."""
    served: int = 0
    """Live pods that are Ready, or have lost that since their containers started (B3)."""
    returning: int = 0
    """Those of them that lost it so short a time ago that they are not late yet (F4)."""
    next_late_at: Instant | None = None
    """When the next one of these will be."""
    next_healthy_at: Instant | None = None
    """When the next Ready pod will have been Ready for long enough (H1)."""
    starting: int = 0
    """Live pods that never were Ready and show no fault."""
    sized_for: int | None = None
    """The ``replicas`` that ``size`` was decided for; None if that is not known."""
    proven: bool = False
    """Its revision completed before: pods of it that are starting are capacity to come (R4)."""

    @property
    def occupied(self) -> int:
        """Pods that are there or that its ReplicaSet is about to make."""
        return max(self.size, self.live)

    @property
    def coming(self) -> int:
        """Pods that serve, and for a proven revision also those that soon will."""
        if not self.proven or self.leaving:
            return self.ready
        return self.ready + self.returning + self.starting + max(0, self.size - self.live)

    def surely_healthy(self, size: int) -> int:
        """Return how many healthy pods are left at ``size``, in the worst case.

        >>> counts = PodCounts("web-1", size=5, live=5, ready=4, healthy=3)
        >>> [counts.surely_healthy(size) for size in (5, 4, 3, 1, 0)]
        [3, 3, 2, 0, 0]

        Of a ReplicaSet that is being deleted nothing is left for sure.

        >>> PodCounts("web-1", size=3, live=3, ready=3, healthy=3, leaving=True).surely_healthy(3)
        0
        """
        if self.leaving:
            return 0
        deleted = max(0, self.live - size)
        unready = self.live - self.ready
        return max(0, self.healthy - max(0, deleted - unready))


def count_pods(replica_set: ReplicaSetView, spec: Spec, now: Instant) -> PodCounts:
    """Count the pods of a ReplicaSet; one that is being deleted makes no more of them."""
    expected = expect(replica_set, spec, now)
    live = [pod for pod in replica_set.pods if pod.live]
    moments = [(pod, healthy_at(pod, expected)) for pod in live]
    unhealthy = tuple(pod for pod, at in moments if at is None or at > now)
    unready = [pod for pod in live if pod.ready_since is None]
    lost = [pod for pod in unready if _has_served(pod)]
    late = [at for at in (_find_late_at(pod, expected) for pod in lost) if at > now]
    size = len(live) if replica_set.deleting else replica_set.size
    return PodCounts(
        name=replica_set.name,
        size=size,
        live=len(live),
        ready=len(live) - len(unready),
        healthy=len(live) - len(unhealthy),
        unhealthy=unhealthy,
        gone=size == 0 and all(pod.phase in OVER for pod in replica_set.pods),
        leaving=replica_set.deleting,
        running=sum(pod.phase is PodPhase.RUNNING for pod in live),
        served=len(live) - len(unready) + len(lost),
        returning=len(late),
        next_late_at=min(late, default=None),
        next_healthy_at=min((at for _, at in moments if at is not None and at > now), default=None),
        starting=sum(_is_starting(pod) for pod in unready),
        sized_for=replica_set.sized_for,
    )


def _has_served(pod: PodView) -> bool:
    """Whether a live pod that is not Ready was so in the present run of its containers, which all go on."""
    return running_at(pod) is not None and lost_readiness(pod)


def _find_late_at(pod: PodView, expected: Expectations) -> Instant:
    """Return when a pod that lost its readiness has been without it for long; a lost node is no excuse here."""
    return (pod.unready_since or 0.0) + max(expected.readiness.budget, LEAST_PATIENCE)


def _is_starting(pod: PodView) -> bool:
    """Whether a live pod that is not Ready never was so, and no container of it has failed."""
    if pod.unready_since is not None or pod.unready_by_node:
        return False
    return not any(
        container.waiting in CANNOT_START or compute_ended_runs(container) > 0
        for container in pod.containers
    )
