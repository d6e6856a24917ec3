"""Rules R1 and R2: how many healthy pods a rollout keeps, and how many pods in all it may have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tripswitch.domain.rules.threshold import percent_down, percent_up
from tripswitch.domain.values.workload import (
    Amount,
    Percentages,
    Recreate,
    RollingUpdate,
    Strategy,
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """``lower`` healthy pods at least, ``upper`` pods in all at most (R1)."""

    lower: int
    upper: int


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


def _resolve(amount: Amount, replicas: int, share: Callable[[int, int], int]) -> int:
    return share(amount.value, replicas) if amount.percent else amount.value
