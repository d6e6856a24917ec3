"""Layer 1 of the work queue: keys that wait, each once, and keys that are taken.

Level-triggered work needs to know *that* a key changed, never *how often*: a mark of a key that waits already
changes nothing. No clock, no timers and no failures here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)


class Taken(NamedTuple, Generic[K]):
    """A key that was taken to be worked on, and the loop's time at which it was first marked."""

    key: K
    since: float


class FoldingQueue(Generic[K]):
    """Marked keys in the order in which they can be taken.

    A taken key is not given out again before it is released. Marked meanwhile, it waits until then.
    """

    def __init__(self) -> None:
        self._marked: dict[K, float] = {}
        """Keys to be worked on, each with the loop's time of its first mark.

        :meth:`take` removes a key. A key may be marked and taken at the same time."""
        self._taken: set[K] = set()
        """Keys that were given out and are not released."""
        self._ready: asyncio.Queue[K | None] = asyncio.Queue()
        """What :meth:`take` gives out next: each key that is in ``_marked`` and not in ``_taken``, once.

        None stands for one end (:meth:`end`)."""

    def __len__(self) -> int:
        """Return how many keys are marked, those included that wait for their release."""
        return len(self._marked)

    def is_taken(self, key: K) -> bool:
        """Return whether a key was given out and not released."""
        return key in self._taken

    def mark(self, key: K) -> None:
        """Have a key given out, at once or after its release."""
        if key in self._marked:
            return
        self._marked[key] = asyncio.get_running_loop().time()
        if key not in self._taken:
            self._ready.put_nowait(key)

    async def take(self) -> Taken[K] | None:
        """Wait for a key and take it. None: the queue has ended."""
        key = await self._ready.get()
        if key is None:
            return None
        self._taken.add(key)
        return Taken(key, self._marked.pop(key))

    def release(self, key: K) -> None:
        """Let a taken key be given out again."""
        self._taken.remove(key)
        if key in self._marked:
            self._ready.put_nowait(key)

    def end(self) -> None:
        """Have one :meth:`take` return None, after the keys that are ready now."""
        self._ready.put_nowait(None)
