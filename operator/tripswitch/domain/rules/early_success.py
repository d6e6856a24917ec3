"""Rule E1: a rollout that is COMPLETED before all of its pods are healthy.

What is left to do then goes on by R3, with the breaker off (S3): the sizes of a rollout that has
completed move in the same way as those of one that is in progress.
"""

from __future__ import annotations

from collections.abc import Iterable

from tripswitch.domain.rules.pod_counts import PodCounts
from tripswitch.domain.rules.scaling import is_complete
from tripswitch.domain.rules.threshold import percent_up
from tripswitch.domain.values.hooks import EarlySuccess


def compute_enough(early: EarlySuccess, replicas: int) -> int:
    """Return how many healthy pods are enough: a percentage, rounded up, and at least one.

    ECS's own examples:

    >>> [compute_enough(EarlySuccess(p), n) for p, n in ((50, 2), (50, 3), (80, 10), (90, 100))]
    [1, 2, 8, 90]

    >>> compute_enough(EarlySuccess(0), 4)
    1
    """
    return max(1, percent_up(early.healthy_percent, replicas))


def is_scaled_up(
    early: EarlySuccess | None, target: PodCounts, others: Iterable[PodCounts], replicas: int
) -> bool:
    """Return whether a rollout has the pods that it needs: R5's, or those of E1.

    >>> target, old = PodCounts("new", 4, 4, 3, 3), PodCounts("old", 1, 1, 1, 1, gone=False)
    >>> is_scaled_up(EarlySuccess(75), target, [old], 4), is_scaled_up(None, target, [old], 4)
    (True, False)

    With no ``replicas`` there is nothing to be early with (R6).
    """
    if early is None or replicas == 0:
        return is_complete(target, others, replicas)
    return target.healthy >= compute_enough(early, replicas)


def is_cleaned_up(early: EarlySuccess | None, others: Iterable[PodCounts]) -> bool:
    """Return whether nothing is left of older revisions that the end of a rollout waits for.

    >>> old = PodCounts("old", 1, 1, 1, 1, gone=False)
    >>> [is_cleaned_up(EarlySuccess(75, blocking=blocking), [old]) for blocking in (True, False)]
    [False, True]
    """
    if early is not None and not early.blocking:
        return True
    return all(other.occupied == 0 for other in others)


def describe_rest(target: PodCounts, others: Iterable[PodCounts], replicas: int) -> str:
    """Return what is left to do after an early success; empty if nothing is.

    >>> old = PodCounts("old", 1, 2, 2, 2, gone=False)
    >>> describe_rest(PodCounts("new", 4, 4, 3, 3), [old], 4)
    '3 of 4 pods healthy, 2 of older revisions still to go'
    >>> describe_rest(PodCounts("new", 4, 4, 4, 4), [], 4)
    ''
    """
    left = sum(other.occupied for other in others)
    words = [] if target.healthy >= replicas else [f"{target.healthy} of {replicas} pods healthy"]
    words += [f"{left} of older revisions still to go"] if left else []
    return ", ".join(words)
