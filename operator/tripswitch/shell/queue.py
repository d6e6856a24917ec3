"""A work queue that folds repeats: level-triggered work needs to know *that*, never *how often*.

A key is worked on by one worker at a time. Marked again while that goes on, it is worked on once more
afterwards. Marked while it waits, nothing changes. What fails comes back after a growing delay.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from tripswitch.cluster.backoff import Backoff

logger = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)

RETRY = Backoff(first=0.05, most=60.0)


class TryAgainError(Exception):
    """The work could not be finished for a known reason; ``at_least`` seconds until the next try."""

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
    """

    def __init__(
        self,
        work: Callable[[K, float], Awaitable[float | None]],
        gate: asyncio.Event,
        *,
        workers: int = 8,
        retry: Backoff = RETRY,
    ) -> None:
        self._work = work
        self._gate = gate
        self._workers = workers
        self._retry = retry
        self._ready: asyncio.Queue[K | None] = asyncio.Queue()
        self._marked: dict[K, float] = {}
        """Keys to be worked on, and since when."""
        self._busy: set[K] = set()
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._fails: dict[K, int] = {}
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
        if key not in self._busy:
            self._ready.put_nowait(key)

    def mark_after(self, key: K, seconds: float) -> None:
        """Have a key marked after a delay, instead of after any earlier such delay."""
        self._unschedule(key)
        timer = asyncio.get_running_loop().call_later(seconds, self._ring, key)
        self._timers[key] = timer

    async def stop(self, seconds: float) -> None:
        """Take nothing more, and wait for what is being worked on, but no longer than that."""
        self._stopping = True
        for timer in self._timers.values():
            timer.cancel()
        for _ in self._tasks:
            self._ready.put_nowait(None)
        self._gate.set()
        if self._tasks:
            _, unfinished = await asyncio.wait(self._tasks, timeout=seconds)
            for task in unfinished:
                logger.warning("%s did not finish within %.0f s", task.get_name(), seconds)
                task.cancel()

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
        try:
            delay = await self._work(key, since)
            self._fails.pop(key, None)
        except TryAgainError as reason:
            delay = max(reason.at_least, self._next_delay(key))
            logger.debug("%s again in %.2f s: %s", key, delay, reason)
        except Exception:
            # The one place that keeps objects apart: a bug that one of them brings to light is
            # told in full, and all the others go on.
            delay = self._next_delay(key)
            logger.exception("unexpected error about %s; again in %.1f s", key, delay)
        finally:
            self._busy.discard(key)
        if delay is not None and not self._stopping:
            self.mark_after(key, delay)
        if key in self._marked:
            self._ready.put_nowait(key)

    def _next_delay(self, key: K) -> float:
        self._fails[key] = self._fails.get(key, 0) + 1
        return self._retry.delay(self._fails[key])

    def _ring(self, key: K) -> None:
        del self._timers[key]
        self.mark(key)

    def _unschedule(self, key: K) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
