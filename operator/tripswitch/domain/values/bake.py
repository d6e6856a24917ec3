"""Rule A3: the bake of a rollout, as it is remembered."""

from __future__ import annotations

from dataclasses import dataclass

from tripswitch.domain.values.time import Instant


@dataclass(frozen=True, slots=True)
class Bake:
    """The time in which a rollout that is whole is watched on.

    ``since`` is when it would have begun without interruptions. ``held_at`` is since when its clock stands still,
    None while it runs. ``ends_at`` is when it is over; None while the clock stands still.
    """

    since: Instant
    held_at: Instant | None = None
    ends_at: Instant | None = None
