"""Rule V3: what is known of a node from looks at its Lease."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tripswitch.domain.values.time import Instant


@dataclass(frozen=True, slots=True)
class Renewal:
    """The latest renewal that a Lease shows.

    Attributes:
        at: ``renewTime``, by the node's own clock.
        interval: Seconds between two renewals: a quarter of ``leaseDurationSeconds``.
    """

    at: Instant
    interval: float = 10.0


@dataclass(frozen=True, slots=True)
class Life:
    """What is known of one node; moments are of the operator's clock.

    Attributes:
        seen_at: The last look at it began at this moment.
        renewal: What its Lease showed; None if it has none, or if none may be read.
        since: The first look that showed this renewal began at this moment.
        alive_at: The node was alive at this moment or later: a look that began then did not show its next
            renewal yet. It was in touch at the time, too: that renewal was not late.
        lost: It may be dead: not Ready, gone, or its Lease was not renewed for 20 s.
    """

    seen_at: Instant
    renewal: Renewal | None = None
    since: Instant = 0.0
    alive_at: Instant = -math.inf
    lost: bool = False
