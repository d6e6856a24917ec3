"""When status writes that nobody waits for are made: one budget for the whole process.

Mere progress (:mod:`tripswitch.domain.steps.write_delay`) of one object is written every two seconds. A thousand
rollouts at once would make that 500 writes a second, which slow down the API server and with it every
kubelet's report. All objects together therefore have as many of these writes under way as one worker
could make, which is the fewer the slower the server answers. Failures that trip nothing wait longer for
others, too, and so does the next look at an object: ten pods that start change 70 times. No trip and no
rollback waits here.
"""

from __future__ import annotations

from dataclasses import dataclass

PROGRESS_SECONDS = 2.0
"""Mere progress of one object is written no more often than this."""
STEP_SECONDS = 1.0
"""A step of a rollout that is mere progress otherwise comes no sooner than this after the last write."""
MOST_STEP_SECONDS = 4.0
ANSWERS_PER_STEP = 20
"""The same where the server is slow, as long as so many answers take: several pods are one step then."""
MOST_PROGRESS_SECONDS = 15.0
"""Mere progress waits no longer than this for its turn, in seconds, however slow the server is."""
BURST_SECONDS = 0.25
"""How long failures that trip nothing wait for more failures, in seconds: they come in bursts."""
MOST_BURST_SECONDS = 2.0
"""The same where the server is slow."""
ANSWERS_PER_BURST = 4
"""Failures wait at least as long as this many answers take."""
ANSWERS_PER_LOOK = 10
"""An object is looked at no more often than once in the time of so many answers."""
MOST_REST_SECONDS = 1.0
"""An object is looked at after this many seconds, however slow the server is."""
WEIGHT = 0.1
"""How much the latest answer counts for the mean; the last 20 make up nearly all of it."""


def compute_turn(latest: float, earliest: float, answer_seconds: float) -> float:
    """Return when the next write of mere progress may begin, in the loop's time.

    Args:
        latest: The turn that was given last.
        earliest: When the object could be written if it were alone.
        answer_seconds: How long a status write takes now: the distance between two turns.

    One rollout, and two that do not meet:

    >>> compute_turn(latest=0.0, earliest=10.0, answer_seconds=0.005)
    10.0

    A thousand at once, while the server answers within 5 ms, then within 100 ms:

    >>> round(compute_turn(latest=10.495, earliest=10.0, answer_seconds=0.005), 3)
    10.5
    >>> round(compute_turn(latest=10.4, earliest=10.0, answer_seconds=0.1), 3)
    10.5

    Nobody waits for ever:

    >>> compute_turn(latest=60.0, earliest=10.0, answer_seconds=0.5)
    25.0
    """
    return min(max(earliest, latest + answer_seconds), earliest + MOST_PROGRESS_SECONDS)


def compute_burst(answer_seconds: float, least: float = BURST_SECONDS) -> float:
    """Return how long failures that trip nothing wait for more of them, in seconds.

    >>> [compute_burst(answer_seconds) for answer_seconds in (0.005, 0.2, 5.0)]
    [0.25, 0.8, 2.0]
    """
    return max(least, min(MOST_BURST_SECONDS, ANSWERS_PER_BURST * answer_seconds))


@dataclass(slots=True)
class WriteBudget:
    """Turns of all objects of the process. Times are the loop's.

    Attributes:
        answer_seconds: How long status writes took lately; 0 before the first one.
        progress_seconds: How long mere progress of one object waits after its last write at least.
        step_seconds: The same with a step of a rollout; of a rollback, it is never longer than that.
        burst_seconds: How long failures that trip nothing wait at least.
    """

    answer_seconds: float = 0.0
    progress_seconds: float = PROGRESS_SECONDS
    step_seconds: float = STEP_SECONDS
    burst_seconds: float = BURST_SECONDS
    _latest: float = 0.0

    def take_answer(self, seconds: float) -> None:
        """Take how long a status write took, whether it was accepted or not."""
        known = self.answer_seconds
        self.answer_seconds = known + WEIGHT * (seconds - known) if known else seconds

    def give_turn(self, earliest: float) -> float:
        """Return when progress that could be written at a time is written; no other object has this turn."""
        self._latest = compute_turn(self._latest, earliest, self.answer_seconds)
        return self._latest

    def compute_rest(self) -> float:
        """Return how long an object that was looked at is left alone, unless it is urgent, in seconds.

        >>> [WriteBudget(answer_seconds).compute_rest() for answer_seconds in (0.0, 0.004, 0.05, 3.0)]
        [0.0, 0.04, 0.5, 1.0]
        """
        return min(MOST_REST_SECONDS, ANSWERS_PER_LOOK * self.answer_seconds)

    @property
    def step(self) -> float:
        """How long after the last write of an object the next step of its rollout comes, in seconds.

        >>> [WriteBudget(answer_seconds).step for answer_seconds in (0.004, 0.1, 3.0)]
        [1.0, 2.0, 4.0]
        """
        return max(
            self.step_seconds, min(MOST_STEP_SECONDS, ANSWERS_PER_STEP * self.answer_seconds)
        )

    @property
    def burst(self) -> float:
        """How long failures that trip nothing wait for more of them, in seconds."""
        return compute_burst(self.answer_seconds, self.burst_seconds)
