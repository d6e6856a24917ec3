"""Rules V: clocks that stand still in an outage, and readings that answer several rules at once."""

from __future__ import annotations

from collections.abc import Iterable

from tripswitch.domain.values.sight import Need, Standstill
from tripswitch.domain.values.time import Instant


def merge_needs(needs: Iterable[Need]) -> Need | None:
    """Return one reading that answers all of the needs; None if there are none."""
    wanted = tuple(needs)
    if not wanted:
        return None
    return Need(
        frozenset[str]().union(*(need.nodes for need in wanted)),
        events=any(need.events for need in wanted),
        pods=any(need.pods for need in wanted),
    )


def compute_due(
    began: Instant, seconds: float, standstills: tuple[Standstill, ...] = ()
) -> Instant:
    """Return when a clock that started at ``began`` has run for ``seconds`` seconds (V2).

    >>> compute_due(100.0, 60.0)
    160.0

    The API server is away from 110 to 120, so the clock stands still until 160:

    >>> compute_due(100.0, 60.0, (Standstill(110.0, 160.0),))
    210.0

    What began in the middle of it has all of its time afterwards, and what was over before is not changed:

    >>> compute_due(130.0, 60.0, (Standstill(110.0, 160.0),))
    220.0
    >>> compute_due(100.0, 5.0, (Standstill(110.0, 160.0),))
    105.0

    While the outage lasts, nothing comes due that was not due before:

    >>> compute_due(100.0, 60.0, (Standstill(110.0),))
    inf
    """
    due = began + seconds
    for stood in standstills:
        if stood.ended > began and stood.began < due:
            due += stood.ended - max(stood.began, began)
    return round(due, 3)


def merge_standstills(found: Iterable[Standstill]) -> tuple[Standstill, ...]:
    """Return the same times in order and without overlaps.

    >>> merge_standstills([Standstill(50, 90), Standstill(0, 40), Standstill(30, 60)])
    (Standstill(began=0, ended=90),)
    """
    merged: list[Standstill] = []
    for stood in sorted(found, key=lambda one: one.began):
        if merged and stood.began <= merged[-1].ended:
            merged[-1] = Standstill(merged[-1].began, max(merged[-1].ended, stood.ended))
        else:
            merged.append(stood)
    return tuple(merged)
