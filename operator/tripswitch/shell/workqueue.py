"""A work queue that folds repeats: level-triggered work needs to know *that*, never *how often*.

A key is worked on by one worker at a time. Marked again while that goes on, it is worked on once more
afterwards. Marked while it waits, nothing changes. What fails comes back after a growing delay, or
as soon as it is marked; but where the server asks for patience, or after a bug, not before its time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from tripswitch.cluster.backoff import Backoff
from tripswitch.cluster.log_context import about
from tripswitch.cluster.store import Key

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


class WorkQueue(Generic[K]):
    """Keys, workers and timers.

    Args:
        work: Called with a key and the loop's time at which it was first marked. Returns after how
            many seconds to look again, None if nothing but a mark is to bring it back.
        gate: Workers take nothing until it is set.
        workers: How many keys are worked on at the same time.
        retry: Delays after failures.
        broken: Told of every error that is no :class:`TryAgainError`.
    """

    def __init__(
        self,
        work: Callable[[K, float], Awaitable[float | None]],
        gate: asyncio.Event,
        *,
        workers: int = 8,
        retry: Backoff = RETRY,
        broken: Callable[[K, Exception], None] = lambda _key, _error: None,
    ) -> None:
        self._work = work
        self._gate = gate
        self._workers = workers
        self._retry = retry
        self._broken = broken
        self._ready: asyncio.Queue[K | None] = asyncio.Queue()
        self._marked: dict[K, float] = {}
        """Keys to be worked on, and since when."""
        self._busy: set[K] = set()
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._holds: dict[K, asyncio.TimerHandle] = {}
        """Keys that are not worked on before their time, marked or not."""
        self._fails: dict[K, int] = {}
        self._forgotten: set[K] = set()
        """Keys that were forgotten while they were being worked on."""
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def depth(self) -> int:
        """How many keys wait to be worked on."""
        return len(self._marked)

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
        """Have a key worked on as soon as a worker is free."""
        if key in self._marked:
            return
        self._marked[key] = asyncio.get_running_loop().time()
        if key not in self._busy and key not in self._holds:
            self._ready.put_nowait(key)

    def mark_after(self, key: K, seconds: float) -> None:
        """Have a key marked after a delay, instead of after any earlier such delay."""
        self._unschedule(key)
        timer = asyncio.get_running_loop().call_later(seconds, self._ring, key)
        self._timers[key] = timer

    def forget(self, key: K) -> None:
        """Drop the timer, the hold and the failures of a key: what it named is gone.

        Work on the key that is under way goes on, and leaves none of these behind.
        """
        self._unschedule(key)
        self._fails.pop(key, None)
        hold = self._holds.get(key)
        if hold is not None:
            hold.cancel()
            self._let_go(key)
        if key in self._busy:
            self._forgotten.add(key)

    async def stop(self, seconds: float) -> bool:
        """Take nothing more, and wait for what is being worked on, but no longer than that.

        Returns whether all of it was finished; the rest was cut off in the middle.
        """
        self._stopping = True
        for timer in (*self._timers.values(), *self._holds.values()):
            timer.cancel()
        for _ in self._tasks:
            self._ready.put_nowait(None)
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
            key = await self._ready.get()
            if self._stopping or key is None:
                return
            await self._work_on(key)

    async def _work_on(self, key: K) -> None:
        since = self._marked.pop(key)
        self._busy.add(key)
        self._unschedule(key)
        hold = 0.0
        try:
            delay = await self._work(key, since)
            self._fails.pop(key, None)
        except TryAgainError as reason:
            hold = reason.at_least
            delay = max(hold, self._next_delay(key))
            logger.debug("%s again in %.2f s: %s", key, delay, reason)
        except Exception as error:
            # The one place that keeps objects apart: a bug that one of them brings to light is
            # told in full, and all the others go on.
            hold = HOLD_SECONDS
            delay = max(hold, self._next_delay(key))
            context = about(key) if isinstance(key, Key) else None
            logger.exception(
                "unexpected error about %s; again in %.1f s", key, delay, extra=context
            )
            self._broken(key, error)
        finally:
            self._busy.discard(key)
        if key in self._forgotten:
            self._forgotten.discard(key)
            self._fails.pop(key, None)
            hold, delay = 0.0, None
        if self._stopping:
            return
        if delay is not None:
            self.mark_after(key, delay)
        if hold > 0:
            self._holds[key] = asyncio.get_running_loop().call_later(hold, self._let_go, key)
        elif key in self._marked:
            self._ready.put_nowait(key)

    def _next_delay(self, key: K) -> float:
        self._fails[key] = self._fails.get(key, 0) + 1
        return self._retry.delay(self._fails[key])

    def _ring(self, key: K) -> None:
        del self._timers[key]
        self.mark(key)

    def _let_go(self, key: K) -> None:
        del self._holds[key]
        if key in self._marked:
            self._ready.put_nowait(key)

    def _unschedule(self, key: K) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
