"""Rule V3: what looks at a node's Lease prove about the node, without comparing two clocks.

A kubelet renews the Lease of its node every 10 s. Its age says little: a node that died 15 s ago still
has a Lease that looks fresh, and ``renewTime`` is of the node's own clock. A renewal that an earlier look
did not show yet is proof: the node was alive after that look began.
"""

from __future__ import annotations

from dataclasses import replace

from tripswitch.domain.values.node_life import Life, Renewal
from tripswitch.domain.values.time import Instant

LOST_AFTER_RENEWALS = 2
"""A Lease that was not renewed for longer than this many intervals: its node may be dead (V3, 20 s)."""

SLACK = 0.5
"""The part of an interval by which a renewal may be late and still follow the one before at once."""


def follow_lease(before: Life | None, renewal: Renewal, look_at: Instant) -> Life:
    """Return what is known of a node after a look, begun at ``look_at``, showed this renewal (V3).

    A node that was cut off renews its Lease first and reports its pods up to 10 s later. The first
    renewal after a gap proves nothing, therefore; the next one does.
    """
    if before is None or before.renewal is None:
        return Life(look_at, renewal, since=look_at)
    if renewal.at == before.renewal.at:
        unchanged = look_at - before.since
        lost = before.lost or unchanged > LOST_AFTER_RENEWALS * renewal.interval
        return replace(before, seen_at=look_at, lost=lost)
    longest = max(renewal.interval, look_at - before.seen_at) + SLACK * renewal.interval
    regular = 0 < renewal.at - before.renewal.at <= longest
    alive_at = before.seen_at if regular else before.alive_at
    return Life(look_at, renewal, since=look_at, alive_at=alive_at)


def trust_condition(look_at: Instant) -> Life:
    """Return what is known of a Ready node without a Lease, and of one that may not be looked at.

    There is nothing else to go by, so each look at it counts as proof.
    """
    return Life(look_at, since=look_at, alive_at=look_at)
