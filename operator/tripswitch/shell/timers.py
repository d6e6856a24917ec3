"""Layer 2 of the work queue: one timer for each key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Timers(Generic[K]):
    """Calls a function with a key when its time has come.

    Args:
        due: What is called. The key has no timer any more by then, so it may get a new one.
    """

    def __init__(self, due: Callable[[K], None]) -> None:
        self._due = due
        self._handles: dict[K, asyncio.TimerHandle] = {}
        """One for each key whose time is still to come; none that was cancelled or has run."""

    def __len__(self) -> int:
        """Return how many keys have a timer."""
        return len(self._handles)

    def set(self, key: K, seconds: float) -> None:
        """Start a key's timer anew."""
        self.cancel(key)
        self._handles[key] = asyncio.get_running_loop().call_later(seconds, self._ring, key)

    def cancel(self, key: K) -> bool:
        """Stop a key's timer; return whether it had one."""
        handle = self._handles.pop(key, None)
        if handle is None:
            return False
        handle.cancel()
        return True

    def cancel_all(self) -> None:
        """Stop all timers."""
        for key in list(self._handles):
            self.cancel(key)

    def _ring(self, key: K) -> None:
        del self._handles[key]
        self._due(key)
