"""Rule A3: the bake time, in which a rollout that is whole is watched before it counts as COMPLETED.

The clock of the bake stands still while nobody could see that the revision is bad.
"""

from __future__ import annotations

from dataclasses import replace

from tripswitch.domain.rules.alarms import is_current
from tripswitch.domain.values.alarms import AlarmReading
from tripswitch.domain.values.bake import Bake
from tripswitch.domain.values.sight import Standstill
from tripswitch.domain.values.time import Instant

LOOK_SECONDS = 30.0
"""How often a bake is looked at: each standstill (rule V2) lasts longer and is therefore noticed."""


def run_bake(bake: Bake | None, seconds: float, now: Instant, blind_since: Instant | None) -> Bake:
    """Return the bake with its clock moved to ``now``; where there is none yet it begins.

    >>> bake = run_bake(None, 300.0, 1000.0, None)
    >>> bake.ends_at
    1300.0

    From 1100 to 1150 the alarms cannot be read:

    >>> bake = run_bake(bake, 300.0, 1110.0, 1100.0)
    >>> bake.held_at, bake.ends_at
    (1100.0, None)
    >>> run_bake(bake, 300.0, 1150.0, None).ends_at
    1350.0

    Args:
        bake: As it was.
        seconds: The bake time.
        now: The moment.
        blind_since: Since when nobody could see that the revision is bad; None: somebody can.
    """
    since = now if bake is None else bake.since
    held = None if bake is None else bake.held_at
    if blind_since is not None:
        return Bake(since, max(since, blind_since) if held is None else held)
    if held is not None:
        since = round(since + max(0.0, now - held), 3)
    return Bake(since, ends_at=round(since + seconds, 3))


def hold_bake(bake: Bake | None, now: Instant) -> Bake | None:
    """Return the bake with its clock stopped, for a pause (R7)."""
    if bake is None or bake.held_at is not None:
        return bake
    return replace(bake, held_at=now, ends_at=None)


def is_baking(bake: Bake | None, now: Instant) -> bool:
    """Return whether a bake has begun and is not over."""
    return bake is not None and (bake.ends_at is None or now < bake.ends_at)


def describe_clock(at: Instant) -> str:
    """Return the time of the day.

    >>> describe_clock(86_400.0 + 3_661.5)
    '01:01:01 UTC'
    """
    seconds = int(at) % 86_400
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02} UTC"


def find_blindness(
    standstills: tuple[Standstill, ...],
    reading: AlarmReading | None,
    started_at: Instant,
    now: Instant,
) -> Instant | None:
    """Return since when nobody could see that the revision is bad; None if somebody can.

    In an outage of the API server, and while no process looked (V2), no failure of a pod is seen. Without a
    current reading of its alarms a revision can be bad without any failing pod.

    Args:
        standstills: Of the clocks of other rules.
        reading: Of the alarms; None: there are none.
        started_at: When the rollout began.
        now: The moment.
    """
    found = [stood.began for stood in standstills if stood.began <= now < stood.ended]
    if reading is not None and not is_current(reading, started_at, now):
        since = reading.read_at if reading.unread_since is None else reading.unread_since
        found.append(since if since >= started_at else now)
    return min(found, default=None)
