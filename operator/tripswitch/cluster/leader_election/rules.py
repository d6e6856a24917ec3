"""Whose Lease is it, and may I take it: the rules of the election, without any I/O.

A candidate never compares clocks with anybody. It notes when *it* last saw the Lease change, on a clock
of its own that only goes forward, and takes the Lease when nothing has changed for as long as the
Lease says. A holder counts from before it *sent* its last renewal, and for a shorter time:

    holder      |--- renew deadline (7 s) ---| stops
    sent at     0
    candidate        |------ duration (10 s) -----------| may take it
    seen at          >= 0

The holder has therefore stopped 3 s before another process may begin, also without a network, and it has
stopped in time as long as its clock runs no more than 30 % slower than the candidate's. The other way
round, a holder that dies is followed within 15 s as long as the API server answers each request within
a second: :meth:`Terms.longest_gap`.

| the Lease                                   | a candidate          | its holder    |
|---------------------------------------------|----------------------|---------------|
| is not there, nobody was seen to hold it    | CREATE               | -             |
| is not there any more, somebody held it     | WAIT as if unchanged | CREATE again  |
| is held by nobody (released)                | TAKE                 | -             |
| is held by another, changed a short time ago| WAIT                 | has lost      |
| is held by another, unchanged for long      | TAKE                 | has lost      |
| is held by me                               | TAKE (my lost answer)| RENEW         |
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

Seconds = float
"""On a clock that only goes forward; where it starts means nothing."""

JITTER = 0.2
"""Part of a pause by which it may be longer or shorter: candidates are not to look all at once."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How long is what, in seconds.

    Attributes:
        duration: A Lease that has not changed for so long may be taken.
        renew_deadline: A holder that has not renewed for so long stops.
        retry_period: Between two renewals.
    """

    duration: Seconds = 10.0
    renew_deadline: Seconds = 7.0
    retry_period: Seconds = 2.0

    def __post_init__(self) -> None:
        """Refuse what is not safe.

        Raises:
            ValueError: There is no time to stop, or none to try again.
        """
        if not 0 < self.retry_period * 2 <= self.renew_deadline:
            raise ValueError("the renew deadline must be at least twice the retry period")
        if self.renew_deadline * 1.25 > self.duration:
            raise ValueError("the duration must be at least 1.25 times the renew deadline")
        if self.duration < 1:
            raise ValueError("the duration must be at least 1 s")

    @property
    def request_timeout(self) -> Seconds:
        """Longest time for one request: a try that hangs must not cost the next one."""
        return self.retry_period * 0.75

    @property
    def poll_period(self) -> Seconds:
        """Between two looks of a candidate: a release is seen within this time."""
        return self.retry_period / 4

    def longest_gap(self, answer: Seconds) -> Seconds:
        """Return the longest time from the last write of a holder that dies to its successor's first.

        Args:
            answer: Longest time that the API server takes for a request; it takes all of it for the
                look that just misses the last write, for the one that sees it, for the one that finds
                it unchanged, and for the write.

        >>> Terms().longest_gap(0.1), Terms().longest_gap(1.0)
        (11.0, 14.6)
        """
        return self.duration + self.poll_period * (1 + JITTER) + 4 * answer


@dataclass(frozen=True, slots=True)
class Claim:
    """What a Lease says. ``renewed`` is never read as a time, only compared: it is another's clock.

    ``holder`` is empty when it was released, ``duration`` 0 when it says none.
    """

    holder: str
    duration: Seconds
    transitions: int
    acquired: str
    renewed: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """What was seen of the Lease, and since when nothing of it has changed.

    ``claim`` is None when there is none; ``held_for`` is then how long the last one that was there
    might still be held by somebody who does not know yet that it is gone.
    """

    claim: Claim | None
    since: Seconds
    held_for: Seconds = 0.0


class Step(Enum):
    """What to do about the Lease."""

    CREATE = "CREATE"
    TAKE = "TAKE"
    RENEW = "RENEW"
    WAIT = "WAIT"


def sight(before: Sighting | None, claim: Claim | None, terms: Terms, now: Seconds) -> Sighting:
    """Return what is known after one more look at the Lease."""
    if before is not None and before.claim == claim:
        return before
    if claim is not None:
        return Sighting(claim, now)
    was_held = before is not None and before.claim is not None and before.claim.holder
    return Sighting(None, now, _duration(before.claim, terms) if before and was_held else 0.0)


def free_at(seen: Sighting, terms: Terms) -> Seconds:
    """Return from when on the Lease may be taken by another than its holder.

    >>> held = Claim("a", 10, 0, "", "")
    >>> free_at(Sighting(held, since=100.0), Terms()), free_at(Sighting(None, since=100.0), Terms())
    (110.0, 100.0)

    A holder with longer terms than ours keeps them:

    >>> free_at(Sighting(replace(held, duration=60), since=100.0), Terms())
    160.0
    """
    if seen.claim is None:
        return seen.since + seen.held_for
    if not seen.claim.holder:
        return seen.since
    return seen.since + _duration(seen.claim, terms)


def choose_step(seen: Sighting, me: str, terms: Terms, now: Seconds, *, leading: bool) -> Step:
    """Return what to do, by the table above; ``leading`` is whether I hold the Lease right now."""
    if seen.claim is None:
        return Step.CREATE if leading or now >= free_at(seen, terms) else Step.WAIT
    if seen.claim.holder == me:
        return Step.RENEW if leading else Step.TAKE
    return Step.TAKE if not leading and now >= free_at(seen, terms) else Step.WAIT


def next_look(seen: Sighting | None, terms: Terms, now: Seconds, jitter: float) -> Seconds:
    """Return when a candidate looks again: soon, for a release, and the moment it may take the Lease.

    ``jitter`` is between -1 and 1, drawn anew each time.
    """
    soon = now + terms.poll_period * (1 + JITTER * jitter)
    free = now if seen is None else free_at(seen, terms)
    return min(soon, free) if free > now else soon


def next_claim(before: Claim | None, me: str, terms: Terms, at: str) -> Claim:
    """Return the Lease as I write it at a time ``at`` (for people; RFC 3339)."""
    mine = before is not None and before.holder == me
    changes = 0 if before is None else before.transitions + (0 if mine else 1)
    acquired = before.acquired if before is not None and mine else at
    return Claim(me, terms.duration, changes, acquired, at)


def released(claim: Claim, at: str) -> Claim:
    """Return the Lease as its holder gives it back."""
    return replace(claim, holder="", duration=1, renewed=at)


def _duration(claim: Claim | None, terms: Terms) -> Seconds:
    return max(terms.duration, claim.duration if claim is not None else 0.0)
