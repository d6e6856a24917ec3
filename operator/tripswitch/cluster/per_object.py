"""State of each GuardedDeployment that lives exactly as long as the object does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from tripswitch.cluster.record import Record
from tripswitch.cluster.store import Store

T = TypeVar("T")


class PerObject(Generic[T]):
    """One mutable value for each GuardedDeployment in a store, by UID.

    The value is a part of what the store knows of the object (``Tracked``) and is dropped with it. An object
    that is made again under the same name starts with a new value. Work that ends after its object has gone
    gets a value that nobody keeps.

    Args:
        store: What decides which objects exist.
        make: Makes the value of an object that has none yet.
    """

    def __init__(self, store: Store, make: Callable[[], T]) -> None:
        self._store = store
        self._make = make

    def __len__(self) -> int:
        """Return how many objects have a value."""
        return sum(self in tracked.parts for tracked in self._store.all_tracked())

    def of(self, record: Record) -> T:
        """Return the value of an object."""
        parts = self._store.track(record).parts
        if self not in parts:
            parts[self] = self._make()
        value: T = parts[self]
        return value
