"""Layer 3 of the work queue: workers, delays after failures, and errors that concern one key alone.

A key is worked on by one worker at a time. Marked again while that goes on, it is worked on once more
afterwards, not at once where the queue is told to pace itself: what happens meanwhile is one more look.
What fails comes back after a growing delay, or as soon as it is marked; but where the server asks for
patience, or after a bug, not before its time. Keys that wait are those of
:mod:`tripswitch.shell.folding_queue`, delays those of :mod:`tripswitch.shell.timers`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from tripswitch.cluster.backoff import Backoff
from tripswitch.cluster.log_context import about
from tripswitch.cluster.store import Key
from tripswitch.shell.folding_queue import FoldingQueue, Taken
from tripswitch.shell.timers import Timers

logger = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)

RETRY = Backoff(first=0.05, most=60.0)
HOLD_SECONDS = 1.0
"""A key that brings a bug to light is not worked on more often than that, however often marked."""


class TryAgainError(Exception):
    """The work could not be finished for a known reason.

    ``at_least`` is how many seconds must pass until the next try, also when the key is marked.
    """

    def __init__(self, message: str, at_least: float = 0.0) -> None:
        super().__init__(message)
        self.at_least = at_least


@dataclass(frozen=True, slots=True)
class Pace(Generic[K]):
    """Which keys come first, and how soon a key comes again.

    Attributes:
        is_urgent: Keys that are worked on before others that wait, and without a rest.
        rest: For how many seconds a key that was worked on is left alone, unless it is urgent.
    """

    is_urgent: Callable[[K], bool] = lambda _key: False
    rest: Callable[[], float] = lambda: 0.0


class _Outcome(NamedTuple):
    """How the work on a key ended. All in seconds.

    Attributes:
        delay: After how long the key is to be marked; None: not by time.
        hold: For how long it must not be worked on, marked or not.
        rest: For how long it is not worked on unless it is urgent.
    """

    delay: float | None
    hold: float = 0.0
    rest: float = 0.0


class WorkQueue(Generic[K]):
    """Keys, workers and timers.

    Args:
        work: Called with a key and the loop's time at which it was first marked. Returns after how
            many seconds to look again, None if nothing but a mark is to bring it back.
        gate: Workers take nothing until it is set.
        workers: How many keys are worked on at the same time.
        retry: Delays after failures.
        pace: Which keys come first, and how soon a key comes again; without it, in their order and at once.
        broken: Told of every error that is no :class:`TryAgainError`.
    """

    def __init__(
        self,
        work: Callable[[K, float], Awaitable[float | None]],
        gate: asyncio.Event,
        *,
        workers: int = 8,
        retry: Backoff = RETRY,
        pace: Pace[K] | None = None,
        broken: Callable[[K, Exception], None] = lambda _key, _error: None,
    ) -> None:
        self._work = work
        self._gate = gate
        self._workers = workers
        self._retry = retry
        self._pace: Pace[K] = Pace() if pace is None else pace
        self._broken = broken
        self._waiting: FoldingQueue[K] = FoldingQueue(self._pace.is_urgent)
        """Keys to be worked on. Taken: those that are worked on, and those in ``_holds`` and ``_rests``."""
        self._wakes: Timers[K] = Timers(self._waiting.mark)
        """Keys that are marked when their time has come; none of them is being worked on."""
        self._holds: Timers[K] = Timers(self._waiting.release)
        """Keys that are not worked on before their time, marked or not: taken, and with no worker."""
        self._rests: Timers[K] = Timers(self._waiting.release)
        """Keys that are not worked on before their time unless they are urgent: taken, and with no worker."""
        self._fails: dict[K, int] = {}
        """How often the work on a key has failed since it last succeeded, or since it was forgotten."""
        self._forgotten: set[K] = set()
        """Keys that were forgotten while a worker has them."""
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def depth(self) -> int:
        """How many keys wait to be worked on."""
        return len(self._waiting)

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """The workers; they end only by :meth:`stop`."""
        return self._tasks

    def start(self) -> None:
        """Start the workers."""
        self._tasks = [
            asyncio.create_task(self._run(), name=f"worker {number}")
            for number in range(self._workers)
        ]

    def mark(self, key: K) -> None:
        """Have a key worked on as soon as a worker is free, and its rest is over."""
        self._waiting.mark(key)
        if self._pace.is_urgent(key) and self._rests.cancel(key):
            self._waiting.release(key)

    def forget(self, key: K) -> None:
        """Drop the timers and the failures of a key: what it named is gone.

        Work on the key that is under way goes on, and leaves none of these behind.
        """
        self._wakes.cancel(key)
        self._fails.pop(key, None)
        if self._holds.cancel(key) or self._rests.cancel(key):
            self._waiting.release(key)
        elif self._waiting.is_taken(key):
            self._forgotten.add(key)

    async def stop(self, seconds: float) -> bool:
        """Take nothing more, and wait for what is being worked on, but no longer than that.

        Returns whether all of it was finished; the rest was cut off in the middle.
        """
        self._stopping = True
        self._wakes.cancel_all()
        self._holds.cancel_all()
        self._rests.cancel_all()
        for _ in self._tasks:
            self._waiting.end()
        self._gate.set()
        if not self._tasks:
            return True
        _, unfinished = await asyncio.wait(self._tasks, timeout=seconds)
        for task in unfinished:
            logger.warning("%s did not finish within %.0f s", task.get_name(), seconds)
            task.cancel()
        return not unfinished

    async def _run(self) -> None:
        while True:
            await self._gate.wait()
            taken = await self._waiting.take()
            if self._stopping or taken is None:
                return
            self._wakes.cancel(taken.key)
            self._finish(taken.key, await self._work_on(taken))

    async def _work_on(self, taken: Taken[K]) -> _Outcome:
        """Work on a key."""
        key = taken.key
        try:
            delay = await self._work(key, taken.since)
        except TryAgainError as reason:
            delay = max(reason.at_least, self._next_delay(key))
            logger.debug("%s is tried again in %.2f s: %s", key, delay, reason)
            return _Outcome(delay, hold=reason.at_least)
        except Exception as error:
            # The one place that keeps objects apart: a bug that one of them brings to light is
            # told in full, and all the others go on.
            delay = max(HOLD_SECONDS, self._next_delay(key))
            context = about(key) if isinstance(key, Key) else None
            logger.exception(
                "unexpected error while handling %s; tried again in %.1f s",
                key,
                delay,
                extra=context,
            )
            self._broken(key, error)
            return _Outcome(delay, hold=HOLD_SECONDS)
        self._fails.pop(key, None)
        return _Outcome(delay, rest=0.0 if self._pace.is_urgent(key) else self._pace.rest())

    def _finish(self, key: K, outcome: _Outcome) -> None:
        """Decide when a key that a worker has left is worked on again."""
        if key in self._forgotten:
            self._forgotten.discard(key)
            self._fails.pop(key, None)
            outcome = _Outcome(None)
        if self._stopping:
            return
        if outcome.delay is not None:
            self._wakes.set(key, outcome.delay)
        if outcome.hold > 0:
            self._holds.set(key, outcome.hold)
        elif outcome.rest > 0:
            self._rests.set(key, outcome.rest)
        else:
            self._waiting.release(key)

    def _next_delay(self, key: K) -> float:
        self._fails[key] = self._fails.get(key, 0) + 1
        return self._retry.delay(self._fails[key])
