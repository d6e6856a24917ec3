"""State of each GuardedDeployment that lives exactly as long as the object does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from tripswitch.cluster.store import Record, Store

T = TypeVar("T")


class PerObject(Generic[T]):
    """One mutable value for each GuardedDeployment in a store, by UID.

    The store's own removal drops the value, so an object that is made again under the same name starts
    with a new one. Work that ends after its object has gone gets a value that nobody keeps.

    Args:
        store: What decides which objects exist.
        make: Makes the value of an object that has none yet.
    """

    def __init__(self, store: Store, make: Callable[[], T]) -> None:
        self._store = store
        self._make = make
        self._values: dict[str, T] = {}
        store.when_gone(lambda record: self._values.pop(record.uid, None))

    def __len__(self) -> int:
        """Return how many objects have a value."""
        return len(self._values)

    def of(self, record: Record) -> T:
        """Return the value of an object."""
        if not self._store.holds(record):
            return self._make()
        if record.uid not in self._values:
            self._values[record.uid] = self._make()
        return self._values[record.uid]
