"""An event loop without I/O, threads or a clock of its own: its timers are entries of the world's agenda.

What is ready runs at once, in the order in which it became ready, until nothing is. Two runs of one world
are the same, callback by callback.
"""

from __future__ import annotations

import asyncio
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

Later = Callable[[float, Callable[[], None]], None]
"""Have something done after so many seconds."""


class VirtualLoop(asyncio.AbstractEventLoop):
    """The loop of one simulated process.

    Args:
        clock: Gives the time in seconds, of a clock that only goes forward.
        later: Puts a timer on the agenda.
        failed: Called with every error that no task took.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        later: Later,
        failed: Callable[[str, BaseException | None], None],
    ) -> None:
        self._clock = clock
        self._later = later
        self._failed = failed
        self._ready: deque[asyncio.Handle] = deque()
        self._stopped = False
        self._tasks: dict[asyncio.Task[Any], None] = {}

    def run_ready(self) -> None:
        """Run everything that is ready, and what becomes ready by that."""
        if self._stopped or not self._ready or self.is_running():
            return
        events._set_running_loop(self)  # noqa: SLF001 - as every loop of its own does
        try:
            while self._ready:
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()  # noqa: SLF001
        finally:
            events._set_running_loop(None)  # noqa: SLF001

    def stop(self) -> None:
        """End every task, and run nothing any more: the process has ended."""
        while self._tasks:
            for task in list(self._tasks):
                task.cancel()
            self.run_ready()
        self._stopped = True
        self._ready.clear()

    def time(self) -> float:
        return self._clock()

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self._clock() + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._later(when - self._clock(), lambda: self._ring(timer))
        return timer

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Coroutine[Any, Any, Any],  # type: ignore[override]
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self._failed(str(context.get("message")), context.get("exception"))

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return events._get_running_loop() is self  # noqa: SLF001

    def is_closed(self) -> bool:
        return self._stopped

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Its entry of the agenda does nothing then."""

    def _ring(self, timer: asyncio.TimerHandle) -> None:
        if not timer.cancelled() and not self._stopped:
            self._ready.append(timer)
            self.run_ready()
