"""When the API server could not be reached: nobody could report then (rule V2).

Every request of every client says here whether the server answered. Watches are kept apart from all other
requests, because a server that has lost its storage still serves watches from its cache, and a kubelet's
report needs the storage. An outage begins with the last answer before it: what happened after that is not known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tripswitch.domain.rules.sight import merge_standstills
from tripswitch.domain.values.sight import NEVER, REPORT_SECONDS, Standstill
from tripswitch.domain.values.time import Instant

SHORTEST_SECONDS = 5.0
"""Shorter troubles than this are no outage: one request may fail, and kubelets try again."""
KEPT_SECONDS = 86_400.0
"""How long a standstill is remembered: longer than any clock that it could hold."""


@dataclass(slots=True)
class _Channel:
    """One kind of requests: the last answer, and since when there has been none (None: there is)."""

    heard_at: Instant
    failing_since: Instant | None = None

    def find_outage(self, now: Instant, waited: float = 0.0) -> Instant | None:
        """Return when the outage that lasts now began; None if there is none.

        ``waited``: an answer took so many seconds. If no other one came meanwhile, the server was away.
        """
        if waited >= SHORTEST_SECONDS and self.heard_at <= now - waited:
            return self.heard_at
        since = self.failing_since
        return None if since is None or now - since < SHORTEST_SECONDS else self.heard_at


class Reachability:
    """Remembers when the clocks of rules F4 and P1 stand still.

    Args:
        clock: The time.
    """

    def __init__(self, clock: Callable[[], Instant]) -> None:
        self._clock = clock
        self._channels = {stored: _Channel(clock()) for stored in (False, True)}
        self._over: tuple[Standstill, ...] = ()

    def note(self, *, stored: bool, answered: bool, seconds: float) -> None:
        """Take the end of a request.

        Args:
            stored: Whether it needed the server's storage: every request but a watch.
            answered: Whether the server answered, also if it refused.
            seconds: How long it took.
        """
        channel, now = self._channels[stored], self._clock()
        if not answered:
            channel.failing_since = channel.failing_since or now - seconds
            return
        began = channel.find_outage(now, seconds)
        if began is not None:
            self.add(began, now)
        channel.heard_at, channel.failing_since = now, None

    def add(self, began: Instant, ended: Instant) -> None:
        """Remember a time in which nobody could report, or nobody was there to see it."""
        stood = Standstill(began, round(ended + REPORT_SECONDS, 3))
        oldest = ended - KEPT_SECONDS
        kept = (one for one in self._over if one.ended > oldest)
        self._over = merge_standstills((*kept, stood))

    def standstills(self) -> tuple[Standstill, ...]:
        """Return when the clocks stood still, in order; the last one lasts if it has no end."""
        now = self._clock()
        outages = (channel.find_outage(now) for channel in self._channels.values())
        lasting = [Standstill(began, NEVER) for began in outages if began is not None]
        return merge_standstills((*self._over, *lasting)) if lasting else self._over
