"""Rules R: the bounds of a rolling update, and the next sizes of the ReplicaSets.

One look makes one step: raise the target as far as the upper bound allows, then lower the others as
far as the lower bound allows. Sizes are planned against the worst choice a ReplicaSet could make:
when it is lowered it deletes pods that are not Ready first, but between two Ready pods it may take
the healthy one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from tripswitch.domain.rules.bounds import Bounds
from tripswitch.domain.rules.pod_counts import PodCounts


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
