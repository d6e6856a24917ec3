"""Layer 1 of the work queue: keys that wait, each once, and keys that are taken.

Level-triggered work needs to know *that* a key changed, never *how often*: a mark of a key that waits already
changes nothing, unless the key is urgent by now. No clock, no timers and no failures here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)

MOST_IN_A_ROW = 8
"""After so many urgent keys, one that is not urgent has its turn: it must not wait for ever."""


class Taken(NamedTuple, Generic[K]):
    """A key that was taken to be worked on, and the loop's time at which it was first marked."""

    key: K
    since: float


class FoldingQueue(Generic[K]):
    """Marked keys: the urgent ones first, each kind in the order in which they can be taken.

    A taken key is not given out again before it is released. Marked meanwhile, it waits until then.

    Args:
        is_urgent: Asked about a key when it is marked and when it is released.
    """

    def __init__(self, is_urgent: Callable[[K], bool] = lambda _key: False) -> None:
        self._is_urgent = is_urgent
        self._marked: dict[K, float] = {}
        """Keys to be worked on, each with the loop's time of its first mark.

        :meth:`take` removes a key. A key may be marked and taken at the same time."""
        self._taken: set[K] = set()
        """Keys that were given out and are not released."""
        self._urgent: dict[K, None] = {}
        self._others: dict[K, None] = {}
        """What :meth:`take` gives out next: each key that is in ``_marked`` and not in ``_taken`` is in one
        of these two, in order."""
        self._in_a_row = 0
        """How many urgent keys were given out since another one was, or since none waited."""
        self._turns: asyncio.Queue[bool] = asyncio.Queue()
        """True for each key in ``_urgent`` and ``_others``; False for one end (:meth:`end`)."""

    def __len__(self) -> int:
        """Return how many keys are marked, those included that wait for their release."""
        return len(self._marked)

    def is_taken(self, key: K) -> bool:
        """Return whether a key was given out and not released."""
        return key in self._taken

    def mark(self, key: K) -> None:
        """Have a key given out, at once or after its release."""
        if key not in self._marked:
            self._marked[key] = asyncio.get_running_loop().time()
            if key not in self._taken:
                self._line_up(key)
        elif key in self._others and self._is_urgent(key):
            del self._others[key]
            self._urgent[key] = None

    async def take(self) -> Taken[K] | None:
        """Wait for a key and take it. None: the queue has ended."""
        if not await self._turns.get():
            return None
        key = self._choose()
        self._taken.add(key)
        return Taken(key, self._marked.pop(key))

    def release(self, key: K) -> None:
        """Let a taken key be given out again."""
        self._taken.remove(key)
        if key in self._marked:
            self._line_up(key)

    def end(self) -> None:
        """Have one :meth:`take` return None, after as many keys as are ready now."""
        self._turns.put_nowait(False)

    def _line_up(self, key: K) -> None:
        line = self._urgent if self._is_urgent(key) else self._others
        line[key] = None
        self._turns.put_nowait(True)

    def _choose(self) -> K:
        """Return the key whose turn it is, and take it out of its line."""
        passed = self._in_a_row < MOST_IN_A_ROW or not self._others
        line = self._urgent if self._urgent and passed else self._others
        self._in_a_row = self._in_a_row + 1 if line is self._urgent and self._others else 0
        key = next(iter(line))
        del line[key]
        return key
