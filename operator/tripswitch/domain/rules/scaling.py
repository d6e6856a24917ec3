"""Rules R: the bounds of a rolling update, and the next sizes of the ReplicaSets.

One look makes one step: raise the target as far as the upper bound allows, then lower the others as
far as the lower bound allows. Sizes are planned against the worst choice a ReplicaSet could make:
when it is lowered it deletes pods that are not Ready first, but between two Ready pods it may take
the healthy one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tripswitch.domain.rules.ended_runs import compute_ended_runs
from tripswitch.domain.rules.failures import CANNOT_START
from tripswitch.domain.rules.health import expect, healthy_at
from tripswitch.domain.rules.threshold import percent_down, percent_up
from tripswitch.domain.values.pods import OVER, ContainerRole, PodPhase, PodView
from tripswitch.domain.values.replica_sets import ReplicaSetView
from tripswitch.domain.values.time import Instant
from tripswitch.domain.values.workload import (
    Amount,
    Percentages,
    Recreate,
    RollingUpdate,
    Spec,
    Strategy,
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """``lower`` healthy pods at least, ``upper`` pods in all at most (R1)."""

    lower: int
    upper: int


@dataclass(frozen=True, slots=True)
class PodCounts:
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
        return self.ready + self.starting + max(0, self.size - self.live)

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
    moments = [at for pod in live if (at := healthy_at(pod, expected)) is not None]
    size = len(live) if replica_set.deleting else replica_set.size
    return PodCounts(
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
        starting=sum(_is_starting(pod) for pod in live),
        sized_for=replica_set.sized_for,
    )


def _is_starting(pod: PodView) -> bool:
    """Whether a live pod never was Ready and no container of it has failed."""
    if pod.ready_since is not None or pod.unready_since is not None or pod.unready_by_node:
        return False
    return not any(
        container.waiting in CANNOT_START or compute_ended_runs(container) > 0
        for container in pod.containers
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
    target: PodCounts, others: Sequence[PodCounts], replicas: int, bounds: Bounds, *, recreate: bool
) -> Mapping[str, int]:
    """Return the next size of each ReplicaSet, by name, of a rollout that goes on (R3, R4).

    ``others`` come in the order in which they are to go.

    >>> roll(PodCounts("new", 0), [PodCounts("old", 4, 4, 4, 4, gone=False)], 4, Bounds(4, 8),
    ...      recreate=False)
    {'new': 4, 'old': 4}
    >>> roll(PodCounts("new", 4, 4, 4, 3), [PodCounts("old", 4, 4, 4, 4, gone=False)], 4, Bounds(4, 8),
    ...      recreate=False)
    {'new': 4, 'old': 1}

    Old pods that are Ready, but not yet for minReadySeconds, serve users all the same:

    >>> roll(PodCounts("new", 4, 4, 4, 1), [PodCounts("old", 4, 4, 4, 0, gone=False)], 4, Bounds(4, 8),
    ...      recreate=False)
    {'new': 4, 'old': 3}

    More than U after scaling down, and the old pods are needed for L: new ones go.

    >>> roll(PodCounts("new", 13, 13), [PodCounts("old", 20, 20, 20, 20, gone=False)], 10, Bounds(8, 13),
    ...      recreate=False)
    {'new': 5, 'old': 8}
    """
    if recreate:
        return _recreate(target, others, replicas)
    wanted = _raise_target(target, others, replicas, bounds)
    # Capacity that is only being raised is nothing to count on yet.
    relied_on = target.surely_healthy(min(target.size, wanted)) - bounds.lower
    sizes = _lower_others(others, relied_on)
    excess = wanted + sum(sizes.values()) - bounds.upper
    if excess > 0:  # R4: it was scaled down, and the others are needed for L
        spare = relied_on + sum(other.surely_healthy(sizes[other.name]) for other in others)
        wanted = max(wanted - excess, _lowest(replace(target, size=wanted), spare))
    return {target.name: wanted, **sizes}


def _recreate(target: PodCounts, others: Sequence[PodCounts], replicas: int) -> dict[str, int]:
    """Return the next sizes of a Recreate (R1): the target is not raised before all other pods are gone.

    >>> _recreate(PodCounts("new", 0), [PodCounts("old", 4, 4, 4, 4, gone=False)], 4)
    {'new': 0, 'old': 0}
    >>> _recreate(PodCounts("new", 0), [PodCounts("old", 0)], 4)
    {'new': 4, 'old': 0}
    """
    others_gone = all(other.gone for other in others)
    size = replicas if others_gone else min(target.size, replicas)
    return {target.name: size, **{other.name: 0 for other in others}}


def _raise_target(
    target: PodCounts, others: Sequence[PodCounts], replicas: int, bounds: Bounds
) -> int:
    """Return the target's next size: towards ``replicas``, and no more pods than U in all (R3).

    4 old pods and at most 6 in all leave room for 2 new ones. The old ones count also while they terminate:

    >>> old = PodCounts("old", 4, 4, 4, 4, gone=False)
    >>> _raise_target(PodCounts("new", 0), [old], 4, Bounds(4, 6))
    2
    >>> _raise_target(PodCounts("new", 2, 2), [replace(old, size=2)], 4, Bounds(4, 6))
    2

    It is too large after scaling down from 8 to 4, and goes down as far as L allows. With 8 healthy pods
    4 may go; with 5 of them old and 3 its own, all of it that is not asked for may:

    >>> _raise_target(PodCounts("new", 8, 8, 8, 8), [], 4, Bounds(4, 6))
    4
    >>> _raise_target(PodCounts("new", 8, 8, 3, 3), [PodCounts("old", 5, 5, 5, 5)], 4, Bounds(4, 6))
    4
    """
    room = bounds.upper - target.occupied - sum(other.occupied for other in others)
    healthy = sum(counts.surely_healthy(counts.size) for counts in (target, *others))
    towards = resize(target, replicas, spare=healthy - bounds.lower)
    return min(towards, target.size + max(0, room))


def _lower_others(others: Sequence[PodCounts], relied_on: int) -> dict[str, int]:
    """Return the smallest safe sizes of the revisions that are to go, in that order.

    Three counts hold at once: of the healthy pods, of those that serve (they are young, or
    minReadySeconds was raised), and of those that serve soon. The target's pods are to be healthy
    before any of them goes that L asks for. ``relied_on``: its healthy pods beyond L.
    """
    serving = [replace(other, healthy=other.ready) for other in others]
    soon = [
        replace(
            other,
            live=max(other.live, other.size if other.proven else 0),
            ready=other.coming,
            healthy=other.coming,
        )
        for other in others
    ]
    sizes = {other.name: 0 for other in others}
    for all_counts in (others, serving, soon):
        spare = relied_on + sum(counts.surely_healthy(counts.size) for counts in all_counts)
        for counts in all_counts:
            sizes[counts.name] = max(sizes[counts.name], _lowest(counts, spare))
            spare -= counts.surely_healthy(counts.size)  # lost, or nothing is to spare any more
    return sizes


def lower(
    all_counts: Sequence[PodCounts], goals: Mapping[str, int], most: int, replicas: int
) -> dict[str, int]:
    """Return the next sizes on the way down to ``goals``, which are ``most`` pods in all (R4, R7).

    No healthy pod that ``replicas`` asks for is lost. If for that a ReplicaSet stays larger than its
    goal, pods of the others that are not Ready make up for it, in the order of ``all_counts``.

    >>> bad, old = PodCounts("bad", 4, 4, 1, 1), PodCounts("old", 4, 4, 4, 4)
    >>> lower([bad, old], {"bad": 0, "old": 4}, most=4, replicas=4)
    {'bad': 0, 'old': 4}

    Half of each would lose one of the two healthy pods that there are:

    >>> lower([PodCounts("bad", 6, 6), PodCounts("old", 2, 2, 2, 2)], {"bad": 3, "old": 1}, 4, replicas=4)
    {'bad': 2, 'old': 2}
    """
    spare = sum(counts.surely_healthy(counts.size) for counts in all_counts) - replicas
    lowered = []
    for counts in all_counts:
        size = max(min(goals[counts.name], counts.size), _lowest(counts, spare))
        spare -= counts.surely_healthy(counts.size) - counts.surely_healthy(size)
        lowered.append(replace(counts, size=size))
    excess = max(0, sum(counts.size for counts in lowered) - most)
    sizes = {}
    for counts in lowered:
        not_ready_go = max(counts.size - excess, min(goals[counts.name], counts.ready))
        sizes[counts.name] = min(counts.size, max(not_ready_go, _lowest(counts, spare)))
        excess -= counts.size - sizes[counts.name]
    return sizes


def take_in_order(all_counts: Sequence[PodCounts], most: int) -> dict[str, int]:
    """Return sizes that are ``most`` in all, where the first ones go first.

    >>> take_in_order([PodCounts("bad", 1), PodCounts("old", 4), PodCounts("last", 4)], 6)
    {'bad': 0, 'old': 2, 'last': 4}
    """
    excess = max(0, sum(counts.size for counts in all_counts) - most)
    sizes = {}
    for counts in all_counts:
        sizes[counts.name] = max(0, counts.size - excess)
        excess -= counts.size - sizes[counts.name]
    return sizes


def resize(counts: PodCounts, replicas: int, spare: int) -> int:
    """Return the next size on the way to ``replicas``: up at once, down as far as is safe (R4).

    ``spare`` healthy pods may be lost.

    >>> resize(PodCounts("web", 4, 4, 4, healthy=2), 2, spare=0)
    4
    """
    return max(replicas, _lowest(counts, spare))


def is_complete(target: PodCounts, others: Iterable[PodCounts], replicas: int) -> bool:
    """R5: all replicas healthy, every other ReplicaSet at 0; terminating pods do not hold it up."""
    return (
        target.size == replicas
        and target.live == replicas
        and target.healthy == replicas
        and all(other.occupied == 0 for other in others)
    )


def _lowest(counts: PodCounts, spare: int) -> int:
    """Return the smallest size at which no more than ``spare`` healthy pods can be lost.

    Pods that are not Ready go first, so they never hold it up; it is never more than ``size``.

    Four healthy pods, one to spare: three are left.

    >>> _lowest(PodCounts("web-1", size=4, live=4, ready=4, healthy=4), spare=1)
    3

    Two of four are Ready and one of these is healthy; none is to spare. Lowered to 2, the ReplicaSet
    deletes the two that are not Ready. Lowered to 1, it may delete the healthy one of the two Ready ones:

    >>> _lowest(PodCounts("web-1", size=4, live=4, ready=2, healthy=1), spare=0)
    2

    Everything that is healthy is to spare, and then everything may go:

    >>> _lowest(PodCounts("web-1", size=4, live=4, ready=2, healthy=1), spare=1)
    0
    """
    left, spare = counts.surely_healthy(counts.size), max(0, spare)
    if left <= spare:
        return 0
    # One pod less loses at most one healthy pod, and none while pods that are not Ready are left.
    return min(counts.size, left - spare + counts.ready - counts.healthy)


def _resolve(amount: Amount, replicas: int, share: Callable[[int, int], int]) -> int:
    return share(amount.value, replicas) if amount.percent else amount.value
