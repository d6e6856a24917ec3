"""Rules R: the bounds of a rolling update, and the next sizes of the ReplicaSets.

One look makes one step: raise the target as far as the upper bound allows, then lower the others as
far as the lower bound allows. Sizes are planned against the worst choice a ReplicaSet could make:
when it is lowered it deletes pods that are not Ready first, but between two Ready pods it may take
the healthy one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tripswitch.domain.ended_runs import compute_ended_runs
from tripswitch.domain.health import expect, healthy_at
from tripswitch.domain.model import (
    OVER,
    Amount,
    ContainerRole,
    Instant,
    Percentages,
    PodPhase,
    PodView,
    Recreate,
    ReplicaSetView,
    RollingUpdate,
    Spec,
    Strategy,
)
from tripswitch.domain.threshold import percent_down, percent_up


@dataclass(frozen=True, slots=True)
class Bounds:
    """``lower`` healthy pods at least, ``upper`` pods in all at most (R1)."""

    lower: int
    upper: int


@dataclass(frozen=True, slots=True)
class Crowd:
    """A ReplicaSet and its pods as numbers, counted once per look. ``healthy <= ready <= live``."""

    name: str
    size: int
    live: int = 0
    ready: int = 0
    healthy: int = 0
    gone: bool = True
    """Not one pod is left or about to be made, not even one that is terminating."""
    leaving: bool = False
    """Its ReplicaSet is being deleted: no pod is made any more, and each may go at any moment."""
    running: int = 0
    """Live pods in phase Running."""
    waiting: int = 0
    """Live pods that never failed and wait for something outside of them (F10)."""
    next_healthy_at: Instant | None = None
    """When the next Ready pod will have been Ready for long enough (H1)."""

    @property
    def occupied(self) -> int:
        """Pods that are there or that its ReplicaSet is about to make."""
        return max(self.size, self.live)

    def surely_healthy(self, size: int) -> int:
        """Return how many healthy pods are left at ``size``, in the worst case.

        >>> crowd = Crowd("web-1", size=5, live=5, ready=4, healthy=3)
        >>> [crowd.surely_healthy(size) for size in (5, 4, 3, 1, 0)]
        [3, 3, 2, 0, 0]

        Of a ReplicaSet that is being deleted nothing is left for sure.

        >>> Crowd("web-1", size=3, live=3, ready=3, healthy=3, leaving=True).surely_healthy(3)
        0
        """
        if self.leaving:
            return 0
        deleted = max(0, self.live - size)
        unready = self.live - self.ready
        return max(0, self.healthy - max(0, deleted - unready))


def crowd(replica_set: ReplicaSetView, spec: Spec, now: Instant) -> Crowd:
    """Count the pods of a ReplicaSet; one that is being deleted makes no more of them."""
    expected = expect(replica_set, spec, now)
    live = [pod for pod in replica_set.pods if pod.live]
    moments = [at for pod in live if (at := healthy_at(pod, expected)) is not None]
    size = len(live) if replica_set.deleting else replica_set.size
    return Crowd(
        name=replica_set.name,
        size=size,
        live=len(live),
        ready=len(moments),
        healthy=sum(at <= now for at in moments),
        gone=size == 0 and all(pod.phase in OVER for pod in replica_set.pods),
        leaving=replica_set.deleting,
        running=sum(pod.phase is PodPhase.RUNNING for pod in live),
        waiting=sum(_is_waiting(pod) for pod in live),
        next_healthy_at=min((at for at in moments if at > now), default=None),
    )


def _is_waiting(pod: PodView) -> bool:
    """Whether no run of a pod has failed and one of its containers has not begun yet."""
    lasting = [c for c in pod.containers if c.role is not ContainerRole.INIT]
    return any(c.running_since is None for c in lasting) and not any(
        compute_ended_runs(c) for c in pod.containers
    )


def compute_bounds(strategy: Strategy, replicas: int) -> Bounds:
    """Return the bounds of a rolling update (R1, R2).

    >>> compute_bounds(Percentages(100, 200), 4)
    Bounds(lower=4, upper=8)
    >>> compute_bounds(Percentages(50, 150), 3)
    Bounds(lower=2, upper=4)

    R2: percentages that round to no room at all get one pod of it.

    >>> compute_bounds(Percentages(100, 110), 4)
    Bounds(lower=4, upper=5)

    A Deployment's strategy is rounded as Kubernetes does; both at zero means one unavailable.

    >>> compute_bounds(RollingUpdate(Amount(25, percent=True), Amount(25, percent=True)), 10)
    Bounds(lower=8, upper=13)
    >>> compute_bounds(RollingUpdate(Amount(0), Amount(0)), 4)
    Bounds(lower=3, upper=4)
    >>> compute_bounds(Recreate(), 4)
    Bounds(lower=0, upper=4)
    """
    if replicas == 0:
        return Bounds(0, 0)
    match strategy:
        case Percentages(minimum_healthy, maximum):
            lower = min(percent_up(minimum_healthy, replicas), replicas)
            upper = max(percent_down(maximum, replicas), replicas)
            return Bounds(lower, upper + 1 if lower == upper else upper)  # R2
        case RollingUpdate(max_surge, max_unavailable):
            surge = _resolve(max_surge, replicas, percent_up)
            unavailable = _resolve(max_unavailable, replicas, percent_down)
            if surge == 0 and unavailable == 0:
                unavailable = 1
            return Bounds(max(0, replicas - unavailable), replicas + surge)
        case Recreate():  # the last case
            return Bounds(0, replicas)


def compute_needed(strategy: Strategy, replicas: int) -> int:
    """Return the healthy pods that make a fleet ``Available``: L, and all of them for ``Recreate``.

    The rollout of a ``Recreate`` may go down to none (R1), but a fleet of none is not available; a
    Deployment says the same.

    >>> compute_needed(Percentages(50, 200), 4), compute_needed(Recreate(), 4)
    (2, 4)
    """
    if isinstance(strategy, Recreate):
        return replicas
    return compute_bounds(strategy, replicas).lower


def roll(
    target: Crowd, others: Sequence[Crowd], replicas: int, bounds: Bounds, *, recreate: bool
) -> Mapping[str, int]:
    """Return the next size of each ReplicaSet, by name, of a rollout that goes on (R3, R4).

    ``others`` come in the order in which they are to go.

    >>> roll(Crowd("new", 0), [Crowd("old", 4, 4, 4, 4, gone=False)], 4, Bounds(4, 8),
    ...      recreate=False)
    {'new': 4, 'old': 4}
    >>> roll(Crowd("new", 4, 4, 4, 3), [Crowd("old", 4, 4, 4, 4, gone=False)], 4, Bounds(4, 8),
    ...      recreate=False)
    {'new': 4, 'old': 1}

    Old pods that are Ready, but not yet for minReadySeconds, serve users all the same:

    >>> roll(Crowd("new", 4, 4, 4, 1), [Crowd("old", 4, 4, 4, 0, gone=False)], 4, Bounds(4, 8),
    ...      recreate=False)
    {'new': 4, 'old': 3}
    """
    if recreate:
        held = target.size if any(not other.gone for other in others) else replicas
        return {target.name: min(held, replicas), **{other.name: 0 for other in others}}
    room = bounds.upper - target.occupied - sum(other.occupied for other in others)
    left = sum(other.surely_healthy(other.size) for other in others) - bounds.lower
    spare = left + target.surely_healthy(target.size)
    wanted = min(resize(target, replicas, spare), target.size + max(0, room))
    sizes = {target.name: wanted}
    # Capacity that is only being raised is nothing to count on yet.
    target_left = target.surely_healthy(min(target.size, wanted))
    spare = left + target_left
    # Old pods that serve but are not healthy yet (they are young, or minReadySeconds was raised)
    # stay as well, as far as L asks for them: the target's pods are to be healthy before they go.
    pairs = [(other, replace(other, healthy=other.ready)) for other in others]
    serving_left = sum(one.surely_healthy(one.size) for _, one in pairs) - bounds.lower
    spare_serving = serving_left + target_left
    for other, one in pairs:
        sizes[other.name] = max(_lowest(other, spare), _lowest(one, spare_serving))
        # Lost, or nothing is to spare any more.
        spare -= other.surely_healthy(other.size)
        spare_serving -= one.surely_healthy(one.size)
    return sizes


def stall(
    target: Crowd, others: Sequence[Crowd], bounds: Bounds, *, held: bool = False
) -> Mapping[str, int]:
    """Return the next sizes when nothing may be launched any more (B3).

    The failed revision keeps the pods that are Ready and every other revision keeps what it has,
    within the upper bound: scaling down still works.

    >>> stall(Crowd("bad", 4, 4, 1, 1), [Crowd("old", 4, 4, 4, 4)], Bounds(4, 8))
    {'bad': 1, 'old': 4}
    >>> stall(Crowd("bad", 4, 4, 1, 1), [Crowd("old", 4, 4, 4, 4)], Bounds(2, 4))
    {'bad': 0, 'old': 4}

    With ``held`` it keeps those that wait for something outside of them, too, and those that its
    ReplicaSet could not make yet (F10):

    >>> stall(Crowd("bad", 4, live=3, ready=1, waiting=1), [], Bounds(2, 4), held=True)
    {'bad': 3}
    """
    kept = target.ready
    if held:
        kept += target.waiting + max(0, target.size - target.live)
    crowds = [replace(target, size=min(target.size, kept)), *others]
    spare = sum(crowd.surely_healthy(crowd.size) for crowd in crowds) - bounds.lower
    excess = sum(crowd.size for crowd in crowds) - bounds.upper
    sizes = {}
    for crowd in crowds:
        sizes[crowd.name] = max(crowd.size - max(0, excess), _lowest(crowd, spare))
        excess -= crowd.size - sizes[crowd.name]
        spare -= crowd.surely_healthy(crowd.size)  # lost, or nothing more has to go
    return sizes


def resize(crowd: Crowd, replicas: int, spare: int) -> int:
    """Return the next size on the way to ``replicas``: up at once, down as far as is safe (R4).

    ``spare`` healthy pods may be lost.

    >>> resize(Crowd("web", 4, 4, 4, healthy=2), 2, spare=0)
    4
    """
    return max(replicas, _lowest(crowd, spare))


def is_complete(target: Crowd, others: Iterable[Crowd], replicas: int) -> bool:
    """R5: all replicas healthy, every other ReplicaSet at 0; terminating pods do not hold it up."""
    return (
        target.size == replicas
        and target.live == replicas
        and target.healthy == replicas
        and all(other.occupied == 0 for other in others)
    )


def _lowest(crowd: Crowd, spare: int) -> int:
    """Return the smallest size at which no more than ``spare`` healthy pods can be lost.

    Pods that are not Ready go first, so they never hold it up; it is never more than ``size``.
    """
    left, spare = crowd.surely_healthy(crowd.size), max(0, spare)
    if left <= spare:
        return 0
    # One pod less loses at most one healthy pod, and none while pods that are not Ready are left.
    return min(crowd.size, left - spare + crowd.ready - crowd.healthy)


def _resolve(amount: Amount, replicas: int, share: Callable[[int, int], int]) -> int:
    return share(amount.value, replicas) if amount.percent else amount.value
