"""Rules T: how many failures trip the breaker."""

from __future__ import annotations

from tripswitch.domain.values.workload import BreakerSpec, ThresholdType

BOUNDED_MINIMUM = 3
BOUNDED_MAXIMUM = 200


def compute_threshold(breaker: BreakerSpec, replicas: int) -> int:
    """Return the failures that trip the breaker, from the *latest* ``replicas`` (T4).

    T1, the default: half of ``replicas``, rounded up, never under 3 or over 200.

    >>> [compute_threshold(BreakerSpec(), replicas) for replicas in (1, 25, 400, 800)]
    [3, 13, 200, 200]

    T2, without the bounds:

    >>> unbounded = BreakerSpec(threshold_type=ThresholdType.UNBOUNDED_PERCENT, threshold_value=50)
    >>> [compute_threshold(unbounded, replicas) for replicas in (0, 1, 800)]
    [1, 1, 400]

    T3, a number:

    >>> compute_threshold(BreakerSpec(threshold_type=ThresholdType.COUNT, threshold_value=7), 800)
    7
    """
    value = breaker.threshold_value
    share = percent_up(value, replicas)
    match breaker.threshold_type:
        case ThresholdType.BOUNDED_PERCENT:  # T1
            return min(max(share, BOUNDED_MINIMUM), BOUNDED_MAXIMUM)
        case ThresholdType.UNBOUNDED_PERCENT:  # T2
            return max(1, share)
        case ThresholdType.COUNT:  # the last case
            return value  # T3


def percent_up(percent: int, of: int) -> int:
    """Return ``percent`` of ``of``, rounded up, in whole numbers (floats would lose pods).

    >>> percent_up(50, 25), percent_up(29, 100), percent_up(0, 9)
    (13, 29, 0)
    """
    return -(-percent * of // 100)


def percent_down(percent: int, of: int) -> int:
    """Return ``percent`` of ``of``, rounded down.

    >>> percent_down(150, 3), percent_down(25, 10)
    (4, 2)
    """
    return percent * of // 100
