"""A queue that holds one entry for each key, the latest: what comes often is worked on once."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class LatestQueue(Generic[K, V]):
    """First in, first out by key; an entry that comes again replaces the one that waits, in its place."""

    def __init__(self) -> None:
        self._waiting: dict[K, V] = {}
        self._some = asyncio.Event()

    def __len__(self) -> int:
        """Return how many entries wait."""
        return len(self._waiting)

    def put(self, key: K, value: V) -> None:
        """Add an entry. Never waits."""
        self._waiting[key] = value
        self._some.set()

    async def take(self) -> tuple[K, V]:
        """Wait for an entry; remove and return it."""
        while not self._waiting:
            self._some.clear()
            await self._some.wait()
        key = next(iter(self._waiting))
        return key, self._waiting.pop(key)
