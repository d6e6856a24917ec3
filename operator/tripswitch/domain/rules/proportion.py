"""Rules R4 and R7: scaling several revisions at once, in proportion, as a Deployment does.

Each ReplicaSet remembers the ``replicas`` that its size was decided for (``sized_for``). While that is
not the present ``replicas``, the GuardedDeployment was scaled and the ReplicaSet has not followed
yet. Size and memory are written in one request, so a crash between two ReplicaSets leaves one that
has followed and one that is still to follow, and the next look goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tripswitch.domain.rules.bounds import compute_bounds
from tripswitch.domain.rules.pod_counts import PodCounts
from tripswitch.domain.values.workload import Strategy


@dataclass(frozen=True, slots=True)
class Share:
    """One ReplicaSet's part of all pods.

    ``before``: the most pods that all ReplicaSets together might have when ``size`` was decided.
    """

    name: str
    size: int
    before: int


def share_out(shares: Sequence[Share], most: int, allowed: int) -> dict[str, int]:
    """Return sizes in proportion that are ``allowed`` in all (Kubernetes' GetReplicaSetProportion).

    Args:
        shares: The ReplicaSets with pods, older ones first.
        most: The most pods that all ReplicaSets together may have now.
        allowed: How many of them are for these ReplicaSets.

    10 replicas with 3 more at most became 30, and 10 again:

    >>> share_out([Share("old", 8, before=13), Share("new", 5, before=13)], 33, 33)
    {'old': 20, 'new': 13}
    >>> share_out([Share("old", 20, before=33), Share("new", 13, before=33)], 13, 13)
    {'old': 8, 'new': 5}

    The larger ones come first; of two that are as large, the newer one grows first and the older one
    shrinks first. What is left over goes to the first.

    >>> share_out([Share("old", 1, before=8), Share("new", 4, before=8)], 24, 24)
    {'old': 3, 'new': 21}
    """
    to_add = allowed - sum(share.size for share in shares)
    newest_first = list(reversed(shares)) if to_add > 0 else list(shares)
    ranked = sorted(newest_first, key=lambda share: -share.size)
    sizes = {share.name: share.size for share in shares}
    left = to_add
    for share in ranked:
        fraction = _scale(share, most) - share.size
        part = min(fraction, left) if to_add > 0 else max(fraction, left)
        sizes[share.name] += part
        left -= part
    for largest in ranked[:1]:
        sizes[largest.name] = max(0, sizes[largest.name] + left)
    return sizes


def _scale(share: Share, most: int) -> int:
    """Return the size with the same part of ``most``, rounded half up."""
    if share.before == 0:
        return share.size
    return (2 * share.size * most + share.before) // (2 * share.before)


def is_scaled_up(all_counts: Iterable[PodCounts], replicas: int) -> bool:
    """Return whether one of the ReplicaSets was sized for fewer ``replicas``."""
    return any(
        counts.sized_for is not None and counts.sized_for < replicas for counts in all_counts
    )


def is_scaled_down(all_counts: Iterable[PodCounts], replicas: int) -> bool:
    """Return whether one of the ReplicaSets was sized for more ``replicas``."""
    return any(
        counts.sized_for is not None and counts.sized_for > replicas for counts in all_counts
    )


def share_upper_bound(
    all_counts: Sequence[PodCounts], replicas: int, strategy: Strategy, taken: int
) -> Mapping[str, int]:
    """Return sizes in proportion within the upper bound, none above ``replicas``.

    ``all_counts``: older ones first. ``taken``: pods of ReplicaSets that are not to be scaled.
    """
    upper = compute_bounds(strategy, replicas).upper
    shares = [
        Share(counts.name, counts.size, compute_bounds(strategy, before).upper)
        for counts, before in zip(all_counts, _recall(all_counts, replicas), strict=True)
    ]
    sizes = share_out(shares, upper, upper - taken)
    return {name: min(size, replicas) for name, size in sizes.items()}


def share_replicas(all_counts: Sequence[PodCounts], replicas: int, taken: int) -> Mapping[str, int]:
    """Return sizes in proportion that are ``replicas`` in all, with the pods that are ``taken``."""
    shares = [
        Share(counts.name, counts.size, before)
        for counts, before in zip(all_counts, _recall(all_counts, replicas), strict=True)
    ]
    return share_out(shares, replicas, replicas - taken)


def _recall(all_counts: Sequence[PodCounts], replicas: int) -> list[int]:
    """Return the ``replicas`` that each size was decided for.

    Where one was never written (an earlier version of the operator), that of another is taken.
    """
    known = [counts.sized_for for counts in all_counts if counts.sized_for is not None]
    other = min(known, default=replicas)
    return [other if counts.sized_for is None else counts.sized_for for counts in all_counts]
