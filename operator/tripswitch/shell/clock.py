"""The time as the whole operator uses it: a monotonic clock that is set once by the API server's (V4).

Deadlines are reckoned from times that the API server and an earlier process wrote, so the operator's time
has to agree with theirs. It must not jump: a wall clock that is set, or two API servers whose clocks differ,
would make every pod that is starting look late. The clock is set by the first answer of the API server and
goes on by itself from there. Only when the server's answers agree for a minute on another time, it follows;
what it is set forward by is a time in which no clock of a rollout ran.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

from tripswitch.cluster.leader_election.lease import steady_clock
from tripswitch.cluster.reachability import Reachability
from tripswitch.domain.values.sight import EVER
from tripswitch.domain.values.time import Instant

logger = logging.getLogger(__name__)

TOLERANCE = 2.0
"""Seconds. The server says whole seconds: less is no difference."""
AGREE_SECONDS = 60.0
"""For so long all answers must agree on another time before the clock is set by them."""
AGREE_ANSWERS = 3
"""And there must have been this many of them."""

Stepped = Callable[[Instant, Instant], None]
"""Called after the clock was set, with the time before and after."""


class ServerClock:
    """Returns the time when called. Nothing else in the operator reads the wall clock.

    Args:
        steady: A clock that nobody can set.
        wall: The wall clock, asked once: it is the time until the first answer comes.
        stepped: Told when the clock was set after that.
    """

    def __init__(
        self,
        steady: Callable[[], float] = steady_clock,
        wall: Callable[[], float] = time.time,
        stepped: Stepped = lambda _before, _after: None,
    ) -> None:
        self._steady = steady
        self._offset = wall() - steady()
        self._stepped = stepped
        self._is_set = False
        self._other: tuple[float, float, int] | None = None
        """Another offset that answers agree on, since when they do, and how many."""

    def __call__(self) -> Instant:
        """Return the seconds since the epoch, in milliseconds."""
        return round(self._steady() + self._offset, 3)

    def take(self, date: str | None, seconds: float) -> None:
        """Take the ``Date`` of an answer that came ``seconds`` after it was asked for.

        What the answer's own slowness can explain is no difference.
        """
        if date is None:
            return
        try:
            there = parsedate_to_datetime(date).timestamp() + 0.5
        except ValueError:
            return
        offset, slack = there - self._steady(), TOLERANCE + seconds
        if abs(offset - self._offset) <= slack:
            self._is_set, self._other = True, None
        elif not self._is_set or self._is_agreed(offset, slack):
            self._set(offset)

    def _is_agreed(self, offset: float, slack: float) -> bool:
        now = self._steady()
        other = self._other
        if other is None or abs(other[0] - offset) > slack:
            self._other = (offset, now, 1)
            return False
        self._other = (other[0], other[1], other[2] + 1)
        return now - other[1] >= AGREE_SECONDS and other[2] + 1 >= AGREE_ANSWERS

    def _set(self, offset: float) -> None:
        before, was_set = self(), self._is_set
        self._offset, self._is_set, self._other = offset, True, None
        logger.warning(
            "the local clock was %.0f s off the API server's, whose time is used", before - self()
        )
        if was_set:
            self._stepped(before, self())


class Time:
    """The clock of the process, and when no clock of a rollout may run (rules V2 and V4)."""

    def __init__(self, clock: ServerClock | None = None) -> None:
        self.clock = clock or ServerClock(stepped=self.take_step)
        self.reachability = Reachability(self.clock)

    def hear(self, *, stored: bool, answered: bool, seconds: float, date: str | None) -> None:
        """Take what the end of a request says about the server."""
        self.clock.take(date, seconds)
        self.reachability.note(stored=stored, answered=answered, seconds=seconds)

    def take_step(self, before: Instant, after: Instant) -> None:
        """Take it that the clock was set: what it was set forward by has not passed for any rollout."""
        self.reachability.add(before, max(before, after))

    def take_over(self, led_until: Instant | None) -> None:
        """Begin to lead: nobody has looked since the leader before this process renewed its Lease.

        Why that process ended is not known. If the API server was away, kubelets still have to report.
        Without a Lease it is not known either since when nobody looked, and every clock but that of a hook
        (K1) begins anew.
        """
        now = self.clock()
        self.reachability.add(EVER if led_until is None else min(led_until, now), now)
